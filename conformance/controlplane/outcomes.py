"""What becomes of what is set for nodes, told as it happens: accepted, or refused with the reason.

Invariants: an outcome is told once, when it comes to be; the cost follows the answers of a node, not the number of
nodes; what waits to be read or answered is bounded for each node, since neighbours with the same outcome are told as
one. A proxy that never answers has no outcome: what was set for it is pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from conformance.controlplane.exchange import Rejection
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.snapshot import AppliedVersion

__all__ = ["Outcome", "OutcomeState", "Outcomes", "Pending", "Standing"]

# Behind a proxy that is silent for longer, the oldest versions are followed together.
FOLLOWED_APART = 64


class OutcomeState(StrEnum):
    """What became of something that was set."""

    APPLIED = "applied"
    """The proxy accepted it, or something newer in its place (ACK)."""
    REJECTED = "rejected"
    """The proxy refused some of it (NACK), and keeps what it accepted last. It may accept the very same later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of something that was set for a node.

    Attributes:
        node_id: the node.
        numbers: the `AppliedVersion.number` of what was set: mostly one; several if they share the outcome.
        state: what became of it.
        at: since when it is so, in seconds since the epoch.
        type: which type was refused; None: none.
        rejection: why; None: it was not.

    """

    node_id: str
    numbers: tuple[int, ...]
    state: OutcomeState
    at: float
    type: ResourceType | None = None
    rejection: Rejection | None = None


class Outcomes:
    """Iterates over outcomes as they come, without end. Whoever reads late reads them all the same."""

    def __init__(self) -> None:
        self._unread: dict[str, list[Outcome]] = {}
        self._awake = asyncio.Event()

    def tell(self, outcome: Outcome) -> None:
        """There is a new one."""
        of_node = self._unread.setdefault(outcome.node_id, [])
        last = of_node[-1] if of_node else None
        if last is not None and last.state is outcome.state:
            of_node[-1] = replace(outcome, numbers=last.numbers + outcome.numbers)
        else:
            of_node.append(outcome)
        self._awake.set()

    @property
    def unread(self) -> int:
        """How many have not been read."""
        return sum(map(len, self._unread.values()))

    def __aiter__(self) -> Outcomes:
        return self

    async def __anext__(self) -> Outcome:
        while not self._unread:
            self._awake.clear()
            await self._awake.wait()
        node_id, of_node = next(iter(self._unread.items()))
        outcome = of_node.pop(0)
        if not of_node:
            del self._unread[node_id]
        return outcome


class Standing(Protocol):
    """How a node stands to what was set for it."""

    def rejection_of(self, wanted: AppliedVersion) -> tuple[ResourceType, Rejection] | None:
        """The refusal of it."""

    def has_accepted(self, wanted: AppliedVersion) -> bool:
        """Whether nothing of it is missing, if it was not refused."""


@dataclass(slots=True, eq=False)
class _Open:
    """Something that has no final outcome yet: one version, or several, from the oldest to the newest."""

    oldest: AppliedVersion
    newest: AppliedVersion
    numbers: list[int]
    refused: bool = False

    def join(self, later: _Open) -> None:
        names = _united(self.newest.names, later.newest.names)
        first = {**later.oldest.versions, **self.oldest.versions}
        last = {**self.newest.versions, **later.newest.versions}
        self.oldest = replace(self.oldest, versions=first, names=names)
        self.newest = replace(later.newest, versions=last, names=names)
        self.numbers += later.numbers

    def is_overtaken_by(self, later: AppliedVersion) -> bool:
        return any(names & later.names[kind] for kind, names in self.newest.names.items() if kind in later.names)


class Pending:
    """What was set for one node and has no final outcome yet, oldest first."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._open: list[_Open] = []

    def add(self, version: AppliedVersion) -> None:
        """Something was set. What was refused before, and is now set anew, stays refused for good."""
        self._open = [each for each in self._open if not (each.refused and each.is_overtaken_by(version))]
        self._open.append(_Open(version, version, [version.number]))
        if len(self._open) > FOLLOWED_APART:
            silent = [each for each in self._open if not each.refused]
            if len(silent) < FOLLOWED_APART:
                self._open.remove(next(each for each in self._open if each.refused))
            else:
                silent[0].join(silent[1])
                self._open.remove(silent[1])

    def outcomes(self, node: Standing, at: float) -> list[Outcome]:
        """What has come to be since the last look."""
        found = []
        still_open = []
        for each in self._open:
            refusal = node.rejection_of(each.oldest)
            if refusal is not None:
                still_open.append(each)
                if not each.refused:
                    each.refused = True
                    found.append(Outcome(self._node_id, tuple(each.numbers), OutcomeState.REJECTED, at, *refusal))
            elif node.has_accepted(each.newest):
                found.append(Outcome(self._node_id, tuple(each.numbers), OutcomeState.APPLIED, at))
            else:
                still_open.append(each)
        self._open = still_open
        return found


def _united(
    one: Mapping[ResourceType, frozenset[str]], other: Mapping[ResourceType, frozenset[str]]
) -> dict[ResourceType, frozenset[str]]:
    return {kind: one.get(kind, frozenset()) | other.get(kind, frozenset()) for kind in {**one, **other}}
