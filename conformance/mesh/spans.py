"""Spans as the collector holds them, whether they make up one trace, and whether they tell what they must not.

Pure. Invariants: ids are lower-case hexadecimal, as in `traceparent` (W3C Trace Context section 3.2.2); a finding names
what was found and where, and never repeats a marked value.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args
from urllib.parse import unquote_plus

from conformance.model.errors import SuiteFault
from conformance.protobuf.messages import DynamicMessage

__all__ = ["Attribute", "Chain", "Leak", "Span", "SpanKind", "SpanStatus", "chain", "contains_any", "spans_in"]

SpanKind: TypeAlias = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
SpanStatus: TypeAlias = Literal["unset", "ok", "error"]
Attribute: TypeAlias = "str | bool | int | float | bytes | list[Attribute] | dict[str, Attribute] | None"

# In the order of the numbers of OTLP's enumerations.
KINDS: tuple[SpanKind, ...] = get_args(SpanKind)
STATUSES: tuple[SpanStatus, ...] = get_args(SpanStatus)

SHORTEST_MARK = 6


@dataclass(frozen=True)
class Span:
    """One span, as its exporter told it.

    Attributes:
        parent_id: empty for the first span of a trace.
        service: `service.name` of the exporter's resource.
        resource: the other attributes of that resource.
        events: what happened meanwhile, by name and with attributes.
        start_ns: nanoseconds since 1970; `end_ns` too.

    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    service: str
    status: SpanStatus
    status_message: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    resource: Mapping[str, Attribute] = field(default_factory=dict)
    events: tuple[tuple[str, Mapping[str, Attribute]], ...] = ()

    def __str__(self) -> str:
        return f"{self.service} {self.name!r} ({self.span_id}, child of {self.parent_id or 'nobody'})"

    def texts(self) -> Iterator[tuple[str, str]]:
        """Everything in it that somebody chose, each with its place."""
        yield "name", self.name
        yield "service", self.service
        yield "status message", self.status_message
        yield from (("event", name) for name, _ in self.events)
        of_events = (("event attribute", attributes) for _, attributes in self.events)
        for kind, attributes in (("attribute", self.attributes), ("resource attribute", self.resource), *of_events):
            for key, value in attributes.items():
                yield f"{kind} key", key
                yield f"{kind} {key}", _text(value)


def spans_in(request: DynamicMessage) -> Iterator[Span]:
    """The spans of a decoded `ExportTraceServiceRequest`."""
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        service = str(resource.pop("service.name", ""))
        # Newer editions of OTLP call it `scope_spans`; number and encoding are the same.
        for scope in group.instrumentation_library_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=KINDS[span.kind] if span.kind < len(KINDS) else "unspecified",
                    service=service,
                    status=STATUSES[span.status.code] if span.status.code < len(STATUSES) else "unset",
                    status_message=span.status.message,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
                )


def _attributes(pairs: Iterable[DynamicMessage]) -> dict[str, Attribute]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: DynamicMessage) -> Attribute:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case plain:
            held: Attribute = getattr(value, plain)
            return held


def _text(value: Attribute) -> str:
    match value:
        case bytes():
            return value.decode(errors="backslashreplace")
        case list():
            return "\n".join(map(_text, value))
        case dict():
            return "\n".join(f"{key}: {_text(each)}" for key, each in value.items())
        case _:
            return str(value)


@dataclass(frozen=True)
class Chain:
    """Spans as a tree.

    Attributes:
        spans: parents before their children, in the order in which they began.
        problems: why they are no tree; empty if they are one.

    """

    spans: tuple[Span, ...]
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """They form one tree, from one beginning."""
        return not self.problems

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """The services of parent and child, for each span but the first."""
        services = {span.span_id: span.service for span in self.spans}
        return tuple((services[span.parent_id], span.service) for span in self.spans if span.parent_id in services)


