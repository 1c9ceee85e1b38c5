"""Evidence as blocks that a person can read: facts, tables, lines, messages; whatever has no better form stays JSON.

Invariants: the form follows from the shape of what was observed and never from its values; nothing is left out without
a note that says how much; the order does not depend on the order of keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias, TypeGuard

from conformance.report.language import say

__all__ = ["MOST_ROWS", "Block", "Facts", "Lines", "Table", "blocks"]

MOST_ROWS = 50
MOST_COLUMNS = 6

MESSAGE_KEYS = frozenset({"method", "url", "path", "authority", "status", "version", "headers", "trailers", "body"})

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Facts:
    """Names and single values."""

    caption: str
    pairs: Pairs
    left_out: str = ""
    form: str = "facts"


@dataclass(frozen=True)
class Table:
    """Things of one kind, or the same thing before and after."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: str = ""
    form: str = "table"


@dataclass(frozen=True)
class Lines:
    """Text as it stands: a message, log lines, JSON."""

    caption: str
    text: str
    left_out: str = ""
    form: str = "lines"


Block: TypeAlias = Facts | Table | Lines


def blocks(observed: Mapping[str, Any]) -> list[Block]:
    """What was observed: single values first, then messages, then the rest."""
    if _is_comparison(observed):
        return [_comparison("", observed["before"], observed["after"])]
    if _is_message(observed):
        return [_message("", observed)]
    single = {name: value for name, value in observed.items() if _is_single(value)}
    found: list[Block] = [_facts("", single)] if single else []
    rest = sorted((not _is_message(value), name) for name, value in observed.items() if name not in single)
    return found + [_block(name, observed[name]) for _, name in rest]


def _block(name: str, value: Any) -> Block:  # noqa: ANN401 -- any JSON value
    found = None
    if isinstance(value, Mapping) and value:
        found = _block_of_mapping(name, value)
    elif isinstance(value, list) and value:
        found = _block_of_list(name, value)
    return found or Lines(name, _json(value))


def _block_of_mapping(name: str, value: Mapping[str, Any]) -> Block | None:
    if _is_message(value):
        return _message(name, value)
    if _is_comparison(value):
        return _comparison(name, value["before"], value["after"])
    if all(map(_is_single, value.values())):
        return _facts(name, value)
    if all(map(_is_row, value.values())):
        return _table(name, [each | {"name": key} for key, each in sorted(value.items())], first="name")
    return None


def _block_of_list(name: str, value: list[Any]) -> Block | None:
    if all(map(_is_single, value)):
        return Lines(name, "\n".join(map(_spelled, value[:MOST_ROWS])), _left_out(value, "lines"))
    if all(map(_is_row, value)):
        return _table(name, value)
    return None


def _facts(caption: str, values: Mapping[str, Any]) -> Facts:
    pairs = sorted(values.items())
    return Facts(
        caption, tuple((name, _spelled(value)) for name, value in pairs[:MOST_ROWS]), _left_out(pairs, "facts")
    )


def _table(caption: str, entries: Sequence[Mapping[str, Any]], first: str | None = None) -> Block:
    # Names come before numbers, so that the first column says what a row is about.
    texts = {name for entry in entries for name, value in entry.items() if isinstance(value, str)}
    names = sorted({*chain.from_iterable(entries)}, key=lambda name: (name != first, name not in texts, name))
    if len(names) > MOST_COLUMNS:
        lines = (json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in entries[:MOST_ROWS])
        return Lines(caption, "\n".join(lines), _left_out(entries, "lines"))
    rows = tuple(
        tuple(_spelled(entry[name]) if name in entry else "" for name in names) for entry in entries[:MOST_ROWS]
    )
    return Table(caption, tuple(names), rows, _left_out(entries, "rows"))


def _comparison(caption: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Table:
    names = sorted({*before, *after})
    rows = []
    for name in names[:MOST_ROWS]:
        old, new = before.get(name, ""), after.get(name, "")
        change = (f"{new - old:+g}" if new != old else "0") if _is_number(old) and _is_number(new) else ""
        rows.append((name, _spelled(old), _spelled(new), change))
    return Table(caption, ("name", "before", "after", "change"), tuple(rows), _left_out(names, "rows"))


def _message(caption: str, message: Mapping[str, Any]) -> Lines:
    """An HTTP request or response the way RFC 9110 writes examples: start line, fields, empty line, content."""
    if "method" in message:
        start = f"{message['method']} {message.get('url', message.get('path', ''))}"
    else:
        start = f"{message.get('version', 'HTTP')} {message['status']}"
    fields = [("authority", message["authority"])] if message.get("authority") else []
    lines = [start, *(f"{name}: {_spelled(value)}" for name, value in fields + _fields(message.get("headers")))]
    if message.get("body"):
        lines += ["", _content(message["body"])]
    if trailers := _fields(message.get("trailers")):
        lines += ["", *(f"{name}: {_spelled(value)}" for name, value in trailers)]
    return Lines(caption, "\n".join(lines))


def _fields(headers: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 -- a mapping, a list of pairs, or none
    if isinstance(headers, Mapping):
        return sorted(headers.items())
    return [(_spelled(name), value) for name, value in headers or ()]


def _content(body: Any) -> str:  # noqa: ANN401 -- text or any JSON value
    return body if isinstance(body, str) else _json(body)


def _json(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _is_single(value: object) -> TypeGuard[str | int | float | bool | None]:
    return value is None or isinstance(value, str | int | float)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_row(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and bool(value) and all(_is_single(each) for each in value.values())


def _is_comparison(value: Mapping[str, Any]) -> bool:
    return value.keys() == {"before", "after"} and all(
        isinstance(side, Mapping) and all(_is_single(each) for each in side.values()) for side in value.values()
    )


def _is_message(value: object) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(value, Mapping):
        return False
    headers = value.get("headers")
    in_pairs = isinstance(headers, list) and all(isinstance(each, list) and len(each) == 2 for each in headers)
    return (
        value.keys() <= MESSAGE_KEYS
        and ("method" in value or "status" in value)
        and (headers is None or isinstance(headers, Mapping) or in_pairs)
        and isinstance(value.get("trailers"), Mapping | None)
    )


def _spelled(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _left_out(entries: Sequence[Any], what: str) -> str:
    return say(f"more.{what}", number=len(entries) - MOST_ROWS) if len(entries) > MOST_ROWS else ""
