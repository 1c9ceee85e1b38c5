"""What schemathesis found, read from the events that it wrote, also where it was ended in the middle.

Invariants: one `FuzzFailure` for each operation, kind and status, with how often it was seen and one request that shows
it; no credential of the caller is in any text. Event format: schemathesis 4.32, `--report ndjson`.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlencode

from conformance.openapi.answers import BreachKind

__all__ = ["FuzzEnd", "FuzzError", "FuzzFailure", "FuzzKind", "FuzzReport", "Unjudged", "read_report"]

FuzzKind: TypeAlias = BreachKind | Literal["server-error", "no-answer", "other"]
FuzzEnd: TypeAlias = Literal["complete", "deadline", "unreachable", "broken-off"]

LONGEST_MESSAGE = 500
LONGEST_BODY = 2000
REDACTED = "[Filtered]"
SHORTEST_SECRET = 6
PLACEHOLDER = re.compile(r"(\{[^{}]*\})")
DOT_SEGMENTS = frozenset({".", ".."})
# What a proxy answers in the place of somebody who does not answer, breaks off, or does not speak HTTP (RFC 9110 15.6).
GATEWAY_ERRORS = frozenset({502, 503, 504})

KINDS: dict[str, FuzzKind] = {
    "ContentDeserializationError": "unreadable-body",
    "ContentTypeServerError": "wrong-content-type",
    "DiscriminatorMismatch": "schema-breach",
    "JsonSchemaError": "schema-breach",
    "MalformedJson": "unreadable-body",
    "MalformedMediaType": "wrong-content-type",
    "MissingContentType": "wrong-content-type",
    "MissingHeaders": "missing-header",
    "ServerError": "server-error",
    "UndefinedContentType": "wrong-content-type",
    "UndefinedStatusCode": "undeclared-status",
}
# What the HTTP client says where a connection was made and no whole answer came.
NO_ANSWER = {
    "ChunkedEncodingError",
    "ConnectionError",
    "ContentDecodingError",
    "InvalidHeader",
    "ReadTimeout",
    "Timeout",
}
ENDS: dict[str, FuzzEnd] = {"completed": "complete", "server_unavailable": "unreachable"}


@dataclass(frozen=True)
class FuzzFailure:
    """A way in which an operation failed: the contract broken, a 5xx, or no answer at all (`status` is None then).

    `reproduce` is a `curl` command without credentials; `count` says how many requests failed in this way.
    """

    operation: str
    kind: FuzzKind
    message: str
    status: int | None
    reproduce: str
    count: int = 1


@dataclass(frozen=True)
class FuzzError:
    """What could not be tried, and why: nobody's failure but the contract's, or that of the way to the subject."""

    operation: str | None
    message: str


@dataclass(frozen=True)
class Unjudged:
    """Requests that never came to the operation they were meant for: why, and how many of them."""

    operation: str
    reason: str
    count: int


@dataclass(frozen=True)
class FuzzReport:
    """The result of a run. `ended` other than `complete` means that silence proves nothing.

    Attributes:
        requests: how many were sent.
        operations_covered: the keys of the operations that were judged by at least one request.
        failures: what the subject did wrong.
        errors: what could not be tried.
        left_out: operations that were not tried at all, with the reason.
        seed: the same seed, contract and version send the same requests.
        ended: `deadline`: time was up; `unreachable`: nobody listens (any more); `broken-off`: see `errors`.
        unjudged: requests that say nothing about the subject: a proxy on the way refused them, or they went to another
            address than their operation's.

    """

    requests: int
    operations_covered: tuple[str, ...]
    failures: tuple[FuzzFailure, ...]
    errors: tuple[FuzzError, ...]
    left_out: tuple[tuple[str, str], ...]
    seed: int
    ended: FuzzEnd
    unjudged: tuple[Unjudged, ...] = ()


def read_report(
    events: Path,
    *,
    seed: int,
    timed_out: bool,
    left_out: tuple[tuple[str, str], ...] = (),
    base_url: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    origin_header: str | None = None,
) -> FuzzReport:
    """Read the events of a run.

    Args:
        events: the file; a missing one is a run that never began.
        seed: of the run.
        timed_out: the run was ended because its time was up.
        left_out: operations that the run was not asked to try.
        base_url: that of the run, for requests of which no more than their parts was recorded.
        headers: the caller's own; their values are never shown.
        origin_header: see `FuzzSettings`.

    """
    reader = _Reader(base_url, headers, origin_header)
    for name, event in _events(events):
        reader.read(name, event)
    ended: FuzzEnd = "deadline" if timed_out else reader.ended
    return FuzzReport(
        requests=reader.requests,
        operations_covered=tuple(sorted(reader.covered)),
        failures=tuple(
            replace(failure, count=reader.counts[key]) for key, failure in sorted(reader.failures.items(), key=str)
        ),
        errors=tuple(dict.fromkeys(reader.errors)),
        left_out=left_out,
        seed=seed,
        ended=ended,
        unjudged=tuple(Unjudged(*key, count) for key, count in sorted(reader.unjudged.items())),
    )


def _events(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                # The last line of a run that was ended may be half a line.
                continue
            yield from record.items()


class _Reader:
    def __init__(self, base_url: str, headers: Mapping[str, str], origin_header: str | None) -> None:
        self.requests = 0
        self.covered: set[str] = set()
        self.failures: dict[tuple[str, FuzzKind, int | None], FuzzFailure] = {}
        self.counts: Counter[tuple[str, FuzzKind, int | None]] = Counter()
        self.errors: list[FuzzError] = []
        self.ended: FuzzEnd = "broken-off"
        self.unjudged: Counter[tuple[str, str]] = Counter()
        self._base_url = base_url
        self._origin_header = origin_header
        self._own_headers = {name.lower() for name in headers}
        self._secrets = [value for value in headers.values() if len(value) >= SHORTEST_SECRET]
        self._unanswered: dict[str, str] = {}

    def read(self, name: str, event: dict[str, Any]) -> None:
        if name == "ScenarioFinished":
            self._scenario(event.get("recorder", {}))
        elif name == "NonFatalError":
            self._error(event)
        elif name == "FatalError":
            self.errors.append(FuzzError(None, self._shown(_message(event.get("exception")))))
        elif name == "EngineFinished":
            self.ended = ENDS.get(event.get("stop_reason", ""), "broken-off")

    def _error(self, event: dict[str, Any]) -> None:
        problem = event.get("value", {})
        operation = event.get("label") if event.get("related_to_operation") else None
        if operation is not None and problem.get("type") in NO_ANSWER and "refused" not in str(problem):
            # The request that got no answer stands in the scenario, which is reported after its error.
            self._unanswered[operation] = _message(problem)
        else:
            self.errors.append(FuzzError(operation, self._shown(_message(problem))))

    def _scenario(self, recorder: dict[str, Any]) -> None:
        operation = recorder.get("label", "")
        reason = self._unanswered.pop(operation, None)
        exchanges, cases = recorder.get("interactions", {}), recorder.get("cases", {})
        for case, exchange in exchanges.items():
            if exchange.get("response") is not None:
                self.requests += 1
                self._answered(operation, exchange, recorder.get("checks", {}).get(case, ()))
        # Of a request whose answer broke off, no exchange is recorded. Without a reason, it never reached anybody.
        unanswered = [case for case in cases if exchanges.get(case, {}).get("response") is None] if reason else []
        for case in unanswered:
            self.requests += 1
            request = exchanges.get(case, {}).get("request") or _request_of(cases[case]["value"], self._base_url)
            self._failed(FuzzFailure(operation, "no-answer", str(reason), None, self._curl(request)))

    def _answered(self, operation: str, exchange: dict[str, Any], checks: Iterable[dict[str, Any]]) -> None:
        request, response = exchange.get("request", {}), exchange["response"]
        status = response.get("status_code")
        if not _is_meant_for(operation, str(request.get("uri", "")).removeprefix(self._base_url)):
            # A client resolves `..`, which a value of an array may come to: a well-behaved one never asks for the rest.
            self.unjudged[operation, "sent to another address"] += 1
            return
        if self._origin_header is not None and self._origin_header not in response.get("headers", {}):
            if status in GATEWAY_ERRORS:
                message = f"{status} on the way: {_text(response.get('content'))}"
                self._failed(FuzzFailure(operation, "no-answer", message, None, self._curl(request)))
            else:
                self.unjudged[operation, f"refused on the way with {status}"] += 1
            return
        self.covered.add(operation)
        for check in checks:
            failure = check.get("failure_info", {}).get("failure")
            if check.get("status") == "failure" and failure is not None:
                kind = _kind(check.get("name", ""), failure)
                message = failure.get("message") or failure.get("title", "")
                self._failed(FuzzFailure(operation, kind, message, status, self._curl(request)))

    def _failed(self, failure: FuzzFailure) -> None:
        self.covered.add(failure.operation)
        key = (failure.operation, failure.kind, failure.status)
        self.counts[key] += 1
        self.failures.setdefault(key, replace(failure, message=self._shown(failure.message)))

    def _curl(self, request: dict[str, Any]) -> str:
        words = ["curl", "-X", str(request.get("method"))]
        for name, values in request.get("headers", {}).items():
            for value in values if isinstance(values, list) else [values]:
                words += ["-H", f"{name}: {REDACTED if name.lower() in self._own_headers else value}"]
        if body := _text(request.get("body")):
            words += ["--data-raw", body[:LONGEST_BODY]]
        words.append(str(request.get("uri")))
        return self._redacted(" ".join(shlex.quote(word) for word in words))

    def _shown(self, message: str) -> str:
        message = self._redacted(" ".join(message.split()))
        return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text


def _kind(check: str, failure: dict[str, Any]) -> FuzzKind:
    kind = KINDS.get(failure.get("type", ""), "other")
    return "header-breach" if kind == "schema-breach" and check == "response_headers_conformance" else kind


def _request_of(case: dict[str, Any], base_url: str) -> dict[str, Any]:
    path = str(case.get("path", ""))
    for name, value in case.get("path_parameters", {}).items():
        path = path.replace(f"{{{name}}}", str(value))
    query = case.get("query")
    uri = f"{base_url}{path}" + (f"?{urlencode(query, doseq=True)}" if isinstance(query, dict) and query else "")
    body = case.get("body")
    return {
        "method": case.get("method"),
        "uri": uri,
        "headers": case.get("headers", {}),
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
    }


def _is_meant_for(operation: str, target: str) -> bool:
    """Whether a request's path is one of the operation's path template, value by value."""
    template = operation.partition(" ")[2]
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in PLACEHOLDER.split(template))
    path = target.partition("?")[0]
    return re.fullmatch(pattern, path) is not None and not DOT_SEGMENTS.intersection(map(unquote, path.split("/")))


def _text(body: Any) -> str:  # noqa: ANN401 -- absent, text, or an object that holds bytes
    if isinstance(body, dict):
        return base64.b64decode(body.get("$base64", "")).decode(errors="backslashreplace")
    return str(body or "")


def _message(problem: Any) -> str:  # noqa: ANN401 -- any value of JSON
    return str(problem.get("message") or problem.get("type")) if isinstance(problem, dict) else str(problem)
