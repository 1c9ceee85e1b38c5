"""`python -m tests.bench.xds_floor SOCKET NODES RESOURCES.json [naive]`: what gRPC for Python costs on its own.

It is spoken to like `xds_server`, and says to every proxy what our control plane once said to one: ready bytes for each
type, the route again for each change, answers counted and not looked at. It keeps no state and promises nothing.
`naive`: with the settings of gRPC as they come.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

import conformance.protobuf  # noqa: F401 -- before gRPC: it sets what gRPC reads when it is imported
from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.exchange import Dialect
from conformance.controlplane.garbage import collect_seldom
from conformance.controlplane.node import Node
from conformance.controlplane.resources import ResourceType, encode
from conformance.controlplane.server import DISCOVERY, OPTIONS, SERVICE
from conformance.controlplane.snapshot import Change, Snapshot, new_epoch
from conformance.controlplane.stream import Stream
from conformance.protobuf.messages import message_class

REQUESTS = {
    Dialect.STATE_OF_THE_WORLD: message_class(DISCOVERY + "DiscoveryRequest"),
    Dialect.DELTA: message_class(DISCOVERY + "DeltaDiscoveryRequest"),
}
METHODS = {"StreamAggregatedResources": Dialect.STATE_OF_THE_WORLD, "DeltaAggregatedResources": Dialect.DELTA}


def said_once(dialect: Dialect, resources: dict[str, Any]) -> dict[str, bytes]:
    """A response for each type, by its URL."""
    kinds = {
        ResourceType.CLUSTER: resources["clusters"],
        ResourceType.ENDPOINT: resources["endpoints"],
        ResourceType.ROUTE: [resources["route"]],
    }
    named = {(kind, each[kind.name_field]): each for kind, listed in kinds.items() for each in listed}
    node = Node("node", Snapshot.empty(new_epoch()))
    node.apply(Change({key: encode(*key, fields) for key, fields in named.items()}))
    said = {}
    for kind in kinds:
        stream = Stream(node, dialect, Behaviour())
        names = [] if kind.listed_whole else [name for of, name in named if of is kind]
        field = "resource_names" if dialect is Dialect.STATE_OF_THE_WORLD else "resource_names_subscribe"
        stream.receive(REQUESTS[dialect](type_url=kind.type_url, **{field: names}))
        said[kind.type_url] = stream.due_response() or b""
    return said


class Floor:
    """The streams, and how many answers are awaited."""

    def __init__(self, resources: dict[str, Any]) -> None:
        self._said = {dialect: said_once(dialect, resources) for dialect in Dialect}
        self._streams: list[asyncio.Event] = []
        self._awaited = 0
        self._all = asyncio.Event()

    async def change(self) -> float:
        """Send the route to everybody; seconds until the last answer."""
        begun = time.perf_counter()
        self._all.clear()
        self._awaited = len(self._streams)
        for stream in self._streams:
            stream.set()
        await self._all.wait()
        return time.perf_counter() - begun

    def handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        """For gRPC."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                method: grpc.stream_stream_rpc_method_handler(
                    self._serving(dialect), request_deserializer=REQUESTS[dialect].FromString
                )
                for method, dialect in METHODS.items()
            },
        )

    def _serving(self, dialect: Dialect):
        said, route = self._said[dialect], ResourceType.ROUTE.type_url

        async def serve(requests, context) -> None:
            awake, due = asyncio.Event(), []
            self._streams.append(awake)

            async def read() -> None:
                asked = set()
                async for request in requests:
                    if request.type_url not in asked:
                        asked.add(request.type_url)
                        due.append(request.type_url)
                        awake.set()
                    elif request.type_url == route:
                        self._awaited -= 1
                        if not self._awaited:
                            self._all.set()

            reader = asyncio.create_task(read())
            try:
                while True:
                    await awake.wait()
                    awake.clear()
                    urls, due[:] = list(due) or [route], []
                    for url in urls:
                        await context.write(said[url])
            finally:
                reader.cancel()

        return serve


async def main(socket: str, resources: dict[str, Any], *, naive: bool) -> None:
    """Serve until the standard input ends."""
    collect_seldom()
    floor = Floor(resources)
    server = grpc.aio.server(options=() if naive else OPTIONS)
    server.add_generic_rpc_handlers((floor.handlers(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while await lines.readline():
        print(await floor.change(), flush=True)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[3]).read_text("utf-8")), naive="naive" in sys.argv[4:]))
