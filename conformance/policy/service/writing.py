"""How changes are made: conditions first, then the judge, then one commit, then one line of log.

Invariants: a write always says which version of the document it was made from, so that no update is lost, whatever the
caller sends; what is refused has changed nothing; every change has an author, and every attempt leaves a line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import MeshmarkError, UsageError
from conformance.model.policies import PolicyKey
from conformance.policy.documents import IncrementalJudge, InvalidPolicies
from conformance.policy.service.edge import Call
from conformance.policy.service.forms import change_word, name_of
from conformance.policy.service.observing import Observing
from conformance.policy.service.problems import MOST_FLAWS, Flaw, Problem, Reason
from conformance.policy.store import Conflict, Document, Store, Stored, Write
from conformance.policy.store.snapshot import same

__all__ = ["Change", "Writer", "newest"]


@dataclass(frozen=True)
class Change:
    """What became of a commit: the version that holds it, and what it did to each document."""

    version: int
    changes: Mapping[PolicyKey, str]

    @property
    def changed(self) -> bool:
        """Whether it did anything."""
        return any(word != "unchanged" for word in self.changes.values())

    def to_json(self) -> dict[str, Any]:
        """As in the contract."""
        return {"version": self.version, "changed": self.changed, "changes": _listed(self.changes)}


class Writer:
    """Commits to a store in the name of callers."""

    def __init__(self, store: Store, observing: Observing) -> None:
        self._store = store
        self._observing = observing
        # Each remembers what it saw last, and neither may be asked by two threads at once.
        self._judge = IncrementalJudge()
        self._rehearsing = IncrementalJudge()
        self._one_rehearsal = asyncio.Lock()

    async def commit(
        self, call: Call, writes: Sequence[Write], before: Mapping[PolicyKey, Stored], note: str, clash: Reason
    ) -> Change:
        """Make these changes, or none.

        Args:
            call: by whom.
            writes: each with the version that it was made from.
            before: the documents from which they were made.
            note: why.
            clash: how to call it if somebody else was there first.

        Raises:
            Problem: the documents are no good (422), or somebody else was there first (409 or 412).
            EnvironmentFault: the store does not answer.

        """
        try:
            version = await self._store.commit(writes, author=call.author, note=note, judge=self._judge)
        except MeshmarkError as error:
            self._observing.refused_change(call, [write.key for write in writes], _outcome(error))
            if isinstance(error, UsageError):
                raise refusal(error, clash) from error
            raise
        change = Change(version, what_changes(writes, before))
        self._observing.changed(call, change.version, change.changes)
        return change

    async def rehearse(self, writes: Sequence[Write]) -> tuple[int, dict[PolicyKey, str], list[Flaw]]:
        """What a commit of these writes would do to the newest version, and everything that is wrong with it."""
        version, before = await newest(self._store)
        changes = what_changes(writes, before)
        documents: dict[PolicyKey, Document] = {key: stored.document for key, stored in before.items()}
        for write in writes:
            if write.document is None:
                documents.pop(write.key, None)
            else:
                documents[write.key] = write.document
        flaws = [
            Flaw(f"was changed in version {current}, not in {write.expected}", name_of(write.key), version=current)
            for write in writes
            if write.expected not in {None, current := _changed_in(before, write.key)}
        ]
        effective = [write for write in writes if changes[write.key] != "unchanged"]
        if effective:
            try:
                async with self._one_rehearsal:
                    await asyncio.to_thread(self._rehearsing, documents, effective)
            except UsageError as error:
                flaws += refusal(error, Reason.CONFLICT).flaws
        return version, changes, flaws


async def newest(store: Store) -> tuple[int, Mapping[PolicyKey, Stored]]:
    """The newest version and its documents, which a store holds in memory; those of older ones it has to read."""
    version, documents = await store.version(), await store.documents()
    if await store.version() == version:
        return version, documents
    return version, await store.documents(version)


def what_changes(writes: Sequence[Write], before: Mapping[PolicyKey, Stored]) -> dict[PolicyKey, str]:
    """What writes do to documents: created, changed, deleted or unchanged."""
    result = {}
    for write in writes:
        old = before[write.key].document if write.key in before else None
        equal = old is not None and write.document is not None and same(old, write.document)
        result[write.key] = change_word(old, write.document, same=equal)
    return result


def refusal(error: UsageError, clash: Reason) -> Problem:
    """What a caller is told about a commit that was refused."""
    if isinstance(error, Conflict):
        flaws = [
            Flaw(f"was changed in version {version}" if version else "never was there", name_of(key), version=version)
            for key, version in error.documents.items()
        ]
        return Problem(clash, "somebody else was there first; read again, then decide again", flaws)
    if isinstance(error, InvalidPolicies):
        flaws = [
            Flaw(each.reason, each.document, each.path, next_step=each.next_step)
            for each in error.problems[:MOST_FLAWS]
        ]
        return Problem(Reason.INVALID, f"{error.what}; nothing was changed", flaws)
    return Problem(Reason.INVALID, f"{error.what}; nothing was changed", [Flaw(error.what, error.where or "")])


def _listed(changes: Mapping[PolicyKey, str]) -> list[dict[str, str]]:
    return [{"kind": kind.value, "name": name, "change": word} for (kind, name), word in changes.items()]


def _changed_in(documents: Mapping[PolicyKey, Stored], key: PolicyKey) -> int:
    return documents[key].changed_in if key in documents else 0


def _outcome(error: MeshmarkError) -> str:
    if isinstance(error, Conflict):
        return "conflict"
    return "invalid" if isinstance(error, UsageError) else "unavailable"
