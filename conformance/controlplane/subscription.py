"""What one stream asked of one resource type, what it was given, and what it is due: no I/O, no clock of its own.

Invariants: `due` holds existing, wanted resources that the client does not have or asked for anew; `gone` holds names
that the client has to be told are not there; a batch that was taken is due again only after a change or a new request.
So a client that is behind never queues more than the newest state. What the client refused counts as refused, name by
name, until it accepts a response that holds it or takes it away: most responses hold only what changed. Rules:
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from conformance.controlplane.exchange import Batch, Dialect, Rejection, Sent
from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.snapshot import Version

__all__ = ["PATIENCE_S", "Subscription"]

WILDCARD = "*"
# How long later types wait for an answer to earlier ones. Envoy withholds it while clusters warm; a cluster that never
# gets warm must not keep a policy from being enforced.
PATIENCE_S = 2.0


class Subscription:
    """The state machine of one type on one stream."""

    def __init__(self, kind: ResourceType, dialect: Dialect) -> None:
        self.type = kind
        self.dialect = dialect
        self.names: set[str] = set()
        self.wildcard = False
        self.acked: Version | None = None
        self.refused: dict[str, Rejection] = {}
        self.withheld = False
        self._asked_by_name = False
        self._unanswered = False
        self._lists_whole = dialect is Dialect.STATE_OF_THE_WORLD and kind.listed_whole
        self._held: dict[str, str] = {}
        self._due: set[str] = set()
        self._repeat: set[str] = set()
        self._gone: set[str] = set()
        self._departing: dict[str, Resource] = {}
        self._last_sent: Sent | None = None
        self._outstanding = False

    # -- what the client asks ------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        """Whether the client is subscribed to this name, by itself or through the wildcard."""
        return self.wildcard or name in self.names

    def wanted(self, names: Collection[str]) -> Collection[str]:
        """Which of these the client is subscribed to."""
        return names if self.wildcard else self.names.intersection(names)

    def ask(
        self, names: Collection[str], available: Mapping[str, Resource] | None, known: Version | None = None
    ) -> None:
        """A state-of-the-world request: `names` is the full list. `available` is None while the node is unknown.

        `known` is the present version if a reconnecting client says that it has just that already.
        """
        self._asked_by_name |= bool(names)
        explicit = set(names) - {WILDCARD}
        added = explicit - self.names
        wildcard = WILDCARD in names or (not self._asked_by_name and self.type.listed_whole)
        widened = wildcard and not self.wildcard
        self.names, self.wildcard = explicit, wildcard
        if widened and known is not None and available is not None:
            self._held = {name: resource.digest for name, resource in available.items()}
            self.acked = known
            return
        if not wildcard:
            for name in self._known_names() - explicit:
                self._forget(name)
        if self._lists_whole:
            self._unanswered |= bool(added) or widened
        self._refresh(set(available or ()) if widened else added, available, anew=True)

    def ask_delta(
        self,
        subscribe: Iterable[str],
        unsubscribe: Iterable[str],
        initial_versions: Mapping[str, str] | None,
        available: Mapping[str, Resource] | None,
    ) -> None:
        """A delta request. `initial_versions` is None but for the first of this type on the stream."""
        first = initial_versions is not None
        subscribed = set(subscribe)
        added = subscribed - {WILDCARD}
        legacy_wildcard = first and not subscribed and self.type.listed_whole
        widened = (WILDCARD in subscribed or legacy_wildcard) and not self.wildcard
        if initial_versions is not None:
            self._held.update(initial_versions)
        self.wildcard |= widened
        self.names |= added
        self._refresh(added, available, anew=not first)
        if widened:
            self._refresh(set(available or ()) - added, available, anew=False)
        self._unsubscribe(set(unsubscribe), available)
        if initial_versions is not None:
            self._unanswered = self.wildcard and not initial_versions
            for name in initial_versions:
                if not self.wants(name):
                    self._forget(name)
                elif available is not None and name not in available:
                    self._gone.add(name)

    def _unsubscribe(self, names: set[str], available: Mapping[str, Resource] | None) -> None:
        if WILDCARD in names:
            self.wildcard = False
            for name in self._known_names() - self.names:
                self._forget(name)
        for name in (names - {WILDCARD}) & self.names:
            self.names.discard(name)
            if self.wildcard:
                # The client cannot know whether the wildcard covers it too: it must be told.
                self._refresh({name}, available, anew=True)
            else:
                self._forget(name)

    def _refresh(self, names: Iterable[str], available: Mapping[str, Resource] | None, *, anew: bool) -> None:
        if available is None:
            return
        for name in names:
            resource = available.get(name)
            if resource is not None:
                if anew:
                    self._repeat.add(name)
                if anew or self._held.get(name) != resource.digest:
                    self._due.add(name)
            elif self.dialect is Dialect.DELTA:
                self._gone.add(name)

    # -- what changes on our side --------------------------------------------------------------------------------------

    def note_change(self, name: str, old: Resource | None, new: Resource | None) -> None:
        """A resource was set or removed."""
        if not self.wants(name):
            return
        if new is not None:
            self._gone.discard(name)
            self._departing.pop(name, None)
            if self._held.get(name) != new.digest:
                self._due.add(name)
            elif name not in self._repeat:
                self._due.discard(name)
            return
        self._due.discard(name)
        self._repeat.discard(name)
        if self.dialect is Dialect.DELTA:
            if name in self._held or name in self.names:
                self._gone.add(name)
        elif self._lists_whole:
            if name in self._held:
                self._gone.add(name)
                if old is not None:
                    self._departing[name] = old
        else:
            # Other types cannot be removed in this dialect: a proxy drops them when nothing refers to them any more.
            self._held.pop(name, None)
            self.refused.pop(name, None)

    def inherit(self, departing: Mapping[str, Resource]) -> None:
        """A client that reconnects still has these, though they were removed meanwhile."""
        for name, resource in departing.items():
            self._held[name] = resource.digest
            self._gone.add(name)
            self._departing[name] = resource

    def inherit_refusals(self, refused: Mapping[str, Rejection]) -> None:
        """A client that reconnects refused these; it still does, unless it says that it has them by now."""
        self.refused |= {name: why for name, why in refused.items() if name in self._due or name in self._gone}

    @property
    def departing(self) -> Mapping[str, Resource]:
        """Removed resources that a state-of-the-world client still has."""
        return self._departing

    def note_known(self, available: Mapping[str, Resource]) -> None:
        """The node, unknown so far, got its first resources."""
        for name in self._held.keys() - available.keys():
            self.note_change(name, None, None)
        self._refresh(set(available) if self.wildcard else self.names, available, anew=False)

    def repeat(self, names: Iterable[str], available: Mapping[str, Resource]) -> None:
        """Send these again, though they did not change, if the client is subscribed to them."""
        self._refresh([name for name in names if self.wants(name) and name in available], available, anew=True)

    # -- what is due ---------------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether there is anything to tell the client."""
        return bool(self._due or self._gone or self._unanswered)

    @property
    def has_news(self) -> bool:
        """Whether resources, or the first answer, are due; removals alone are not news."""
        return bool(self._due) or self._unanswered

    @property
    def has_removals(self) -> bool:
        """Whether the client has to be told that something is not there."""
        return bool(self._gone)

    def awaits_answer(self, now: float) -> bool:
        """Whether the client has yet to answer the last response, and patience has not run out."""
        return self._outstanding and self._last_sent is not None and now < self._last_sent.patience_until

    @property
    def patience_until(self) -> float | None:
        """When waiting for the outstanding answer ends."""
        return self._last_sent.patience_until if self._outstanding and self._last_sent else None

    def take(self, available: Mapping[str, Resource], *, hold_removals: bool) -> Batch | None:
        """What to send now, if anything; from then on the client counts as having it."""
        if not self.has_news and (hold_removals or not self._gone):
            return None
        novel = [available[name] for name in self._due if self._held.get(name) != available[name].digest]
        if self._lists_whole:
            listed = available if self.wildcard else {name: available[name] for name in self.names if name in available}
            if hold_removals and self._departing:
                listed = {**self._departing, **listed}
        else:
            listed = {name: available[name] for name in self._due}
        removed: list[str] = []
        transitional = hold_removals and bool(self._gone)
        if not transitional:
            removed = sorted(self._gone)
            for name in self._gone:
                self._held.pop(name, None)
            self._gone.clear()
            self._departing.clear()
        for resource in novel:
            self._held[resource.name] = resource.digest
        self._due.clear()
        self._repeat.clear()
        self._unanswered = False
        return Batch(listed, removed, novel, self._lists_whole, transitional)

    # -- what the client answers ---------------------------------------------------------------------------------------

    def sent(self, nonce: str, version: Version, now: float, batch: Batch) -> None:
        """A response went out."""
        self._last_sent = Sent(
            nonce, version, batch.transitional, batch.resources.keys(), batch.removed, now + PATIENCE_S
        )
        self._outstanding = True
        self.withheld = False

    def is_current(self, nonce: str) -> bool:
        """Whether `nonce` is that of the last response (or empty, while there was none)."""
        return nonce == self._last_sent.nonce if self._last_sent else True

    def answered(self, nonce: str, rejection: tuple[int, str] | None, at: float) -> Version | None:
        """An ACK (`rejection` is None) or a NACK. Returns the version concerned; None: not to the last response."""
        sent = self._last_sent
        if not self._outstanding or sent is None or nonce != sent.nonce:
            return None
        self._outstanding = False
        if rejection is not None:
            refusal = Rejection(sent.version, *rejection, at)
            self.refused |= {name: refusal for names in (sent.names, sent.removed) for name in names}
        else:
            if self._lists_whole:
                self.refused.clear()
            elif self.refused:
                self.refused = {name: why for name, why in self.refused.items() if not sent.holds(name)}
            if not sent.transitional:
                self.acked = sent.version
        sent.names = sent.removed = ()
        return sent.version

    def refusal_of(self, wanted: Version, names: Collection[str]) -> Rejection | None:
        """Why the client refused one of these as of `wanted` or of later; empty `names` stand for all that it has."""
        for name in self.refused.keys() & names if names else self.refused:
            refusal = self.refused[name]
            if refusal.version >= wanted or not self._is_pending(name):
                return refusal
        return None

    def has_reached(self, wanted: Version) -> bool:
        """Whether the client answered `wanted` or a later version, or is subscribed to nothing that changed since.

        What it refused of it stands in `refusal_of`.
        """
        if self.acked is not None and self.acked >= wanted:
            return True
        return not (self.has_news or self._gone or self._outstanding or self.withheld)

    def _is_pending(self, name: str) -> bool:
        if name in self._due or name in self._gone:
            return True
        return self._outstanding and self._last_sent is not None and self._last_sent.holds(name)

    def _known_names(self) -> set[str]:
        return self.names | set(self._held) | self._due | self._gone

    def _forget(self, name: str) -> None:
        self._held.pop(name, None)
        self._departing.pop(name, None)
        self.refused.pop(name, None)
        self._due.discard(name)
        self._repeat.discard(name)
        self._gone.discard(name)
