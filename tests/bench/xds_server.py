"""`python -m tests.bench.xds_server SOCKET NODES RESOURCES.json`: the control plane, as its peer in Go is served.

Prints "ready" once it listens. For each line on its standard input it changes the one route of every node, waits until
each has acknowledged that, and prints how many seconds it took. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

from conformance.controlplane.garbage import collect_seldom
from conformance.controlplane.outcomes import OutcomeState
from conformance.controlplane.resources import ResourceType, encode
from conformance.controlplane.server import ControlPlane
from conformance.protobuf.listen import UnixListen


async def main(socket: Path, nodes: int, resources: dict[str, Any]) -> None:
    """Serve until the standard input ends."""
    collect_seldom()
    control_plane = ControlPlane()
    described = {
        ResourceType.CLUSTER: {each["name"]: each for each in resources["clusters"]},
        ResourceType.ENDPOINT: {each["cluster_name"]: each for each in resources["endpoints"]},
        ResourceType.ROUTE: {resources["route"]["name"]: resources["route"]},
    }
    for node in range(nodes):
        control_plane.set_resources(f"node-{node}", described)
    await control_plane.start(UnixListen(socket))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    number = 0
    while await lines.readline():
        number += 1
        print(await _change(control_plane, nodes, resources["route"], number), flush=True)
    await control_plane.stop()


async def _change(control_plane: ControlPlane, nodes: int, route: dict[str, Any], number: int) -> float:
    with control_plane.outcomes() as outcomes:
        begun = time.perf_counter()
        changed = copy.deepcopy(route)
        body = {"inline_string": str(number)}
        changed["virtual_hosts"][0]["routes"][0]["direct_response"] = {"status": 200, "body": body}
        key = (ResourceType.ROUTE, route["name"])
        resource = encode(*key, changed)
        for node in range(nodes):
            control_plane.update(f"node-{node}", {key: resource})
        waiting = nodes
        async for outcome in outcomes:
            assert outcome.state is OutcomeState.APPLIED
            waiting -= 1
            if not waiting:
                break
        return time.perf_counter() - begun


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text("utf-8"))))
