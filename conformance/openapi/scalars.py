"""Plain texts and numbers that fit the keywords of a schema: type, format, lengths, pattern, bounds, steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeGuard

from conformance.openapi.bundle import UNREAD_PATTERN
from conformance.openapi.pattern_text import text_for_pattern

__all__ = ["TEXT", "NoValue", "number_for", "text_for", "whole"]

LONGEST_TEXT = 4096
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
TEXT = "example"
TEXT_BY_FORMAT = {
    "byte": "ZXhhbXBsZQ==",
    "date": "2024-01-15",
    "date-time": "2024-01-15T09:30:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "hostname": "example.org",
    "idn-email": "someone@example.org",
    "idn-hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "iri": "https://example.org/",
    "json-pointer": "/example",
    "regex": "^example$",
    "time": "09:30:00Z",
    "uri": "https://example.org/",
    "uri-reference": "/example",
    "url": "https://example.org/",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
}


class NoValue(Exception):  # noqa: N818 -- it becomes the stated reason of an operation, not an error
    """No honest value is known for a schema; the message says why."""


def text_for(schema: dict[str, Any]) -> str:
    """A text for a schema of strings.

    Raises:
        NoValue: it asks for a pattern or a length that is beyond this module.

    """
    if UNREAD_PATTERN in schema:
        raise NoValue(f"the pattern `{schema[UNREAD_PATTERN]}` cannot be read, and no example is given")
    least, longest = whole(schema, "minLength") or 0, whole(schema, "maxLength")
    if least > LONGEST_TEXT:
        raise NoValue(f"it asks for a text of {least} characters; {LONGEST_TEXT} are made at most")
    if isinstance(schema.get("pattern"), str):
        made = text_for_pattern(schema["pattern"], least)
        if made is None:
            raise NoValue(f"no text is known for the pattern `{schema['pattern']}`, and no example is given")
        return made
    text = TEXT_BY_FORMAT.get(str(schema.get("format")))
    if text is not None:
        return text
    text = (TEXT * (least // len(TEXT) + 1))[: max(least, len(TEXT))]
    return text if longest is None else text[:longest]


def number_for(schema: dict[str, Any], *, integer: bool) -> int | float:
    """A number for a schema of numbers, as near to 1 as its bounds allow.

    Raises:
        NoValue: none was found between its bounds.

    """
    step = schema.get("multipleOf")
    grid = step if _is_number(step) and step > 0 else 1
    bounds = [schema[key] for key in BOUNDS if _is_number(schema.get(key))]
    try:
        for candidate in _candidates(bounds, grid):
            if _keeps_bounds(schema, candidate) and (candidate / grid).is_integer():
                return int(candidate) if float(candidate).is_integer() else candidate
        # Only where no step is asked for may a number lie between the whole ones.
        middle: float = sum(bounds) / max(1, len(bounds))
        if not integer and step is None and _keeps_bounds(schema, middle):
            return middle
    except OverflowError:
        raise NoValue("its bounds are beyond what is calculated here") from None
    raise NoValue("no number is known between its bounds")


def _candidates(bounds: list[int | float], grid: float) -> Iterator[int | float]:
    yield from (1, grid, 0)
    for bound in bounds:
        for side in (math.ceil, math.floor):
            yield from (grid * (side(bound / grid) + shift) for shift in (0, 1, -1))


def _keeps_bounds(schema: dict[str, Any], number: float) -> bool:
    minimum, maximum, above, below = (schema.get(key) for key in BOUNDS)
    # Whether a bound is exclusive is a truth value in OpenAPI 3.0 and a bound of its own in 3.1.
    return not (
        (_is_number(minimum) and (number < minimum or (above is True and number == minimum)))
        or (_is_number(maximum) and (number > maximum or (below is True and number == maximum)))
        or (_is_number(above) and number <= above)
        or (_is_number(below) and number >= below)
    )


def whole(schema: dict[str, Any], key: str) -> int | None:
    """A length or count that the schema states; None where it states none."""
    value = schema.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_number(value: Any) -> TypeGuard[int | float]:  # noqa: ANN401 -- any value of JSON
    return isinstance(value, int | float) and not isinstance(value, bool)
