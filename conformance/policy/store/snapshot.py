"""All documents as of one version, held in memory, so that nobody reads 10,000 of them again for one change.

Invariant: a snapshot never changes; the next one is a copy of its two tables (10 ns for each document) with the change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.model.errors import UsageError
from conformance.model.policies import Kind, PolicyKey
from conformance.policy.store import Document, Stored
from conformance.policy.store.database import Row, Session

__all__ = ["EMPTY", "Snapshot", "from_text", "newest", "same", "text_of"]

# The last word on each document among the changes after one version and up to another.
LAST_WORDS = """
    SELECT kind, name, version, document FROM changes AS last
    WHERE version > ? AND version <= ? AND NOT EXISTS (
        SELECT 1 FROM changes AS later
        WHERE later.kind = last.kind AND later.name = last.name AND later.version > last.version AND later.version <= ?
    )
"""


@dataclass(frozen=True)
class Snapshot:
    """All documents as of a version: with the versions that made them, and, for judges, without."""

    version: int
    stored: dict[PolicyKey, Stored]
    documents: dict[PolicyKey, Document]

    def with_changes(self, version: int, changes: Iterable[tuple[PolicyKey, Stored | None]]) -> Snapshot:
        """The snapshot of a later version; None: deleted."""
        stored, documents = self.stored.copy(), self.documents.copy()
        for key, change in changes:
            if change is None:
                stored.pop(key, None)
                documents.pop(key, None)
            else:
                stored[key] = change
                documents[key] = change.document
        return Snapshot(version, stored, documents)

    def at(self, version: int, session: Session) -> Snapshot:
        """The snapshot of a later version, from what the store says about the way there."""
        if version == self.version:
            return self
        rows = session.rows(LAST_WORDS, self.version, version, version)
        return self.with_changes(version, map(_read, rows))


EMPTY = Snapshot(0, {}, {})


def newest(session: Session) -> int:
    """The newest version of the store."""
    return int(session.rows("SELECT coalesce(max(version), 0) FROM versions")[0][0])


def text_of(document: Document, key: PolicyKey) -> str:
    """A document as it is stored: in the author's order, and in ASCII, which every database keeps as it is.

    Raises:
        UsageError: it is not JSON.

    """
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            "the document cannot be written as JSON",
            where=" ".join(key),
            detail=str(error),
            next_step="use only objects, arrays, texts, finite numbers, true, false and null",
        ) from error


def from_text(text: str | None) -> Document | None:
    """What `text_of` wrote; None stays None: deleted."""
    return None if text is None else json.loads(text)


def same(one: Document, other: Document) -> bool:
    """Whether two documents say the same: the order of keys aside, but `1` is neither `1.0` nor `true`."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _read(row: Row) -> tuple[PolicyKey, Stored | None]:
    kind, name, version, text = row
    document = from_text(text)
    return (Kind(kind), name), None if document is None else Stored(document, version)
