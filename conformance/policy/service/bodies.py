"""The body of a request, from the wire to a value of JSON that every store can keep.

Invariants: never more than `LARGEST_BODY` bytes are held, whatever a client announces; a value that comes out has no
duplicate keys, is nested at most `DEEPEST` levels, has at most `MOST_NAMES` names in an object, is finite, and is text
that UTF-8 and a database can hold.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from starlette.requests import Request

from conformance.policy.service.problems import MOST_FLAWS, Flaw, Problem, Reason

__all__ = ["DEEPEST", "LARGEST_BODY", "JsonValue", "read_json", "unstorable"]

JsonValue = Any
"""Any value of JSON."""

LARGEST_BODY = 1024 * 1024
DEEPEST = 32
MOST_NAMES = 1_000
"""Far more than any policy has; each unknown one costs the judge a search for the one that was meant."""
LARGEST_NUMBER = 2**53
"""Beyond it, readers of JSON disagree about a number (RFC 8259, section 6)."""

MEDIA_TYPE = re.compile(r'(?P<name>[\w.+-]+/[\w.+-]+)\s*(;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)


async def read_json(request: Request, accepted: Collection[str]) -> tuple[str, JsonValue]:
    """The body and its media type.

    Raises:
        Problem: 413, 415, 400 or 422.
        ClientDisconnect: the client is gone.

    """
    content_type = request.headers.get("content-type", "")
    found = MEDIA_TYPE.fullmatch(content_type.strip())
    media_type = found["name"].lower() if found else ""
    if media_type not in accepted:
        names = " or ".join(sorted(accepted))
        raise Problem(
            Reason.UNSUPPORTED_MEDIA_TYPE,
            f"the body must be {names}, in UTF-8",
            [Flaw(f"must be {names}", parameter="Content-Type")],
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(
            Reason.UNSUPPORTED_MEDIA_TYPE,
            "the body must not be encoded",
            [Flaw("must be absent", parameter="Content-Encoding")],
        )
    return media_type, _parsed(await _content(request))


async def _content(request: Request) -> bytes:
    content = bytearray()
    # The HTTP parser has checked that the header is a number.
    expected = int(request.headers.get("content-length", "0"))
    if expected <= LARGEST_BODY:
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_BODY:
                break
    if max(expected, len(content)) > LARGEST_BODY:
        detail = f"the body is larger than {LARGEST_BODY} bytes"
        raise Problem(Reason.TOO_LARGE, detail, [Flaw("is too large")])
    return bytes(content)


def _parsed(content: bytes) -> JsonValue:
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as reason:  # UnicodeDecodeError is a ValueError
        raise Problem(Reason.MALFORMED, "the body is not JSON in UTF-8", [Flaw("cannot be parsed")]) from reason
    flaws = list(islice(unstorable(value), MOST_FLAWS))
    if flaws:
        raise Problem(Reason.INVALID, "the body holds what cannot be kept", flaws)
    return value


def unstorable(value: JsonValue, pointer: str = "", depth: int = 0) -> Iterator[Flaw]:
    """What in a value of JSON cannot be kept; nothing deeper than the deepest level is looked at."""
    if depth > DEEPEST:
        yield Flaw(f"is nested deeper than {DEEPEST} levels", pointer=pointer)
    elif isinstance(value, dict):
        yield from _unstorable_object(value, pointer, depth)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from unstorable(each, f"{pointer}/{number}", depth + 1)
    elif isinstance(value, str):
        if not _is_text(value):
            yield Flaw("holds a character that cannot be kept", pointer=pointer)
    elif isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) <= LARGEST_NUMBER):
        yield Flaw("is too large a number", pointer=pointer)


def _unstorable_object(value: dict[str, Any], pointer: str, depth: int) -> Iterator[Flaw]:
    if len(value) > MOST_NAMES:
        yield Flaw(f"has more than {MOST_NAMES} names", pointer=pointer)
        return
    for key, each in value.items():
        here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if _is_text(key):
            yield from unstorable(each, here, depth + 1)
        else:
            yield Flaw("a name holds a character that cannot be kept", pointer=here)


def _is_text(text: str) -> bool:
    # A lone surrogate has no form in UTF-8, and databases do not keep NUL.
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        flaws = [Flaw(f"the name `{name}` is there twice") for name, count in counts.items() if count > 1]
        raise Problem(Reason.INVALID, "a name is there twice", flaws)
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
