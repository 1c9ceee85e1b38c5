"""What differs between two sets of documents, value by value.

Invariants: the order is that of kind, name and place, so two differences of the same sets are the same; lists are
compared item by item, because the order of rules and routes means something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from conformance.model.policies import PolicyKey
from conformance.policy.documents.problems import name_of, pointer
from conformance.policy.store import Document

__all__ = ["ABSENT", "Absent", "DocumentDifference", "ValueDifference", "difference", "difference_text"]

LONGEST_SHOWN = 200


class Absent(Enum):
    """Stands for a value that is not there; `null` is one that is."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True)
class ValueDifference:
    """One value that is new, gone or different.

    Attributes:
        path: JSON pointer; empty for the whole document.
        before: what it was, or ABSENT.
        after: what it is, or ABSENT.

    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class DocumentDifference:
    """What differs in one document: its values, or the whole of it where it is new or gone."""

    key: PolicyKey
    values: tuple[ValueDifference, ...]


def difference(
    before: Mapping[PolicyKey, Document | None], after: Mapping[PolicyKey, Document | None]
) -> list[DocumentDifference]:
    """Every document that differs; None stands for one that is not there, as in the audit log."""
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            values = [] if old is new else [ValueDifference("", _or_absent(old), _or_absent(new))]
        else:
            values = list(_values(old, new))
        if values:
            found.append(DocumentDifference(key, tuple(values)))
    return found


def difference_text(differences: list[DocumentDifference]) -> str:
    """For people: a line with the document's name, then its values with `-` before and `+` after."""
    lines = []
    for document in differences:
        (first, *_) = document.values
        state = "is new" if first.before is ABSENT and not first.path else "is changed"
        state = "is deleted" if first.after is ABSENT and not first.path else state
        lines.append(f"{name_of(document.key)} {state}")
        for value in document.values:
            for sign, shown in (("-", value.before), ("+", value.after)):
                if shown is not ABSENT:
                    lines.append(f"  {sign} {value.path or '(whole)'}: {_short(shown)}")
    return "\n".join(lines)


def _or_absent(document: Document | None) -> Document | Absent:
    return ABSENT if document is None else document


def _values(before: object, after: object) -> Iterator[ValueDifference]:
    # A stack of its own: documents of an old store may be deeper than those that are taken now.
    waiting: list[tuple[tuple[str | int, ...], Any, Any]] = [((), before, after)]
    while waiting:
        path, old, new = waiting.pop()
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            keys = sorted({*old, *new}, reverse=True)
            waiting += [((*path, key), old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys]
        elif isinstance(old, list) and isinstance(new, list):
            longest = max(len(old), len(new))
            padded = [[*each, *[ABSENT] * (longest - len(each))] for each in (old, new)]
            waiting += [((*path, place), *pair) for place, pair in reversed(list(enumerate(zip(*padded, strict=True))))]
        elif type(old) is bool or type(new) is bool:
            # 1 and true are equal to Python only.
            if old is not new:
                yield ValueDifference(pointer(path), old, new)
        elif old != new:
            yield ValueDifference(pointer(path), old, new)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=dict)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