def chain(spans: Sequence[Span], *, begun_by: str = "") -> Chain:
    """Judge whether spans form one tree: one trace, one beginning, and every parent is there.

    Args:
        spans: of one trace, in any order.
        begun_by: the span id with which the caller sent its request; empty: it sent none.

    """
    problems = []
    if len(traces := {span.trace_id for span in spans}) > 1:
        problems.append(f"there are {len(traces)} traces instead of one")
    times_seen = Counter(span.span_id for span in spans)
    problems += [f"the span id {each} is there {times} times" for each, times in times_seen.items() if times > 1]
    first = [span for span in spans if span.parent_id == begun_by]
    if len(first) != 1:
        who = f"are children of the caller's span {begun_by}" if begun_by else "have no parent"
        problems.append(f"{len(first)} spans {who}, instead of one")
    problems += [
        f"the parent of {span} is not there"
        for span in spans
        if span.parent_id != begun_by and span.parent_id not in times_seen
    ]
    ordered = _parents_first(spans, first)
    if not problems and len(ordered) < len(spans):
        problems.append(f"{len(spans) - len(ordered)} spans are their own ancestors")
    return Chain(ordered if not problems else tuple(spans), tuple(problems))


def _parents_first(spans: Sequence[Span], first: Sequence[Span]) -> tuple[Span, ...]:
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start_ns):
        children.setdefault(span.parent_id, []).append(span)
    ordered: dict[int, Span] = {}
    waiting = list(first)
    while waiting:
        span = waiting.pop()
        if id(span) not in ordered:
            ordered[id(span)] = span
            waiting += reversed(children.get(span.span_id, []))
    return tuple(ordered.values())


@dataclass(frozen=True)
class Leak:
    """A marked value that stands where it must not: which one (by its name), and where."""

    marked: str
    where: str


def contains_any(
    marked: Mapping[str, str], *, spans: Iterable[Span] = (), texts: Iterable[tuple[str, str]] = ()
) -> tuple[Leak, ...]:
    """Find personal or secret values in spans and in logs, also as they look in a URL, in JSON and in Base64.

    Args:
        marked: values that the caller planted in its requests, by a name that may be shown. Each must be so long and
            unusual that it stands nowhere by chance.
        spans: to be searched.
        texts: to be searched, such as lines of a log, each with its place.

    Raises:
        SuiteFault: a marked value is too short to prove anything.

    """
    if short := [name for name, value in marked.items() if len(value) < SHORTEST_MARK]:
        raise SuiteFault(
            f"marked values shorter than {SHORTEST_MARK} characters may stand anywhere by chance: {', '.join(short)}",
            next_step="plant longer values",
        )
    searched = [_Marked(name, value) for name, value in marked.items()]
    of_spans = (
        (f"span {span.span_id} of {span.service}: {place}", text) for span in spans for place, text in span.texts()
    )
    return tuple(
        Leak(
            each.name,
            "a place whose name tells it, too" if any(other.stands_in(where) for other in searched) else where,
        )
        for where, text in (*of_spans, *texts)
        for each in searched
        if each.stands_in(text)
    )


class _Marked:
    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._readable = {
            form.casefold() for form in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
        }
        self._encoded = set(_in_base64(value.encode()))

    def stands_in(self, text: str) -> bool:
        once = unquote_plus(text)
        readings = (text.casefold(), once.casefold(), unquote_plus(once).casefold())
        return any(form in text for form in self._encoded) or any(
            form in reading for form in self._readable for reading in readings
        )


def _in_base64(value: bytes) -> Iterator[str]:
    # Three bytes become four letters, so it depends on what stands before; letters at the edges hold bits of others.
    for before in range(3):
        preceded = b"\0" * before + value
        letters = base64.b64encode(preceded).decode()[(0, 2, 3)[before] : len(preceded) * 8 // 6]
        yield letters
        yield letters.replace("+", "-").replace("/", "_")
