"""A small runner for `test_killed_runner`: makes one of everything, says what it has made, and waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys

from security_server_parts import SelfSufficientSpec

from conformance.envoy.choose import choose_runtime
from conformance.subjects.building_block import CommandSubject, Place, start_subject
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.networks import Network

# A building block that has a child of its own, as many have.
BUILDING_BLOCK = """
import http.server, subprocess, sys
subprocess.Popen(["sleep", "600"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def main(kind: str) -> None:
    guard = Guard()
    folder = PrivateFolder(guard)
    xds = folder.path / "xds" / "ads.sock"
    xds.parent.mkdir()
    chosen = await choose_runtime("process" if kind == "namespaces" else kind, None, guard)
    say(guard=guard.pid, run=guard.run, label=guard.label, folder=str(folder.path))
    inside = (await Network.create(["pod"], guard=guard))["pod"].namespace if kind == "namespaces" else None
    command = (sys.executable, "-c", BUILDING_BLOCK, "{port}", str(folder.path))
    await start_subject(
        CommandSubject("subject", command),
        values={},
        guard=guard,
        ready_timeout=20,
        place=Place(inside) if inside else None,
    )
    specs = [SelfSufficientSpec(name, folder.path / name, xds, namespace=inside) for name in ("one", "two")]
    servers = await asyncio.gather(*(chosen.runtime.start(spec, 20) for spec in specs))
    say(pids=[server.pid for server in servers])
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
