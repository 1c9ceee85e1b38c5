"""One node as the control plane knows it: what it should have, what it was sent, what it said to that.

Invariants: the history is bounded; counters outlive streams; a node that nobody ever set resources for is forgotten
with its last stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.controlplane.exchange import Rejection
from conformance.controlplane.metrics import Metrics
from conformance.controlplane.outcomes import Outcomes, Pending
from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.snapshot import AppliedVersion, Change, Snapshot, Version
from conformance.controlplane.status import Event, EventKind, NodeStatus, TypeStatus
from conformance.controlplane.subscription import Subscription

if TYPE_CHECKING:
    from conformance.controlplane.stream import Stream

__all__ = ["Node"]

log = logging.getLogger(__name__)

HISTORY_LENGTH = 128
# A proxy always follows these two; the others it asks for when one of these refers to them.
ROOT_TYPES = (ResourceType.LISTENER, ResourceType.CLUSTER)


@dataclass(slots=True)
class _Tally:
    sent: Version | None = None
    acked: Version | None = None
    responses: int = 0
    resources: int = 0
    bytes: int = 0


@dataclass(eq=False)
class Node:
    """The state of one node."""

    id: str
    snapshot: Snapshot
    known: bool = False
    streams: list[Stream] = field(default_factory=list)
    history: deque[Event] = field(default_factory=lambda: deque(maxlen=HISTORY_LENGTH))
    followers: Collection[Outcomes] = ()
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self._tallies: dict[ResourceType, _Tally] = {kind: _Tally() for kind in ResourceType}
        self._references: dict[ResourceType, Counter[str]] = {kind: Counter() for kind in ResourceType}
        self._departed: dict[ResourceType, dict[str, Resource]] = {}
        self._refused: dict[ResourceType, Mapping[str, Rejection]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._pending = Pending(self.id)
        self._told = 0

    def apply(self, change: Change) -> AppliedVersion:
        """Take over a change and tell the streams whom it concerns."""
        change = self.snapshot.effective(change)
        before, self.snapshot = self.snapshot, self.snapshot.apply(change)
        names: dict[ResourceType, set[str]] = {}
        for (kind, name), new in [*change.changed.items(), *((key, None) for key in change.removed)]:
            names.setdefault(kind, set()).add(name)
            old = before.get(kind, name)
            self._count_references(old, new)
            if not self.streams:
                self._note_departure(kind, name, old, new)
            if self.known:
                for stream in self.streams:
                    stream.note_change(kind, name, old, new)
        if not self.known:
            self.known = True
            for stream in self.streams:
                stream.note_known()
        for stream in self.streams:
            stream.wake()
        kinds = names or {kind: set() for kind in ResourceType}
        self._told += 1
        applied = AppliedVersion(
            self.id,
            {kind: self.snapshot.versions[kind] for kind in kinds},
            {kind: frozenset(changed) for kind, changed in kinds.items()},
            self._told,
        )
        if self.followers:
            self._pending.add(applied)
            # What still has to be sent will be answered.
            if not any([stream.is_due for stream in self.streams]):  # noqa: C419 -- mostly there is one
                self.look()
        return applied

    def detach(self, stream: Stream) -> None:
        """A stream is over. What its proxy was about to lose, it may still have when it comes back."""
        self.streams.remove(stream)
        if not self.streams:
            for kind, subscription in stream.subscriptions.items():
                self._departed.setdefault(kind, {}).update(subscription.departing)
                self._refused[kind] = subscription.refused
        self.look()

    def will_ask_for(self, kind: ResourceType) -> bool:
        """Whether a proxy with these resources subscribes to the type, sooner or later."""
        return bool(self.snapshot.resources[kind] if kind in ROOT_TYPES else self._references[kind])

    def departed(self, kind: ResourceType) -> Mapping[str, Resource]:
        """What was removed while the node was away; it is handed over to the first stream that asks."""
        return self._departed.pop(kind, {})

    def refused(self, kind: ResourceType) -> Mapping[str, Rejection]:
        """What the node refused on the stream that ended last; it is handed over to the first stream that asks."""
        return self._refused.pop(kind, {})

    def _note_departure(self, kind: ResourceType, name: str, old: Resource | None, new: Resource | None) -> None:
        if kind in ROOT_TYPES:
            departed = self._departed.setdefault(kind, {})
            if new is not None:
                departed.pop(name, None)
            elif old is not None:
                departed[name] = old

    def _count_references(self, old: Resource | None, new: Resource | None) -> None:
        for kind, name in old.references if old is not None else ():
            self._references[kind][name] -= 1
            if not self._references[kind][name]:
                del self._references[kind][name]
        for kind, name in new.references if new is not None else ():
            self._references[kind][name] += 1

    def send_anew(self, kinds: Sequence[ResourceType]) -> None:
        """Give the node again what it has of these types."""
        for stream in self.streams:
            stream.send_anew(kinds)
            stream.wake()

    # -- observation ---------------------------------------------------------------------------------------------------

    def record(self, kind: EventKind, type_: ResourceType | None = None, version: Version | None = None) -> None:
        """Remember an event and let those look who wait for one."""
        self.history.append(Event(time.time(), kind, type_, version))
        if kind is not EventKind.RESPONSE:
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)

    def record_sent(self, kind: ResourceType, version: Version, resources: int, size: int) -> None:
        """Count a response."""
        tally = self._tallies[kind]
        tally.sent = version
        tally.responses += 1
        tally.resources += resources
        tally.bytes += size
        self.metrics.sent(kind, resources, size)
        self.record(EventKind.RESPONSE, kind, version)

    def record_answer(self, kind: ResourceType, version: Version, *, refused: bool) -> None:
        """Keep what the node said about a version."""
        if refused:
            log.info("node %s rejected %s version %s", self.id, kind, version)
        else:
            self._tallies[kind].acked = version
        self.metrics.answered(kind, refused=refused)
        self.record(EventKind.NACK if refused else EventKind.ACK, kind, version)

    def look(self) -> None:
        """Tell followers what has come of what was set."""
        if self.followers:
            for outcome in self._pending.outcomes(self, time.time()):
                for follower in self.followers:
                    follower.tell(outcome)

    def status(self) -> NodeStatus:
        """What is known about the node now."""
        return NodeStatus(
            self.id,
            self.known,
            min((stream.connected_at for stream in self.streams), default=None),
            len(self.streams),
            {kind: self._type_status(kind, tally) for kind, tally in self._tallies.items()},
        )

    def _type_status(self, kind: ResourceType, tally: _Tally) -> TypeStatus:
        followers = self._followers(kind)
        refused = [self._refused.get(kind, {}), *(follower.refused for follower in followers)]
        rejections = (rejection for each in refused for rejection in each.values())
        return TypeStatus(
            self.snapshot.versions[kind],
            tally.sent,
            tally.acked,
            max(rejections, key=lambda each: each.version, default=None),
            frozenset().union(*refused),
            bool(followers),
            tally.responses,
            tally.resources,
            tally.bytes,
        )

    async def something_new(self) -> None:
        """Return after the next request, connection or disconnection."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def rejection_of(self, wanted: AppliedVersion) -> tuple[ResourceType, Rejection] | None:
        """The refusal of a wanted version, or of a later one that stands in its place."""
        for kind, version in wanted.versions.items():
            for follower in self._followers(kind):
                refusal = follower.refusal_of(version, wanted.names[kind])
                if refusal is not None:
                    return kind, refusal
        return None

    def has_accepted(self, wanted: AppliedVersion) -> bool:
        """Whether nothing is missing of a version that was not refused."""
        for kind, version in wanted.versions.items():
            if self._behind(kind, version) is not None or self._is_unasked(kind, wanted.names[kind]):
                return False
        return bool(self.streams)

    def missing_of(self, wanted: AppliedVersion) -> list[str]:
        """In words, what is still missing until `wanted` is acknowledged; empty when it is."""
        if not self.streams:
            return ["the node is not connected"]
        words = []
        for kind, version in wanted.versions.items():
            behind = self._behind(kind, version)
            if self._is_unasked(kind, wanted.names[kind]):
                words.append(f"{kind}: not subscribed to yet")
            elif behind is not None:
                words.append(f"{kind}: {version} wanted, last acknowledged {behind.acked or 'none'}")
        return words

    def _is_unasked(self, kind: ResourceType, names: frozenset[str]) -> bool:
        """Whether the proxy has yet to subscribe to one of these, and will."""
        unasked = names.difference(*(follower.wanted(names) for follower in self._followers(kind)))
        present, referred_to = self.snapshot.resources[kind], self._references[kind]
        return any(name in present and (kind in ROOT_TYPES or name in referred_to) for name in unasked)

    def _behind(self, kind: ResourceType, version: Version) -> Subscription | None:
        """A subscription that has not answered this version."""
        for follower in self._followers(kind):
            if not follower.has_reached(version):
                return follower
        return None

    def _followers(self, kind: ResourceType) -> list[Subscription]:
        return [stream.subscriptions[kind] for stream in self.streams if kind in stream.subscriptions]
