"""JSON in the one spelling that a digest is taken of: RFC 8785.

Invariant: equal values have equal digests, whoever computes them, in whatever language and however many years later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

from conformance.model.errors import SuiteFault

__all__ = ["canonical", "digest", "plain"]

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
LARGEST_WHOLE_NUMBER = 2**53 - 1
"""Beyond it JSON's numbers are not exact (RFC 8785 section 3.2.2.3, RFC 7493 section 2.2)."""


def plain(value: Any) -> Any:  # noqa: ANN401 -- any value of JSON
    """A value without what JSON cannot carry exactly: half a surrogate pair becomes U+FFFD, a number beyond 2^53 text.
    A whole number is a whole number, because RFC 8785 has one spelling for 10 and 10.0.

    What is no JSON at all stays, and is refused when it is written.
    """
    if isinstance(value, str):
        return LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_WHOLE_NUMBER:
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_WHOLE_NUMBER:
        return int(value)
    return value


def canonical(value: Any) -> bytes:  # noqa: ANN401 -- any value of JSON
    """A value as RFC 8785 spells it.

    Raises:
        SuiteFault: it is no JSON.

    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, AttributeError, RecursionError, UnicodeError) as error:
        raise SuiteFault(
            f"the run record cannot be written as JSON: {error}",
            next_step="report a bug: evidence must be plain JSON, without bytes, infinity or keys that are not text",
        ) from error


def digest(value: Any) -> str:  # noqa: ANN401 -- any value of JSON
    """SHA-256 of the canonical spelling, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
