"""One open stream of one node: in what order it is told what is new, and when it has to be patient.

The order is make-before-break. What is referred to goes first: clusters, then endpoints and secrets, then listeners,
then routes; a type waits until the proxy has answered those before it, since Envoy answers a cluster update only when
the new clusters are warm. What nothing refers to any more goes last: a removed cluster is taken away only after the
listeners and routes of the same change are acknowledged, and not at all while one of them is refused. At most one
response per type is unanswered, so a slow proxy gets the newest state when it is ready, and nothing is queued.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from conformance.controlplane.behaviour import Behaviour, Stage
from conformance.controlplane.exchange import Batch, Dialect
from conformance.controlplane.node import Node
from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.responses import delta_response, whole_listing, whole_response
from conformance.controlplane.status import EventKind
from conformance.controlplane.subscription import PATIENCE_S, Subscription
from conformance.protobuf import wire
from conformance.protobuf.messages import DynamicMessage
from conformance.protobuf.scrubbing import private_values, scrub

__all__ = ["Stream"]

CLUSTER, ENDPOINT, SECRET, LISTENER, SCOPED_ROUTE, ROUTE, EXTENSION_CONFIG = SENDING_ORDER = (
    ResourceType.CLUSTER,
    ResourceType.ENDPOINT,
    ResourceType.SECRET,
    ResourceType.LISTENER,
    ResourceType.SCOPED_ROUTE,
    ResourceType.ROUTE,
    ResourceType.EXTENSION_CONFIG,
)
# Endpoints and secrets do not wait for clusters: clusters get warm, and are acknowledged, only with them.
WAITS_FOR: Mapping[ResourceType, Sequence[ResourceType]] = {
    CLUSTER: (),
    ENDPOINT: (),
    SECRET: (),
    LISTENER: (CLUSTER, ENDPOINT),
    SCOPED_ROUTE: (CLUSTER, ENDPOINT, LISTENER),
    ROUTE: (CLUSTER, ENDPOINT, LISTENER),
    EXTENSION_CONFIG: (CLUSTER, ENDPOINT),
}
# What may refer to a type, and so has to let go of it before it is removed.
REFERRERS: Mapping[ResourceType, Sequence[ResourceType]] = {
    CLUSTER: (LISTENER, SCOPED_ROUTE, ROUTE, EXTENSION_CONFIG),
    ENDPOINT: (CLUSTER, LISTENER, SCOPED_ROUTE, ROUTE, EXTENSION_CONFIG),
    SECRET: (CLUSTER, LISTENER),
    LISTENER: (),
    SCOPED_ROUTE: (LISTENER,),
    ROUTE: (LISTENER, SCOPED_ROUTE),
    EXTENSION_CONFIG: (LISTENER,),
}
TYPE_OF_URL = {kind.type_url: kind for kind in ResourceType}


class Stream:
    """The server's side of an aggregated stream, without the transport."""

    def __init__(self, node: Node, dialect: Dialect, behaviour: Behaviour) -> None:
        self.connected_at = time.time()
        self.subscriptions: dict[ResourceType, Subscription] = {}
        self._node = node
        self._dialect = dialect
        self._behaviour = behaviour
        self._responses = 0
        self._composed: ResourceType | None = None
        self._over = False
        self._owed_endpoints: set[str] = set()
        self._waiting_since: dict[tuple[ResourceType, str], float] = {}
        self._awake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None

    # -- from the client -----------------------------------------------------------------------------------------------

    def receive(self, request: DynamicMessage) -> None:
        """A DiscoveryRequest or DeltaDiscoveryRequest, according to the dialect of the stream."""
        kind = TYPE_OF_URL.get(request.type_url)
        if kind is None:
            return  # A type that this control plane does not have: there is nothing to say, now or later.
        self._node.record(EventKind.REQUEST, kind)
        subscription = self.subscriptions.get(kind)
        first = subscription is None
        if subscription is None:
            subscription = self.subscriptions[kind] = Subscription(kind, self._dialect)
        departed = self._node.departed(kind) if first else {}
        available = self._node.snapshot.resources[kind] if self._node.known else None
        self._note_answer(kind, subscription, request)
        if self._dialect is Dialect.DELTA:
            subscription.ask_delta(
                request.resource_names_subscribe,
                request.resource_names_unsubscribe,
                request.initial_resource_versions if first else None,
                available,
            )
        elif first or subscription.is_current(request.response_nonce):
            # With a stale nonce the client has not seen the last response: its next request says all of this again.
            current = self._node.snapshot.versions[kind]
            up_to_date = first and request.version_info == str(current)
            if first and request.version_info and not up_to_date:
                subscription.inherit(departed, available)
            subscription.ask(request.resource_names, available, current if up_to_date else None)
        if first:
            subscription.inherit_refusals(self._node.refused(kind))
        if kind is ENDPOINT and self._owed_endpoints and available is not None:
            subscription.repeat(self._owed_endpoints, available)
            self._owed_endpoints.clear()
        self.wake()
        self._node.look()

    def _note_answer(self, kind: ResourceType, subscription: Subscription, request: DynamicMessage) -> None:
        refused = request.HasField("error_detail")
        rejection = (request.error_detail.code, self._scrubbed(request.error_detail.message)) if refused else None
        version = subscription.answered(request.response_nonce, rejection, time.time())
        if version is not None:
            self._node.record_answer(kind, version, refused=refused)
            self._behaviour.reached(Stage.ACKNOWLEDGED, self._node.id, kind)

    def _scrubbed(self, text: str) -> str:
        secrets = self._node.snapshot.resources[SECRET].values()
        return scrub(text, {value for secret in secrets for value in private_values(secret.fields())})

    # -- from our side -------------------------------------------------------------------------------------------------

    def note_change(self, kind: ResourceType, name: str, old: Resource | None, new: Resource | None) -> None:
        """A resource of the node was set or removed."""
        if kind in self.subscriptions:
            self.subscriptions[kind].note_change(name, old, new)

    def note_known(self) -> None:
        """The node got its first resources."""
        for kind, subscription in self.subscriptions.items():
            subscription.note_known(self._node.snapshot.resources[kind])

    def send_anew(self, kinds: Sequence[ResourceType]) -> None:
        """Everything of these types is due again."""
        for kind in kinds:
            if kind in self.subscriptions:
                available = self._node.snapshot.resources[kind]
                self.subscriptions[kind].repeat(available, available)

    def wake(self) -> None:
        """Something may be due."""
        if self._over or self.is_due:
            self._awake.set()

    async def next_response(self) -> bytes | None:
        """Wait until a response is due, and return it encoded; None: the client has ended the stream."""
        while not self._over:
            self._awake.clear()
            response = self.due_response()
            if response is not None:
                return response
            self._set_alarm()
            await self._awake.wait()
        return None

    def written(self) -> None:
        """The response that was due is on its way."""
        self._behaviour.reached(Stage.SENT, self._node.id, self._composed)

    def end(self) -> None:
        """The client has ended the stream, or it broke."""
        self._over = True
        self._stop_alarm()
        self.wake()

    def _set_alarm(self) -> None:
        """Look again when patience runs out, should nothing happen before."""
        self._stop_alarm()
        concerned = [each for each in self.subscriptions.values() if each.is_due]
        if not concerned:
            return
        now = time.monotonic()
        ends = [each.patience_until for each in concerned] + [at + PATIENCE_S for at in self._waiting_since.values()]
        future = [at for at in ends if at is not None and at > now]
        if future:
            self._alarm = asyncio.get_running_loop().call_later(min(future) - now, self.wake)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def due_response(self) -> bytes | None:
        """The response that is due now, encoded; None: nothing is."""
        if not self._node.known:
            return None
        if not self.is_due:
            self._waiting_since.clear()
            return None
        now = time.monotonic()
        for kind in SENDING_ORDER:
            subscription = self.subscriptions.get(kind)
            if subscription is None or subscription.awaits_answer(now):
                continue
            if not subscription.is_due:
                self._waiting_since.pop((kind, "news"), None)
                self._waiting_since.pop((kind, "removals"), None)
                continue
            blocked = subscription.has_news and self._busy(WAITS_FOR[kind], now)
            if self._has_to_wait((kind, "news"), blocked, now):
                continue
            hold_removals = subscription.has_removals and self._has_to_keep(kind, now)
            batch = subscription.take(self._node.snapshot.resources[kind], hold_removals=hold_removals)
            if batch is None:
                continue
            if kind is CLUSTER:
                self._repeat_endpoints(batch)
            permitted = self._behaviour.may_send(self._node.id, kind, batch.resources)
            if permitted is None:
                subscription.withheld = True
                continue
            return self._encode(subscription, batch, permitted, now)
        return None

    @property
    def is_due(self) -> bool:
        """Whether the proxy has to be told anything, now or later."""
        for each in self.subscriptions.values():  # noqa: SIM110 -- asked on every event; a generator costs thrice as much
            if each.is_due:
                return True
        return False

    def _busy(self, kinds: Sequence[ResourceType], now: float) -> bool:
        for kind in kinds:
            each = self.subscriptions.get(kind)
            if each is not None and (each.has_news or each.awaits_answer(now)):
                return True
        return False

    def _has_to_keep(self, kind: ResourceType, now: float) -> bool:
        """Whether it is too early to take something of this type away."""
        if any(self.subscriptions[each].is_disputed for each in REFERRERS[kind] if each in self.subscriptions):
            # The last good configuration stays in force, and may need what the refused one does not.
            return True
        return self._has_to_wait((kind, "removals"), self._may_be_referred_to(kind, now), now)

    def _may_be_referred_to(self, kind: ResourceType, now: float) -> bool:
        """Whether the proxy may still have referrers that change or go, or has yet to ask for them again."""
        return self._busy(REFERRERS[kind], now) or any(
            self.subscriptions[each].has_removals if each in self.subscriptions else self._node.will_ask_for(each)
            for each in REFERRERS[kind]
        )

    def _has_to_wait(self, what: tuple[ResourceType, str], blocked: bool, now: float) -> bool:
        """Whether to wait for other types; not for ever, since those may change all the time or never be answered."""
        if not blocked:
            self._waiting_since.pop(what, None)
            return False
        if now < self._waiting_since.setdefault(what, now) + PATIENCE_S:
            return True
        del self._waiting_since[what]
        return False

    def _repeat_endpoints(self, batch: Batch) -> None:
        # Envoy makes a new cluster of a changed one, and that gets warm only when it is sent its endpoints, again if
        # need be; also on a stream that it has just opened, when it was another stream that gave it the old cluster.
        names = {name for cluster in batch.novel for kind, name in cluster.references if kind is ENDPOINT}
        if ENDPOINT in self.subscriptions:
            self.subscriptions[ENDPOINT].repeat(names, self._node.snapshot.resources[ENDPOINT])
        else:
            self._owed_endpoints |= names

    def _encode(self, subscription: Subscription, batch: Batch, permitted: Mapping[str, Resource], now: float) -> bytes:
        kind = subscription.type
        version = self._node.snapshot.versions[kind]
        # A proxy names its version when it reconnects: a listing with what is about to go must not pass for the final.
        text = f"{version}-transition" if batch.transitional else str(version)
        self._responses += 1
        nonce = str(self._responses)
        shareable = batch.whole and not batch.transitional and permitted is batch.resources and subscription.wildcard
        if shareable:
            shared = whole_listing(self._node.snapshot, kind)
        elif self._dialect is Dialect.DELTA:
            shared = delta_response(kind, text, permitted, batch.removed)
        else:
            shared = whole_response(kind, text, permitted)
        response = shared + wire.field(5, nonce.encode())
        subscription.sent(nonce, version, now, batch)
        self._node.record_sent(kind, version, len(permitted), len(response))
        self._composed = kind
        self._behaviour.reached(Stage.COMPOSED, self._node.id, kind)
        return response
