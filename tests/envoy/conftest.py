from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.envoy.binary import EnvoyBinary, installed_binary
from conformance.envoy.container import ContainerRuntime
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import Runtime
from conformance.system.engine import ContainerImage
from conformance.system.guard import Guard


@pytest.fixture
def xds(folder: Path) -> Path:
    """Where a control plane would have its socket: in a folder of its own, which containers see."""
    (folder / "xds").mkdir()
    return folder / "xds" / "ads.sock"


@pytest.fixture(scope="session")
def binary() -> EnvoyBinary:
    return installed_binary()


@pytest.fixture
async def processes(binary: EnvoyBinary, guard: Guard) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(binary, guard)
    yield runtime
    await runtime.close()


@pytest.fixture
async def containers(image: ContainerImage, guard: Guard) -> AsyncIterator[ContainerRuntime]:
    runtime = await ContainerRuntime.of(image, guard)
    yield runtime
    await runtime.close()


@pytest.fixture(params=["process", "container"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Both kinds, one after the other: what holds for one must hold for the other."""
    return request.getfixturevalue({"process": "processes", "container": "containers"}[request.param])
