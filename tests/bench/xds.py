"""The control plane among many proxies and with many services: beside go-control-plane, and beside itself if small."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click

from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.envoy.binary import installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServerSpec
from conformance.protobuf.listen import UnixListen
from tests.bench.measuring import Series, compare, taking_turns_async
from tests.bench.meshes import guarded
from tests.bench.xds_peers import Ended, resources, workshop

__all__ = ["all_concerned", "memory", "one_endpoint", "thousands"]

PROXIES, SERVICES = 1_000, 10
ROUNDS = 30
CROWD = 5_000
FEW_CLUSTERS, MANY_CLUSTERS = 50, 5_000
ENDPOINT_CHANGES = 100
WITHIN_S = 300.0


def all_concerned() -> None:
    """One change that concerns 1,000 proxies: until the last of them has acknowledged it.

    Three take turns: go-control-plane, gRPC for Python without any control plane behind it, and ours.
    """
    names = {"theirs": "go-control-plane", "floor": "gRPC for Python alone", "ours": "ours"}
    for dialect in ("delta", "whole"):
        with workshop() as works:
            pairs = {which: works.pair(which, proxies=PROXIES, services=SERVICES, dialect=dialect) for which in names}
            series = {which: Series(f"{name}, {PROXIES} proxies, {dialect}") for which, name in names.items()}
            for pair in pairs.values():
                pair.change_s()
            before = {which: pair.server.cpu_s() for which, pair in pairs.items()}
            for _ in range(ROUNDS):
                for which, pair in pairs.items():
                    series[which].times.append(pair.change_s())
            compare(list(series.values()))
            used = {which: (pair.server.cpu_s() - before[which]) / ROUNDS for which, pair in pairs.items()}
            for which, name in names.items():
                each, ratio = used[which] * 1000, used[which] / used["theirs"]
                click.echo(
                    f"  {name:<24} {each:5.0f} ms of processor time for each change, {ratio:.2f} times the first"
                )


def thousands() -> None:
    """5,000 proxies connect at once: until each is served, and what a change takes then."""
    for which in ("theirs", "ours", "naive"):
        with workshop() as works:
            try:
                pair = works.pair(which, proxies=CROWD, services=SERVICES, dialect="delta")
            except Ended:
                # The load client gives up when a stream is thrown away: a real proxy would come back, and again.
                click.echo(f"  {which}: streams are thrown away; not all of {CROWD} proxies are served")
                continue
            changes = Series(f"{which}: one change for {CROWD} proxies")
            changes.times += [pair.change_s() for _ in range(5)]
            click.echo(
                f"  {which}: {CROWD} proxies connected and served in {pair.served_s:.1f} s, "
                f"{pair.server.status('VmRSS') / 1024:.0f} MB"
            )
            compare([changes])


def memory() -> None:
    """The control plane with 1,000 proxies and 1,000 services, and after 10,000 changes."""
    with workshop() as works:
        pair = works.pair("ours", proxies=PROXIES, services=1_000, dialect="delta")
        click.echo(f"  1,000 proxies, 1,000 services each: {pair.server.status('VmRSS') / 1024:.0f} MB")
    asyncio.run(_growth())


async def _growth() -> None:
    """10,000 changes of one proxy among 100, acknowledged by nobody: there is nothing to wait for."""
    described = resources(100)
    control_plane = ControlPlane()
    for node in range(100):
        control_plane.set_resources(f"node-{node}", _by_type(described))
    for changes in (1_000, 10_000):
        for number in range(changes):
            changed = _assignment("service-0", number % 60_000 + 1)
            control_plane.update(f"node-{number % 100}", {(ResourceType.ENDPOINT, "service-0"): changed})
        gc.collect()
        click.echo(f"  after {changes} changes more: {_resident_mb():.1f} MB")


def one_endpoint() -> None:
    """One endpoint of 5,000 clusters, or of 50, changes: until a real Envoy has acknowledged it."""
    asyncio.run(_one_endpoint())


async def _one_endpoint() -> None:
    with guarded() as guard, tempfile.TemporaryDirectory(prefix="mm-") as folder:
        runtime = ProcessRuntime(installed_binary(), guard)
        control_plane = ControlPlane()
        socket = Path(folder) / "xds.sock"
        async with AsyncExitStack() as exits:
            await control_plane.start(UnixListen(socket))
            exits.push_async_callback(control_plane.stop)
            exits.push_async_callback(runtime.close)
            for count in (FEW_CLUSTERS, MANY_CLUSTERS):
                name = f"of-{count}"
                version = control_plane.set_resources(name, _by_type(resources(count)))
                await runtime.start(SecurityServerSpec(name, Path(folder) / name, socket, api_type="DELTA_GRPC"), 60)
                begun = time.perf_counter()
                await control_plane.acknowledged(name, version, WITHIN_S)
                click.echo(f"  {count} clusters acknowledged after {time.perf_counter() - begun:.1f} s")
            works = {
                f"one_endpoint_of_{n}_clusters": _changing(control_plane, n) for n in (FEW_CLUSTERS, MANY_CLUSTERS)
            }
            compare(await taking_turns_async(ENDPOINT_CHANGES, **works))


def _changing(control_plane: ControlPlane, count: int) -> Callable[[], Awaitable[None]]:
    node, port = f"of-{count}", 1

    async def change() -> None:
        nonlocal port
        port += 1
        version = control_plane.update(node, {(ResourceType.ENDPOINT, "service-7"): _assignment("service-7", port)})
        await control_plane.acknowledged(node, version, WITHIN_S)

    return change


def _by_type(described):
    return {
        ResourceType.CLUSTER: {each["name"]: each for each in described["clusters"]},
        ResourceType.ENDPOINT: {each["cluster_name"]: each for each in described["endpoints"]},
    }


def _assignment(name: str, port: int):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
