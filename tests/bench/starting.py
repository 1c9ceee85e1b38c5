"""How long a mesh takes to start, as containers and as processes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Literal

import click

from conformance.envoy.choose import choose_runtime
from conformance.model.errors import EnvironmentFault
from conformance.system.guard import Guard
from tests.bench.measuring import Series, compare
from tests.bench.meshes import guarded, mesh_of_reference

__all__ = ["runtimes"]

STARTS = 10


def runtimes() -> None:
    """Three security servers and a building block: from nothing to the first acknowledged configuration."""
    with guarded() as guard:
        try:
            asyncio.run(_runtimes(guard))
        except EnvironmentFault as problem:
            click.echo(f"  left out: {problem}")


async def _runtimes(guard: Guard) -> None:
    processes, containers = Series("a mesh of processes"), Series("a mesh of containers")
    await _start("container", guard, Series("whatever is done only once"))
    for _ in range(STARTS):
        await _start("process", guard, processes)
        await _start("container", guard, containers)
    compare([processes, containers])


async def _start(kind: Literal["process", "container"], guard: Guard, series: Series) -> None:
    chosen = await choose_runtime(kind, None, guard)
    async with AsyncExitStack() as mesh:
        with series.measured():
            await mesh.enter_async_context(mesh_of_reference(guard, chosen.runtime))
