"""Reading what was: documents as of a version, and the audit log.

Invariant: what a document was before a change is what the change before that one made of it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.store import Author, Document, Entry, Stored
from conformance.policy.store.database import Row, Session
from conformance.policy.store.snapshot import from_text

__all__ = ["document_at", "entries"]

AS_OF = """
    SELECT version, document FROM changes
    WHERE kind = ? AND name = ? AND version <= ? ORDER BY version DESC LIMIT 1
"""
VERSIONS: Final = """
    SELECT version, at, identity, role, note FROM versions
    WHERE version < ? ORDER BY version DESC LIMIT ?
"""
VERSIONS_OF_ONE: Final = """
    SELECT versions.version, at, identity, role, note FROM versions JOIN changes ON changes.version = versions.version
    WHERE kind = ? AND name = ? AND versions.version < ? ORDER BY versions.version DESC LIMIT ?
"""
CHANGES: Final = """
    SELECT version, kind, name, document, (
        SELECT document FROM changes AS earlier
        WHERE earlier.kind = changes.kind AND earlier.name = changes.name AND earlier.version < changes.version
        ORDER BY earlier.version DESC LIMIT 1
    ) FROM changes WHERE version >= ? AND version <= ?
"""
BEYOND = 2**31 - 1


def document_at(session: Session, key: PolicyKey, version: int) -> Stored | None:
    """One document as of a version."""
    for changed_in, text in session.rows(AS_OF, *key, version):
        document = from_text(text)
        return None if document is None else Stored(document, changed_in)
    return None


def entries(session: Session, *, key: PolicyKey | None, before: int | None, limit: int) -> list[Entry]:
    """The audit log, newest first."""
    before = BEYOND if before is None else min(before, BEYOND)
    if key is None:
        versions = session.rows(VERSIONS, before, max(limit, 0))
    else:
        versions = session.rows(VERSIONS_OF_ONE, *key, before, max(limit, 0))
    if not versions:
        return []
    span = (versions[-1][0], versions[0][0])
    rows = (
        session.rows(CHANGES, *span)
        if key is None
        else session.rows(f"{CHANGES} AND kind = ? AND name = ?", *span, *key)
    )
    changes: dict[int, dict[PolicyKey, tuple[Document | None, Document | None]]] = defaultdict(dict)
    for version, kind, name, text, text_before in rows:
        changes[version][Kind(kind), name] = (from_text(text_before), from_text(text))
    return [_entry(row, changes[row[0]]) for row in versions]


def _entry(row: Row, changes: dict[PolicyKey, tuple[Document | None, Document | None]]) -> Entry:
    version, at, identity, role, note = row
    return Entry(version=version, at=at, author=Author(identity, role), note=note, changes=changes)
