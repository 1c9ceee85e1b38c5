"""How large a document may be, before anybody looks at what it says.

Invariant: looking costs no more than the document has values, and no depth can exhaust the interpreter's stack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

__all__ = ["DEEPEST", "LARGEST", "bounded"]

LARGEST: Final = 1024 * 1024
"""Bytes of a document as compact JSON."""
DEEPEST: Final = 32
"""Levels of objects and lists within each other."""


def bounded(document: object) -> tuple[str, str] | None:
    """What is too much about a document, and what to do; None if nothing is."""
    level = [document]
    for _ in range(DEEPEST + 1):
        if not level:
            break
        level = [child for value in level for child in _children(value)]
    if level:
        return f"nested more than {DEEPEST} levels deep", "flatten the document"
    try:
        size = len(json.dumps(document, separators=(",", ":"), default=dict, allow_nan=False))
    except ValueError:
        return "there is a number that JSON does not have", "write a plain decimal number"
    if size > LARGEST:
        return f"{size:,} bytes; {LARGEST:,} are taken at most", "divide what it says among several services"
    return None


def _children(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
