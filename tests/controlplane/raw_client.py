"""A real gRPC client that speaks raw xDS: it says just what a test tells it to say, and nothing on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio

from conformance.controlplane.listen import UnixListen
from conformance.controlplane.messages import message_class
from conformance.controlplane.resources import ResourceType

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
REQUEST = message_class("envoy.service.discovery.v3.DiscoveryRequest")
RESPONSE = message_class("envoy.service.discovery.v3.DiscoveryResponse")
DELTA_REQUEST = message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")
DELTA_RESPONSE = message_class("envoy.service.discovery.v3.DeltaDiscoveryResponse")
STATUS = message_class("google.rpc.Status")

RECEIVED_WITHIN_S = 5.0


class RawStream:
    def __init__(self, call: Any, node_id: str) -> None:
        self.call = call
        self.node_id = node_id
        self._first = True

    def _node(self) -> dict[str, str]:
        first, self._first = self._first, False
        return {"id": self.node_id} if first else {}

    async def receive(self) -> Any:
        return await asyncio.wait_for(self.call.read(), RECEIVED_WITHIN_S)

    async def silent(self, probe: ResourceType = ResourceType.EXTENSION_CONFIG) -> bool:
        """Whether nothing is on its way: a question asked now is answered by the very next response."""
        raise NotImplementedError

    def end(self) -> None:
        self.call.cancel()


class WholeStream(RawStream):
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
        await self.call.write(request)

    async def ack(self, response: Any, names: Sequence[str] = ()) -> None:
        await self.call.write(
            REQUEST(
                type_url=response.type_url,
                resource_names=names,
                response_nonce=response.nonce,
                version_info=response.version_info,
            )
        )


class DeltaStream(RawStream):
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
        await self.call.write(request)

    async def ack(self, response: Any) -> None:
        await self.call.write(DELTA_REQUEST(type_url=response.type_url, response_nonce=response.nonce))


class RawClient:
    def __init__(self, listen: UnixListen) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{listen.path}")
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

    async def close(self) -> None:
        for stream in self._streams:
            stream.end()
        await self._channel.close()
