"""A control plane that is killed at any stage of a push: its successor finishes it, nothing opens, no call is lost."""

from __future__ import annotations

import asyncio
import copy
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from xds_parts import CLUSTER, ENDPOINT, LISTENER, ROUTE, WITHIN_S, Mesh, Resources, cluster, endpoints, listener, world
from xds_parts import merged as merged_worlds

from conformance.controlplane.behaviour import Stage
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.envoy.binary import EnvoyBinary
from conformance.envoy.bootstrap import ApiType
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServer
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until
from conformance.system.guard import Guard

PROXIES: dict[str, ApiType] = {"one": "GRPC", "two": "DELTA_GRPC", "three": "DELTA_GRPC"}
# In the state-of-the-world dialect a proxy cannot say what it holds, so a successor without memory cannot let it keep
# a cluster for as long as its routes need it: calls may fail for a moment. The mesh uses the other dialect.
MAY_FAIL = {"one": {"503"}}
PROGRAM = Path(__file__).with_name("control_plane_process.py")
STAGES = [(stage, None) for stage in (Stage.RECEIVED, Stage.ENCODED, Stage.STORED)] + [
    (stage, kind)
    for kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE)
    for stage in (Stage.COMPOSED, Stage.SENT, Stage.ACKNOWLEDGED)
]


def policies(target: str, port: int, allowed: tuple[str, ...], server_name: str) -> Resources:
    """The callers that are allowed reach the building block; all others are refused."""
    rules: list[dict[str, Any]] = [
        {
            "match": {"prefix": "/", "headers": [{"name": "caller", "string_match": {"exact": caller}}]},
            "route": {"cluster": target},
        }
        for caller in allowed
    ]
    rules.append({"match": {"prefix": "/"}, "direct_response": {"status": 403}})
    route = {"name": "routes", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": rules}]}
    inbound = copy.deepcopy(listener())
    inbound["filter_chains"][0]["filters"][0]["typed_config"]["server_name"] = server_name
    return merged_worlds(
        world(listener=inbound, route=route, cluster=cluster(target)), world(endpoint=endpoints(port, name=target))
    )


class Callers:
    """Calls one proxy without a pause, as a member that stays allowed, one whose right is revoked, and a stranger."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.answers: dict[str, list[str]] = {"member": [], "revoked": [], "stranger": []}
        self._url = url
        self._over = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        # Each call on a connection of its own. One that is kept, Envoy may close just as the next call is on its way:
        # that call would be lost by HTTP/1.1, and not by the control plane.
        unkept = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=unkept, timeout=WITHIN_S) as client:
            while not self._over:
                for caller, answers in self.answers.items():
                    answer = await client.get(self._url, headers={"caller": caller})
                    answers.append(answer.text if answer.status_code == 200 else str(answer.status_code))

    async def next_round(self) -> None:
        wanted = len(self.answers["stranger"]) + 2
        await until(
            lambda: len(self.answers["stranger"]) >= wanted or self._task.done(), what="more calls", timeout=WITHIN_S
        )

    async def stop(self) -> dict[str, list[str]]:
        self._over = True
        await self._task
        return self.answers


@asynccontextmanager
async def first_control_plane(
    folder: Path, listen: UnixListen, **scenario: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    file = folder / "scenario.json"
    file.write_text(json.dumps({"nodes": list(PROXIES), **scenario}), "utf-8")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), str(listen.path), str(file), stdin=pipe, stdout=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def named(resources: Resources) -> dict[str, Any]:
    return {kind.name: content for kind, content in resources.items()}


@pytest.fixture
async def mesh(folder: Path, listen: UnixListen, binary: EnvoyBinary, guard: Guard) -> AsyncIterator[Mesh]:
    """Its control plane is the successor, and not started yet."""
    mesh = Mesh(folder, listen, ControlPlane(), ProcessRuntime(binary, guard))
    yield mesh
    await mesh.control_plane.stop()
    await mesh.close()


@pytest.mark.parametrize(("stage", "kind"), STAGES)
async def test_the_successor_finishes_what_was_begun(
    mesh: Mesh, folder: Path, listen: UnixListen, stage: Stage, kind: ResourceType | None
):
    successor = mesh.control_plane
    blocks = {name: await mesh.building_block(name) for name in ("blue", "green")}
    before = policies("blue", blocks["blue"].port, ("member", "revoked"), "first")
    after = policies("green", blocks["green"].port, ("member",), "second")
    what = {"before": named(before), "after": named(after), "stage": stage, "type": kind and kind.name}
    async with first_control_plane(folder, listen, **what) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        proxies: list[SecurityServer] = []
        for name, api_type in PROXIES.items():
            proxies.append(await mesh.proxy(name, api_type))
        assert await asyncio.wait_for(process.stdout.readline(), WITHIN_S) == b"ready\n"
        calls = [Callers(proxy.name, await mesh.url(proxy)) for proxy in proxies]
        for each in calls:
            await each.next_round()
        process.stdin.write(b"push\n")
        assert await asyncio.wait_for(process.wait(), WITHIN_S) == -signal.SIGKILL
        for each in calls:
            await each.next_round()

        versions = {name: successor.set_resources(name, after) for name in PROXIES}
        await successor.start(listen)
        for name, version in versions.items():
            await successor.acknowledged(name, version, WITHIN_S)
        for each in calls:
            await each.next_round()
            answers = await each.stop()
            assert set(answers["stranger"]) == {"403"}
            assert set(answers["member"]) - MAY_FAIL.get(each.name, set()) == {"blue", "green"}
            assert answers["member"][-1] == "green"
            refused = [answer == "403" for answer in answers["revoked"]]
            assert refused == sorted(refused)
            assert answers["revoked"][-1] == "403"
