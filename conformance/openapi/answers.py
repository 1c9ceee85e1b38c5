"""Whether an answer keeps the contract: openapi-core judges what was captured on the wire, each breach has its kind.

Invariants: the subject is never blamed for a rule that cannot be read (`unjudgeable`); nothing is fetched. To import
this module is cheap; the first `ContractValidator` costs 0.8 s, because openapi-core is imported for it.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from conformance.openapi.contract import Contract
from conformance.openapi.examples import ExampleRequest
from conformance.openapi.tool_document import NOTHING_IS_FETCHED, tool_document

if TYPE_CHECKING:
    from openapi_core.datatypes import RequestParameters
    from werkzeug.datastructures import Headers

__all__ = ["Answer", "Breach", "BreachKind", "ContractValidator"]

BreachKind: TypeAlias = Literal[
    "undeclared-operation",
    "undeclared-status",
    "wrong-content-type",
    "missing-body",
    "unreadable-body",
    "schema-breach",
    "missing-header",
    "header-breach",
    "unjudgeable",
]

SERVER = "http://contract.invalid"
LONGEST_MESSAGE = 500
MOST_BREACHES_OF_ONE_SCHEMA = 20
# RFC 9110, sections 6.4.1 and 15: these never have a body.
STATUSES_WITHOUT_BODY = {204, 205, 304}
# What comes through openapi-core where a schema is none: `type: 7`, `properties: []`, an endless `allOf` of itself.
CONTRACT_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, re.error)


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in the order of the wire, body (empty if there was none)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Breach:
    """One way in which an answer breaks the contract; `unjudgeable` is none: the contract's own rule is unreadable."""

    kind: BreachKind
    message: str


@dataclass
class _Request:
    """What openapi-core asks of a request."""

    method: str
    path: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None
    host_url: str = SERVER


@dataclass
class _Response:
    """What openapi-core asks of an answer."""

    status_code: int
    headers: Headers
    content_type: str
    data: bytes | None


class _NotJudgedError(Exception):
    """Bodies of this media type are compared with no schema."""


class _Decoders(dict[str, Callable[..., Any]]):
    """Reads bodies by the media type that they have, where openapi-core goes by the one declared (`*/*` among them)."""

    media_type = ""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Callable[..., Any]:
        return self._decoded

    def _decoded(self, body: bytes, **_: str) -> Any:  # noqa: ANN401 -- any value of JSON
        if _is_json(self.media_type):
            try:
                return json.loads(body)
            except RecursionError:
                raise ValueError("nested too deep") from None
        if self.media_type.startswith("text/"):
            return body.decode(errors="replace")
        raise _NotJudgedError(self.media_type)


class ContractValidator:
    """Judges answers by one contract."""

    def __init__(self, contract: Contract) -> None:
        from jsonschema_path import SchemaPath  # noqa: PLC0415 -- 0.8 s
        from openapi_core.validation.response import validators  # noqa: PLC0415

        document = _with_plain_media_types(tool_document(contract.document, base_url=SERVER))
        document["paths"] = _without_queries(document.get("paths"))
        path = SchemaPath.from_dict(document, handlers=NOTHING_IS_FETCHED)
        newer = contract.openapi_version.startswith("3.1")
        heads = validators.V31ResponseHeadersValidator if newer else validators.V30ResponseHeadersValidator
        bodies = validators.V31ResponseDataValidator if newer else validators.V30ResponseDataValidator
        self._decoders = _Decoders()
        self._heads = heads(path)
        self._bodies = bodies(path, extra_media_type_deserializers=self._decoders)

    def problems_of(self, request: ExampleRequest, answer: Answer) -> tuple[Breach, ...]:
        """Every breach of the contract in the answer to this request; none if it keeps the contract."""
        head = list(self._judged(self._heads.iter_errors, request, answer))
        if any(breach.kind in {"undeclared-operation", "undeclared-status"} for breach in head):
            return tuple(head)
        if request.method == "HEAD" or answer.status in STATUSES_WITHOUT_BODY:
            return tuple(head)
        return (*self._judged(self._bodies.iter_errors, request, answer), *head)

    def _judged(
        self,
        errors_of: Callable[[Any, Any], Iterable[Exception]],
        request: ExampleRequest,
        answer: Answer,
    ) -> Iterator[Breach]:
        from jsonschema.exceptions import UnknownType  # type: ignore[import-untyped]  # noqa: PLC0415

        asked, answered = _converted(request, answer)
        self._decoders.media_type = answered.content_type
        with warnings.catch_warnings():
            # It warns of what the contract marks as deprecated.
            warnings.simplefilter("ignore")
            try:
                for error in errors_of(asked, answered):
                    yield from _breaches_of(error, answered)
            except _NotJudgedError as problem:
                if re.search("xml|form", str(problem)):
                    yield Breach("unjudgeable", f"bodies of the media type `{problem}` are compared with no schema")
            except (UnknownType, *CONTRACT_UNREADABLE) as problem:
                reason = f"{type(problem).__name__}: {problem}"
                yield Breach("unjudgeable", _short(f"the contract cannot be applied: {reason}"))


