"""Meshes in this process, for what a command line is too slow to show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from conformance.envoy.binary import installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import Runtime
from conformance.mesh import Applications, Mesh
from conformance.model.timeouts import Timeouts
from conformance.plugin.loading import read_run_file
from conformance.system.folders import bundled
from conformance.system.guard import Guard

__all__ = ["guarded", "mesh_of_reference"]

TIMEOUTS = Timeouts(acknowledged=600, security_server_ready=60)


@contextmanager
def guarded() -> Iterator[Guard]:
    """A guard; when the block ends, nothing is left."""
    guard = Guard()
    try:
        yield guard
    finally:
        guard.close()


@asynccontextmanager
async def mesh_of_reference(guard: Guard, runtime: Runtime | None = None) -> AsyncIterator[Mesh]:
    """The mesh of the smallest reference building block."""
    source = read_run_file(bundled("fixtures/citizen-id.meshmark.yaml"))
    mesh = Mesh(
        applications=Applications.of(source.run_file, source.path.parent, TIMEOUTS, guard),
        runtime=runtime or ProcessRuntime(installed_binary(), guard),
        timeouts=TIMEOUTS,
        guard=guard,
    )
    async with mesh:
        yield mesh
