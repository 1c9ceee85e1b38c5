"""What one stream asked of one resource type, what it was given, and what it is due: no I/O, no clock of its own.

Invariants: `due` holds existing, wanted resources that the client does not have or asked for anew; `gone` holds names
that the client has to be told are not there; a batch that was taken is due again only after a change or a new request.
So a client that is behind never queues more than the newest state. What the client refused counts as refused, name by
name, until it accepts a response that holds it or takes it away: most responses hold only what changed. Rules:
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.

A refused response does not say which of its resources is at fault, and the client may have taken some of the others and
left the rest: Envoy stops at the first bad route configuration. So they are suspects, which are sent again in halves,
until each is accepted, or refused by itself. Only a listing of everything (state of the world) cannot be divided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from conformance.controlplane.exchange import Batch, Dialect, Rejection, Sent
from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.snapshot import Version
from conformance.controlplane.suspects import Suspects

__all__ = ["PATIENCE_S", "Subscription"]

WILDCARD = "*"
# How long later types wait for an answer to earlier ones. Envoy withholds it while clusters warm; a cluster that never
# gets warm must not keep a policy from being enforced.
PATIENCE_S = 2.0
# Of the responses that nobody has answered; what an older one held is sent again.
UNSETTLED_KEPT = 8
# In place of the digest of what the client has.
UNKNOWN = ""


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
        self._suspects = Suspects()
        self._last_nonce: str | None = None
        self._unsettled: dict[str, Sent] = {}
        """Responses without an answer, oldest first: mostly one. Later ones go out when patience has run out."""

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
                if name in self._suspects:
                    continue  # It is sent again anyway.
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
            if name in self._suspects:
                return  # What is sent again is what there is by then.
            if self._held.get(name) != new.digest:
                self._due.add(name)
            elif name not in self._repeat:
                self._due.discard(name)
        else:
            self._note_removal(name, old)

    def _note_removal(self, name: str, old: Resource | None) -> None:
        self._due.discard(name)
        self._repeat.discard(name)
        self._suspects.discard(name)
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

    def inherit(self, departing: Mapping[str, Resource], available: Mapping[str, Resource] | None) -> None:
        """A client that reconnects still has what was removed meanwhile, and may have what there is, or some of it."""
        if self._lists_whole and available is not None:
            self._held = dict.fromkeys(available, UNKNOWN)
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
        return bool(self._due or self._gone or self._suspects or self._unanswered)

    @property
    def has_news(self) -> bool:
        """Whether resources, or the first answer, are due; removals alone are not news."""
        return bool(self._due or self._suspects) or self._unanswered

    @property
    def has_removals(self) -> bool:
        """Whether the client has to be told that something is not there."""
        return bool(self._gone)

    def awaits_answer(self, now: float) -> bool:
        """Whether the client has yet to answer the last response, and patience has not run out."""
        return bool(self._unsettled) and now < self._newest_unsettled.patience_until

    @property
    def patience_until(self) -> float | None:
        """When waiting for the outstanding answer ends."""
        return self._newest_unsettled.patience_until if self._unsettled else None

    @property
    def _newest_unsettled(self) -> Sent:
        return next(reversed(self._unsettled.values()))

    @property
    def is_disputed(self) -> bool:
        """Whether the client has refused something, and so may go on with what it had before."""
        return bool(self.refused or self._suspects)

    def take(self, available: Mapping[str, Resource], *, hold_removals: bool) -> Batch | None:
        """What to send now, if anything; from then on the client counts as having it."""
        if not self.has_news and (hold_removals or not self._gone):
            return None
        removing = bool(self._gone) and not hold_removals
        names = self._due
        if not (self._due or removing or self._unanswered):
            names = self._suspects.take()
        novel = [available[name] for name in names if self._held.get(name) != available[name].digest]
        if self._lists_whole:
            listed = available if self.wildcard else {name: available[name] for name in self.names if name in available}
            if hold_removals and self._departing:
                listed = {**self._departing, **listed}
        else:
            listed = {name: available[name] for name in names}
        removed: list[str] = []
        transitional = bool(self._gone or self._suspects)
        if removing:
            removed = sorted(self._gone)
            for name in self._gone:
                self._held.pop(name, None)
            self._gone.clear()
            self._departing.clear()
            transitional = bool(self._suspects)
        for resource in novel:
            self._held[resource.name] = resource.digest
        self._due.clear()
        self._repeat.clear()
        self._unanswered = False
        return Batch(listed, removed, novel, self._lists_whole, transitional)

    # -- what the client answers ---------------------------------------------------------------------------------------

    def sent(self, nonce: str, version: Version, now: float, batch: Batch) -> None:
        """A response went out."""
        self._last_nonce = nonce
        self._unsettled[nonce] = Sent(
            nonce, version, batch.transitional, batch.resources.keys(), batch.removed, now + PATIENCE_S
        )
        if len(self._unsettled) > UNSETTLED_KEPT:
            forgotten = self._unsettled.pop(next(iter(self._unsettled)))
            if not self._lists_whole:
                self._suspect(forgotten.names, forgotten.removed)
        self.withheld = False

    def is_current(self, nonce: str) -> bool:
        """Whether `nonce` is that of the last response (or empty, while there was none)."""
        return self._last_nonce is None or nonce == self._last_nonce

    def answered(self, nonce: str, rejection: tuple[int, str] | None, at: float) -> Version | None:
        """An ACK (`rejection` is None) or a NACK. Returns the version concerned; None: to no response that still waits
        for one.
        """
        sent = self._unsettled.get(nonce)
        if sent is None:
            return None
        # Answers come in the order of the responses.
        for earlier in list(self._unsettled):
            del self._unsettled[earlier]
            if earlier == nonce:
                break
        # What was sent once more is judged by the answer to that.
        names, removed = (
            [name for name in each if not any(later.holds(name) for later in self._unsettled.values())]
            for each in (sent.names, sent.removed)
        )
        if rejection is None:
            if self._lists_whole:
                self.refused.clear()
            elif self.refused:
                accepted = {*names, *removed}
                self.refused = {name: why for name, why in self.refused.items() if name not in accepted}
            if not sent.transitional and not self._suspects:
                self.acked = sent.version
        elif names and len(names) + len(removed) > 1 and not self._lists_whole:
            self._suspect(names, removed)
        else:
            refusal = Rejection(sent.version, *rejection, at)
            self.refused |= {name: refusal for each in (names, removed) for name in each}
        return sent.version

    def _suspect(self, names: Collection[str], removed: Collection[str]) -> None:
        """One of these is at fault. What has changed since is due anyway; what goes goes by itself."""
        there = [name for name in names if name in self._held and name not in self._gone]
        self._held |= dict.fromkeys(there, UNKNOWN)
        self._suspects.add(name for name in there if name not in self._due)
        self._gone.update(name for name in removed if name not in self._due)

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
        return not (self.has_news or self._gone or self._unsettled or self.withheld)

    def _is_pending(self, name: str) -> bool:
        if name in self._due or name in self._gone or name in self._suspects:
            return True
        return any(sent.holds(name) for sent in self._unsettled.values())

    def _known_names(self) -> set[str]:
        return self.names | set(self._held) | self._due | self._gone

    def _forget(self, name: str) -> None:
        self._held.pop(name, None)
        self._departing.pop(name, None)
        self.refused.pop(name, None)
        self._due.discard(name)
        self._repeat.discard(name)
        self._gone.discard(name)
        self._suspects.discard(name)
