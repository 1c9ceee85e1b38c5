"""All policies of a mesh, judged: what is wrong with all of them, or with what a change touches.

Invariant: if nothing was wrong before a change, `problems_after` finds something exactly if `problems` does, and at the
cost of the change, not of the mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from conformance.model.policies import MESH, Kind, MemberPolicy, PolicyKey
from conformance.policy.documents.conversion import key_in, read
from conformance.policy.documents.index import PolicyIndex, Relation
from conformance.policy.documents.judging import faults
from conformance.policy.documents.problems import InvalidPolicies, Problem, name_of, pointer
from conformance.policy.documents.words import trust_domain_of
from conformance.policy.store import Document, Write

__all__ = ["IncrementalJudge", "PolicySet", "judge"]


class PolicySet(PolicyIndex):
    """Policies that are made of documents. It never changes; `with_writes` gives another one."""

    @classmethod
    def of(cls, documents: Mapping[PolicyKey, Document]) -> PolicySet:
        """All of these. What cannot be read is no error yet: `problems` has it."""
        return cls().changed(documents, ())

    def with_writes(self, writes: Iterable[Write]) -> PolicySet:
        """The set after these changes."""
        last = {write.key: write.document for write in writes}
        put = {key: document for key, document in last.items() if document is not None}
        return self.changed(put, last.keys() - put.keys())

    def changed(self, put: Mapping[PolicyKey, Document], deleted: Iterable[PolicyKey]) -> PolicySet:
        """The set with other documents, and without some."""
        changed = self
        for key in (*put, *deleted):
            changed = changed._without(key)
        for key, document in put.items():
            changed = changed._with(key, document)
        return changed

    def problems(self) -> list[Problem]:
        """Everything that is wrong."""
        return self._problems_in({*self.policies, *self.unreadable}, frozenset())

    def problems_after(self, changed: Iterable[PolicyKey], before: PolicySet) -> list[Problem]:
        """Everything that is wrong with what a change touches: the changed policies, and those that depend on them.

        Args:
            changed: kinds and names that were put or deleted.
            before: the set before the change.

        """
        keys = frozenset(changed)
        touched = {key for key in keys if key in self}
        for key in keys:
            touched.update(self._dependent(key, before))
        return self._problems_in(touched, frozenset(key for key in keys if key not in self))

    def _problems_in(self, keys: Iterable[PolicyKey], gone: frozenset[PolicyKey]) -> list[Problem]:
        found: list[Problem] = []
        for key in keys:
            if key in self.unreadable:
                found += self.unreadable[key]
            else:
                found += (
                    Problem(name_of(key), pointer(path), reason, step)
                    for path, reason, step in faults(self.policies[key], self, gone)
                )
        return sorted(found)

    def _dependent(self, key: PolicyKey, before: PolicySet) -> set[PolicyKey]:
        """The policies that a change of this one can make wrong."""
        kind, name = key
        if kind is Kind.MESH:
            return self._dependent_on_mesh(before)
        if kind is Kind.SERVICE:
            return {(Kind.MEMBER, each) for each in self.found(Relation.CALLS, name)} if key not in self else set()
        was, now = before.member(name), self.member(name)
        services: set[str] = set()
        if key not in self:
            services.update(self.found(Relation.PROVIDER, name))
        if _identity(was) != _identity(now):
            services.update(self.found(Relation.CALLER, name))
            domain = trust_domain_of(_identity(was))
            if not self.found(Relation.TRUST_DOMAIN, domain):
                services.update(self.found(Relation.CALLER_DOMAIN, domain))
        # Only a federation depends on members.
        mesh = {(Kind.MESH, MESH)} if self.mesh.federation else set()
        return {(Kind.SERVICE, each) for each in services} | mesh

    def _dependent_on_mesh(self, before: PolicySet) -> set[PolicyKey]:
        services = set(self.found(Relation.TOKENS))
        for mesh in (before.mesh, self.mesh):
            for domain in mesh.federation:
                services.update(self.found(Relation.CALLER_DOMAIN, domain.name))
        return {(Kind.SERVICE, each) for each in services}

    def _with(self, key: PolicyKey, document: Document) -> PolicySet:
        policy, problems = read(document, called=name_of(key))
        if policy is not None and key_in(document) != key:
            kind, name = key
            problems = [Problem(name_of(key), "", f"the document is not about {kind} `{name}`", "give it that name")]
        if policy is None or problems:
            return replace(self, unreadable=self.unreadable.insert(key, tuple(problems)))
        return replace(self, policies=self.policies.insert(key, policy), facts=self._facts_with(policy))

    def _without(self, key: PolicyKey) -> PolicySet:
        if key in self.unreadable:
            return replace(self, unreadable=self.unreadable.remove(key))
        if key not in self.policies:
            return self
        facts = self._facts_without(self.policies[key])
        return replace(self, policies=self.policies.remove(key), facts=facts)


class IncrementalJudge:
    """A `policy.store.Judge` that remembers the last set that was good, and looks only at what is different since.

    It is right whatever happened in between, also in other processes: what is different is seen from the documents.
    """

    def __init__(self) -> None:
        self._documents: Mapping[PolicyKey, Document] = {}
        self._good = PolicySet()

    def __call__(self, documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
        """Judge all documents as they would be.

        Raises:
            InvalidPolicies: something is wrong with what is different.

        """
        put = {
            key: document
            for key, document in documents.items()
            if self._documents.get(key) is not document and self._documents.get(key) != document
        }
        deleted = {key for key in self._documents if key not in documents}
        after = self._good.changed(put, deleted)
        # Whoever remembers nothing still knows from the writes what was there.
        deleted |= {write.key for write in writes if write.key not in documents}
        if problems := after.problems_after({*put, *deleted}, self._good):
            raise InvalidPolicies(problems)
        self._good, self._documents = after, dict(documents)


def judge(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
    """Judge all documents as they would be, without any memory (`policy.store.Judge`).

    Raises:
        InvalidPolicies: something is wrong with any of them.

    """
    IncrementalJudge()(documents, writes)


def _identity(member: MemberPolicy | None) -> str:
    return member.identity if member else ""
