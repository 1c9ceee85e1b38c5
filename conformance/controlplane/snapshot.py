"""What one node should have: an immutable snapshot per node, and the changes that lead from one to the next.

Invariants: a snapshot never changes; its versions only grow, also across control planes (the epoch is the start time);
a type whose resources did not change keeps its version and its very mapping.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from conformance.controlplane.resources import Resource, ResourceType

__all__ = ["AppliedVersion", "Change", "Snapshot", "Version", "new_epoch"]

_latest_epoch = 0


def new_epoch() -> int:
    """The start time in milliseconds, larger than any that this process has had before."""
    global _latest_epoch  # noqa: PLW0603 -- two control planes may start within one millisecond
    _latest_epoch = max(_latest_epoch + 1, time.time_ns() // 1_000_000)
    return _latest_epoch


class Version(NamedTuple):
    """The version of one type on one node; as text `epoch.number`. Later ones are greater."""

    epoch: int
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}"

    def next(self) -> Version:
        """The one after it."""
        return Version(self.epoch, self.number + 1)


@dataclass(frozen=True, slots=True)
class Change:
    """Resources to set and names to remove; the two have no name in common."""

    changed: Mapping[tuple[ResourceType, str], Resource]
    removed: frozenset[tuple[ResourceType, str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class AppliedVersion:
    """Which versions of which types carry what was set for a node; give it to `ControlPlane.acknowledged`.

    `versions` names the types that changed. When nothing changed it names them all: what was set is what they already
    have. `number` counts what was set for the node, from 1; `Outcome.numbers` refers to it.
    """

    node_id: str
    versions: Mapping[ResourceType, Version]
    names: Mapping[ResourceType, frozenset[str]] = field(repr=False)
    number: int = 0


NOTHING: MappingProxyType[str, Resource] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All resources of one node with the version of each type. `listings` are encoded on first use, then shared."""

    resources: Mapping[ResourceType, MappingProxyType[str, Resource]] = field(repr=False)
    versions: Mapping[ResourceType, Version]
    listings: dict[ResourceType, bytes] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def empty(cls, epoch: int) -> Snapshot:
        """No resources, yet a version for each type: the answer to a wildcard subscription is then "none"."""
        return cls(dict.fromkeys(ResourceType, NOTHING), dict.fromkeys(ResourceType, Version(epoch, 0)))

    def get(self, kind: ResourceType, name: str) -> Resource | None:
        """The resource, if there is one."""
        return self.resources[kind].get(name)

    def apply(self, change: Change) -> Snapshot:
        """The next snapshot. The cost follows the change, but for one shallow copy of each mapping concerned."""
        if not change:
            return self
        resources, versions = dict(self.resources), dict(self.versions)
        copied: dict[ResourceType, dict[str, Resource]] = {}
        for keys in (change.changed, change.removed):
            for kind, name in keys:
                if kind not in copied:
                    copied[kind] = self.resources[kind].copy()
                    resources[kind] = MappingProxyType(copied[kind])
                    versions[kind] = self.versions[kind].next()
                if keys is change.changed:
                    copied[kind][name] = change.changed[kind, name]
                else:
                    copied[kind].pop(name, None)
        return Snapshot(resources, versions)

    def effective(self, change: Change) -> Change:
        """The part of `change` that makes a difference."""
        if not change.removed and all(self.get(*key) is not new for key, new in change.changed.items()):
            return change
        return Change(
            {key: new for key, new in change.changed.items() if self.get(*key) is not new},
            frozenset(key for key in change.removed if self.get(*key) is not None),
        )