def _converted(request: ExampleRequest, answer: Answer) -> tuple[_Request, _Response]:
    from openapi_core.datatypes import RequestParameters  # noqa: PLC0415
    from werkzeug.datastructures import Headers  # noqa: PLC0415

    path = request.path.partition("?")[0]
    # RFC 9110, section 5.5: line ends in a value count as spaces.
    headers = Headers([(name, re.sub(r"[\r\n]", " ", value)) for name, value in answer.headers])
    # Parameters such as the character set are none of the contract's business, and may be garbage.
    media_type = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    return (
        _Request(request.method.lower(), path, RequestParameters(), "", request.body),
        _Response(answer.status, headers, media_type, answer.body or None),
    )


def _breaches_of(error: Exception, answered: _Response) -> Iterator[Breach]:
    from openapi_core.templating.media_types.exceptions import MediaTypeFinderError  # noqa: PLC0415
    from openapi_core.templating.paths.exceptions import PathError  # noqa: PLC0415
    from openapi_core.templating.responses.exceptions import ResponseNotFound  # noqa: PLC0415
    from openapi_core.validation.response.exceptions import (  # noqa: PLC0415
        HeaderValidationError,
        MissingData,
        MissingRequiredHeader,
    )
    from openapi_core.validation.schemas.exceptions import InvalidSchemaValue  # noqa: PLC0415

    cause = error.__cause__
    if isinstance(error, PathError):
        yield Breach("undeclared-operation", "the contract has no such operation")
    elif isinstance(error, ResponseNotFound):
        declared = ", ".join(error.availableresponses) or "none"
        yield Breach("undeclared-status", f"status {error.http_status}; declared: {declared}")
    elif isinstance(error, MissingRequiredHeader):
        yield Breach("missing-header", f"the header `{error.name}` is required")
    elif isinstance(error, MissingData):
        # Nothing is a text, too.
        if not answered.content_type.startswith("text/"):
            yield Breach("missing-body", "the contract declares a body, and none came")
    elif isinstance(cause, MediaTypeFinderError):
        declared = ", ".join(getattr(cause, "availableMimetypes", []))
        yield Breach("wrong-content-type", f"`{_short(answered.content_type)}`; declared: {declared}")
    elif isinstance(error, HeaderValidationError):
        yield from _schema_breaches("header-breach", f"the header `{error.name}`: ", cause)
    elif isinstance(cause, InvalidSchemaValue):
        yield from _schema_breaches("schema-breach", "", cause)
    else:
        yield Breach("unreadable-body", f"the body is not what `{_short(answered.content_type)}` says")


def _schema_breaches(kind: BreachKind, prefix: str, cause: BaseException | None) -> Iterator[Breach]:
    errors = list(getattr(cause, "schema_errors", ()))
    for error in errors[:MOST_BREACHES_OF_ONE_SCHEMA]:
        place = "/".join(map(str, getattr(error, "absolute_path", ())))
        message = str(getattr(error, "message", error))
        yield Breach(kind, _short(f"{prefix}at `/{place}`: {message}"))
    if not errors:
        yield Breach(kind, _short(f"{prefix}{cause}"))


def _without_queries(paths: Any) -> dict[str, Any]:  # noqa: ANN401 -- any value of JSON
    """Paths alone: some contracts write a query into them, `/beneficiaries?command=validate`."""
    result: dict[str, Any] = {}
    for path, item in paths.items() if isinstance(paths, dict) else ():
        plain = path.partition("?")[0]
        both_merge = isinstance(item, dict) and isinstance(result.get(plain), dict)
        result[plain] = {**result[plain], **item} if both_merge else item
    return result


def _with_plain_media_types(node: Any) -> Any:  # noqa: ANN401 -- any value of JSON
    """A copy whose media types have no parameters: `application/json; charset=utf-8` declares JSON."""
    if isinstance(node, list):
        return [_with_plain_media_types(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {_plain(name): _with_plain_media_types(each) for name, each in value.items()}
        if key == "content" and isinstance(value, dict)
        else _with_plain_media_types(value)
        for key, value in node.items()
    }


def _plain(name: str) -> str:
    # A property may be called `content`; the keywords of its schema have no slash.
    return name.partition(";")[0].strip().lower() if "/" in name else name


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."
