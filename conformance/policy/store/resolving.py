"""What followers are told: the policies that differ between two versions, with every caller resolved.

Invariants: what is told depends on the two versions and nothing else; it costs what changed between them, not what the
store holds; a service is told again when the identity of a member changes that it names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from conformance.model.policies import Kind, Policy, PolicyChange, PolicyKey
from conformance.model.policy import ServicePolicy
from conformance.policy.documents import PolicySet
from conformance.policy.store import Document, Write
from conformance.policy.store.database import Session
from conformance.policy.store.snapshot import Snapshot, from_text

__all__ = ["Resolver"]

CHANGED = """
    SELECT DISTINCT kind, name, (
        SELECT document FROM changes AS earlier
        WHERE earlier.kind = changes.kind AND earlier.name = changes.name AND earlier.version <= ?
        ORDER BY earlier.version DESC LIMIT 1
    ) FROM changes WHERE version > ? AND version <= ?
"""
ORDER = list(Kind)
"""Members before the services that name them."""


class Resolver:
    """Remembers the policies of the version that it was asked about last, for all followers. One thread uses it."""

    def __init__(self) -> None:
        self._version = 0
        self._policies = PolicySet()

    def change(self, session: Session, after: int, now: Snapshot) -> PolicyChange:
        """What differs between a version and a later snapshot."""
        before = _changed(session, after, now.version)
        policies = self._at(session, now)
        gone = [key for key, document in before.items() if document is not None and key not in now.documents]
        named = _named_anew(before, policies)
        put = [key for key in {*before, *named} if key in now.documents]
        return PolicyChange(
            version=now.version,
            put=tuple(_readable(policies, sorted(put, key=_order))),
            deleted=tuple(sorted(gone, key=_order)),
        )

    def _at(self, session: Session, now: Snapshot) -> PolicySet:
        if now.version < self._version:
            self._version, self._policies = 0, PolicySet()
        if now.version > self._version:
            self._policies = self._policies.with_writes(
                Write(key, now.documents.get(key)) for key in _changed(session, self._version, now.version)
            )
            self._version = now.version
        return self._policies


def _changed(session: Session, after: int, until: int) -> Mapping[PolicyKey, Document | None]:
    """What was changed between two versions, and what it was at the first of them."""
    rows = session.rows(CHANGED, after, after, until)
    return {(Kind(kind), name): from_text(text) for kind, name, text in rows}


def _named_anew(before: Mapping[PolicyKey, Document | None], policies: PolicySet) -> set[PolicyKey]:
    """The services that name a member whose identity is another one now."""
    old = PolicySet.of({key: document for key, document in before.items() if document and key[0] is Kind.MEMBER})
    return {
        (Kind.SERVICE, service)
        for kind, name in before
        if kind is Kind.MEMBER and old.identity_of(name) != policies.identity_of(name)
        for service in policies.services_naming(name)
    }


def _readable(policies: PolicySet, keys: list[PolicyKey]) -> Iterator[Policy]:
    for key in keys:
        if (policy := policies.policies.get(key)) is None:
            # No judge of this version lets it in; followers keep what they have.
            logging.getLogger(__name__).error("%s %s cannot be read: %s", *key, policies.unreadable[key])
        elif isinstance(policy, ServicePolicy):
            yield policies.resolved(policy)
        else:
            yield policy


def _order(key: PolicyKey) -> tuple[int, str]:
    return ORDER.index(key[0]), key[1]
