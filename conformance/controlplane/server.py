"""The reference control plane: resources in, xDS out over one aggregated stream per proxy, acknowledgements tracked.

Invariants: resources are set synchronously on the event loop and sent from there; nothing is sent that did not change
or was not asked for; stopping closes the streams and keeps the state; another instance can take over at any time, and
a proxy that already holds what it offers notices nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from conformance.controlplane.admission import Admission, Admits
from conformance.controlplane.behaviour import Behaviour, Stage
from conformance.controlplane.exchange import Dialect, Rejection
from conformance.controlplane.metrics import Metrics
from conformance.controlplane.node import Node
from conformance.controlplane.outcomes import Outcomes
from conformance.controlplane.resources import Reference, Resource, ResourceType, encode
from conformance.controlplane.snapshot import AppliedVersion, Change, Snapshot, Version, new_epoch
from conformance.controlplane.status import Event, EventKind, NodeStatus
from conformance.controlplane.stream import Stream
from conformance.model.errors import DeadlineExceeded, MeshmarkError, SuiteFault
from conformance.protobuf.listen import TlsListen, UnixListen, open_listener
from conformance.protobuf.messages import DynamicMessage, message_class
from conformance.system.deadlines import time_limit

__all__ = ["Acknowledgement", "ControlPlane", "Rejected", "TlsListen", "UnixListen"]

log = logging.getLogger(__name__)

Requests = AsyncIterator[DynamicMessage]
Context = grpc.aio.ServicerContext[DynamicMessage, bytes]

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
DISCOVERY = "envoy.service.discovery.v3."
OPTIONS = (
    # Two control planes on one port would share the proxies between them.
    ("grpc.so_reuseport", 0),
    # A delta client that knows 100,000 resources names them all when it reconnects.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Thousands of proxies may come back within a second. By default gRPC throws streams away that wait behind 1,000
    # others or for 30 s; their proxies try again at once, and so it goes on.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
    ("grpc.server_max_unrequested_time_in_server", 600),
    ("grpc.server_handshake_timeout_ms", 600_000),
    # A proxy whose machine vanished never says goodbye.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True)
class Acknowledgement:
    """A node accepted what was set. `acked`: the last version it said yes to, per type; None: it never had to."""

    node_id: str
    applied: AppliedVersion
    acked: Mapping[ResourceType, Version | None]


class Rejected(MeshmarkError):  # noqa: N818 -- it is what happened to a configuration, not an error of ours
    """A proxy refused a configuration (NACK) and keeps the last good one. `rejection.detail`: its reason, scrubbed."""

    def __init__(self, node_id: str, kind: ResourceType, rejection: Rejection) -> None:
        self.node_id = node_id
        self.type = kind
        self.rejection = rejection
        super().__init__(
            f"rejected {kind} version {rejection.version}",
            where=f"node {node_id}",
            detail=rejection.detail,
            next_step="mend the resource that the detail names; meanwhile the proxy serves what it accepted last",
        )


class ControlPlane:
    """Serves every node its own resources. All methods belong to the event loop that `start` was called on."""

    def __init__(self, behaviour: Behaviour | None = None, *, admits: Admits | None = None) -> None:
        """Make one that has nothing for anybody.

        Args:
            behaviour: seeded defects.
            admits: who may have whose configuration; None: whoever can reach the listener.

        """
        self._behaviour = behaviour or Behaviour()
        self._epoch = new_epoch()
        self._nodes: dict[str, Node] = {}
        self._followers: list[Outcomes] = []
        self._metrics = Metrics()
        self.admission = Admission(admits, self._metrics)
        self._server: grpc.aio.Server | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether proxies can connect."""
        return self._server is not None

    async def start(self, listen: UnixListen | TlsListen) -> int | None:
        """Open the listener; returns the port, or None for a unix socket.

        Raises:
            SuiteFault: it runs already.
            EnvironmentFault: the address cannot be used.

        """
        if self._server is not None:
            raise SuiteFault("the control plane runs already", next_step="stop it before starting it again")
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self._handlers(),))
        port = await open_listener(server, listen, whose="the control plane")
        self._server = server
        return port

    async def stop(self) -> None:
        """Close the listener and all streams. What was set stays, and can still be changed."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    # -- resources -----------------------------------------------------------------------------------------------------

    def set_resources(
        self, node_id: str, resources: Mapping[ResourceType, Mapping[str, Mapping[str, Any]]]
    ) -> AppliedVersion:
        """Give a node exactly these resources; a type that is not named has none. Only what differs is sent.

        Args:
            node_id: the `node.id` of the proxy's bootstrap.
            resources: per type, name to content in protobuf JSON form.

        Raises:
            InvalidResource: one of them is malformed. Nothing was changed then.

        """
        wanted = {(kind, name): fields for kind, named in resources.items() for name, fields in named.items()}
        present = self._seen(node_id).snapshot.resources
        return self.update(node_id, wanted, {(kind, name) for kind, named in present.items() for name in named})

    def update(
        self,
        node_id: str,
        changed: Mapping[Reference, Mapping[str, Any] | Resource],
        removed: Collection[Reference] = (),
    ) -> AppliedVersion:
        """Set some resources of a node and remove some, unless they are set; the cost follows the change.

        What many nodes get alike is best encoded once, with `resources.encode`.

        Raises:
            InvalidResource: one of them is malformed. Nothing was changed then.

        """
        self._behaviour.reached(Stage.RECEIVED, node_id)
        change = Change(
            {key: each if isinstance(each, Resource) else encode(*key, each) for key, each in changed.items()},
            frozenset(removed) - changed.keys(),
        )
        self._behaviour.reached(Stage.ENCODED, node_id)
        node = self._node(node_id)
        applied = AppliedVersion(node_id, {}, {})
        for each in self._behaviour.receive(node_id, change, running=self.running):
            applied = node.apply(each)
        for target in self._behaviour.targets(node_id, self._nodes.keys()):
            if target != node_id:
                self._node(target).send_anew(list(applied.versions))
        self._behaviour.reached(Stage.STORED, node_id)
        return applied

    # -- observation ---------------------------------------------------------------------------------------------------

    async def acknowledged(self, node_id: str, version: AppliedVersion, timeout: float) -> Acknowledgement:
        """Wait until every stream of the node has accepted this version, or a later one, of each type in it.

        Listeners and clusters have to be subscribed to; other types as far as resources of the node refer to them. A
        node that is not connected is waited for.

        Args:
            node_id: the node.
            version: what `set_resources` or `update` returned.
            timeout: seconds.

        Raises:
            Rejected: the node refused this version or a later one.
            DeadlineExceeded: it did not answer in time; the detail says what is missing.

        """
        node = self._node(node_id)
        with suppress(TimeoutError):
            async with time_limit(timeout):
                while not self._is_acknowledged(node, version):
                    await node.something_new()
        if self._is_acknowledged(node, version):
            status = node.status()
            return Acknowledgement(node_id, version, {kind: status.types[kind].acked for kind in version.versions})
        raise DeadlineExceeded(
            f"node {node_id} did not acknowledge its configuration within {timeout:g} s",
            next_step="look into the log of the proxy, and whether it can reach the control plane",
            detail="\n".join(node.missing_of(version)),
        )

    def missing(self, node_id: str, version: AppliedVersion) -> list[str]:
        """In words, what is still missing until a version that the node has not refused is acknowledged."""
        return self._seen(node_id).missing_of(version)

    @contextmanager
    def outcomes(self) -> Iterator[Outcomes]:
        """Follow what becomes of all that is set, for any node, within the block: iterate over what it gives.

        What is set again before a proxy answers need not be sent: it has the outcome of what came in its place.
        """
        followed = Outcomes()
        self._followers.append(followed)
        try:
            yield followed
        finally:
            self._followers.remove(followed)

    def status(self, node_id: str) -> NodeStatus:
        """What the node was sent and what it said, up to now."""
        return self._seen(node_id).status()

    def history(self, node_id: str) -> tuple[Event, ...]:
        """The last events of the node, oldest first."""
        return tuple(self._seen(node_id).history)

    def metrics(self) -> bytes:
        """Counts in Prometheus' text format."""
        return self._metrics.text(connected=sum(bool(node.streams) for node in self._nodes.values()))

    @property
    def node_ids(self) -> Collection[str]:
        """All nodes that have resources or are connected."""
        return tuple(self._nodes)

    @staticmethod
    def _is_acknowledged(node: Node, version: AppliedVersion) -> bool:
        refused = node.rejection_of(version)
        if refused is not None:
            raise Rejected(node.id, *refused)
        return not node.missing_of(version)

    def _node(self, node_id: str) -> Node:
        return self._nodes.setdefault(node_id, self._seen(node_id))

    def _seen(self, node_id: str) -> Node:
        """The node, or how an unknown one looks; looking does not make it known."""
        return self._nodes.get(node_id) or Node(
            node_id, Snapshot.empty(self._epoch), followers=self._followers, metrics=self._metrics
        )

    # -- transport -----------------------------------------------------------------------------------------------------

    def _handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        async def whole(requests: Requests, context: Context) -> None:
            await self._serve(requests, context, Dialect.STATE_OF_THE_WORLD)

        async def delta(requests: Requests, context: Context) -> None:
            await self._serve(requests, context, Dialect.DELTA)

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    whole, request_deserializer=message_class(DISCOVERY + "DiscoveryRequest").FromString
                ),
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    delta, request_deserializer=message_class(DISCOVERY + "DeltaDiscoveryRequest").FromString
                ),
            },
        )

    async def _serve(self, requests: Requests, context: Context, dialect: Dialect) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        if not first.node.id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request must carry node.id")
        certificate = await self.admission.admit(first.node.id, context)
        node = self._node(first.node.id)
        stream = Stream(node, dialect, self._behaviour)
        node.streams.append(stream)
        self.admission.enter(stream, node.id, certificate)
        node.record(EventKind.CONNECT)
        log.debug("node %s connected (%s)", node.id, dialect.value)
        stream.receive(first)
        reader = asyncio.create_task(_read(stream, requests), name=f"requests of {node.id}")
        try:
            while (response := await stream.next_response()) is not None:
                await context.write(response)
                stream.written()
            if not self.admission.still_admits(stream):
                await self.admission.refuse(node.id, context)
            await reader
        finally:
            reader.cancel()
            stream.end()
            self.admission.leave(stream)
            node.detach(stream)
            node.record(EventKind.DISCONNECT)
            self._drop_if_unused(node)
            log.debug("node %s disconnected", node.id)

    def _drop_if_unused(self, node: Node) -> None:
        if not node.known and not node.streams:
            self._nodes.pop(node.id, None)


async def _read(stream: Stream, requests: Requests) -> None:
    try:
        async for request in requests:
            stream.receive(request)
    finally:
        stream.end()
