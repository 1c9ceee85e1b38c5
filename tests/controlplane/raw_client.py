"""A real gRPC client that speaks raw xDS: it says just what a test tells it to say, and nothing on its own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
from xds_parts import WITHIN_S

from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.status import EventKind
from conformance.protobuf.listen import UnixListen
from conformance.protobuf.messages import message_class, unpack
from conformance.system.deadlines import until

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
REQUEST = message_class("envoy.service.discovery.v3.DiscoveryRequest")
RESPONSE = message_class("envoy.service.discovery.v3.DiscoveryResponse")
DELTA_REQUEST = message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")
DELTA_RESPONSE = message_class("envoy.service.discovery.v3.DeltaDiscoveryResponse")
STATUS = message_class("google.rpc.Status")


class RawStream(ABC):
    def __init__(self, call: Any, node_id: str) -> None:
        self.call = call
        self.node_id = node_id
        self._first = True
        self._requests = 0

    async def send(self, request: Any) -> None:
        self._requests += 1
        await self.call.write(request)

    async def heard(self, control_plane: ControlPlane) -> None:
        """Wait until every request of this stream, the only one of its node, has been taken in."""

        def requests() -> int:
            return sum(event.kind is EventKind.REQUEST for event in control_plane.history(self.node_id))

        await until(lambda: requests() == self._requests, what="all requests heard", timeout=WITHIN_S)

    def _node(self) -> dict[str, str]:
        first, self._first = self._first, False
        return {"id": self.node_id} if first else {}

    async def receive(self) -> Any:
        return await asyncio.wait_for(self.call.read(), WITHIN_S)

    async def nothing_is_due(self) -> None:
        """Prove silence without sleeping: the answer to a question asked now is the very next response.

        Extension configurations are asked for, the last in the order of sending; the node must have the one
        called "probe", and nothing else of that type may be asked for on this stream.
        """
        await self.ask_for_probe()
        response = await self.receive()
        assert response.type_url == ResourceType.EXTENSION_CONFIG.type_url, f"unnecessary: {response}"
        assert len(response.resources) == 1

    @abstractmethod
    async def ask_for_probe(self) -> None: ...

    def end(self) -> None:
        self.call.cancel()


class WholeStream(RawStream):
    async def ask_for_probe(self) -> None:
        await self.ask(ResourceType.EXTENSION_CONFIG, ["probe"])

    async def ask(
        self,
        kind: ResourceType,
        names: Sequence[str] = (),
        *,
        nonce: str = "",
        version: str = "",
        error: str | None = None,
    ) -> None:
        request = REQUEST(
            node=self._node(), type_url=kind.type_url, resource_names=names, response_nonce=nonce, version_info=version
        )
        if error is not None:
            request.error_detail.CopyFrom(STATUS(code=13, message=error))
        await self.send(request)

    async def ack(self, response: Any, names: Sequence[str] = ()) -> None:
        await self.send(
            REQUEST(
                type_url=response.type_url,
                resource_names=names,
                response_nonce=response.nonce,
                version_info=response.version_info,
            )
        )


class DeltaStream(RawStream):
    async def ask_for_probe(self) -> None:
        await self.ask(ResourceType.EXTENSION_CONFIG, ["probe"])

    async def ask(
        self,
        kind: ResourceType,
        subscribe: Sequence[str] = (),
        unsubscribe: Sequence[str] = (),
        *,
        initial: Mapping[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> None:
        request = DELTA_REQUEST(
            node=self._node(),
            type_url=kind.type_url,
            resource_names_subscribe=subscribe,
            resource_names_unsubscribe=unsubscribe,
            initial_resource_versions=initial or {},
            response_nonce=nonce,
        )
        if error is not None:
            request.error_detail.CopyFrom(STATUS(code=13, message=error))
        await self.send(request)

    async def ack(self, response: Any) -> None:
        await self.send(DELTA_REQUEST(type_url=response.type_url, response_nonce=response.nonce))


def names_in(response: Any) -> list[str]:
    """The names of the resources in a response of either protocol, sorted."""
    if hasattr(response, "removed_resources"):
        return sorted(resource.name for resource in response.resources)
    content = [unpack(resource.SerializeToString()) for resource in response.resources]
    return sorted(str(each.get("name", each.get("cluster_name"))) for each in content)


class RawClient:
    def __init__(self, server: UnixListen | grpc.aio.Channel) -> None:
        at_socket = isinstance(server, UnixListen)
        self._channel = grpc.aio.insecure_channel(f"unix:{server.path}") if at_socket else server
        self._streams: list[RawStream] = []

    def whole(self, node_id: str = "node") -> WholeStream:
        method = self._channel.stream_stream(
            SERVICE + "StreamAggregatedResources", REQUEST.SerializeToString, RESPONSE.FromString
        )
        stream = WholeStream(method(), node_id)
        self._streams.append(stream)
        return stream

    def delta(self, node_id: str = "node") -> DeltaStream:
        method = self._channel.stream_stream(
            SERVICE + "DeltaAggregatedResources", DELTA_REQUEST.SerializeToString, DELTA_RESPONSE.FromString
        )
        stream = DeltaStream(method(), node_id)
        self._streams.append(stream)
        return stream

    @staticmethod
    async def seen(control_plane: ControlPlane, kind: EventKind, node_id: str = "node") -> None:
        """Wait until the control plane has noticed."""
        await until(
            lambda: any(event.kind is kind for event in control_plane.history(node_id)),
            what=f"{kind.value} noticed",
            timeout=WITHIN_S,
        )

    async def close(self) -> None:
        for stream in self._streams:
            stream.end()
        await self._channel.close()
