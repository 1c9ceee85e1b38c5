"""`python control_plane_process.py SOCKET SCENARIO.json`: it dies by its own hand in a push.

The scenario says what each node has before and after, at which stage the process kills itself, and for which type.
It prints "ready" once all nodes have accepted the first configuration, and pushes the second for a line of input.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from conformance.controlplane.behaviour import Behaviour, Stage
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.protobuf.listen import UnixListen

READY_WITHIN_S = 60.0


class Mortal(Behaviour):
    """Once armed, it ends the process at the stage, the hard way."""

    def __init__(self, stage: Stage, kind: ResourceType | None) -> None:
        self._fatal = stage, kind
        self.armed = False

    def reached(self, stage: Stage, node_id: str, kind: ResourceType | None = None) -> None:
        if self.armed and (stage, kind) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def typed(resources: dict[str, Any]) -> dict[ResourceType, Any]:
    return {ResourceType[kind]: named for kind, named in resources.items()}


async def main(socket: Path, scenario: dict[str, Any]) -> None:
    behaviour = Mortal(Stage(scenario["stage"]), ResourceType[scenario["type"]] if scenario["type"] else None)
    control_plane = ControlPlane(behaviour)
    first = {node: control_plane.set_resources(node, typed(scenario["before"])) for node in scenario["nodes"]}
    await control_plane.start(UnixListen(socket))
    for node, version in first.items():
        await control_plane.acknowledged(node, version, READY_WITHIN_S)
    print("ready", flush=True)  # noqa: T201 -- what the test waits for
    await asyncio.to_thread(sys.stdin.readline)
    behaviour.armed = True
    for node in scenario["nodes"]:
        control_plane.set_resources(node, typed(scenario["after"]))
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8"))))
