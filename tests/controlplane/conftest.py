from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from raw_client import RawClient
from xds_parts import Mesh

from conformance.controlplane.server import ControlPlane
from conformance.envoy.binary import EnvoyBinary, installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.protobuf.listen import UnixListen
from conformance.system.guard import Guard


@pytest.fixture
def listen(folder: Path) -> UnixListen:
    return UnixListen(folder / "xds.sock")


@pytest.fixture
async def control_plane(listen: UnixListen) -> AsyncIterator[ControlPlane]:
    control_plane = ControlPlane()
    await control_plane.start(listen)
    yield control_plane
    await control_plane.stop()


@pytest.fixture(scope="session")
def binary() -> EnvoyBinary:
    return installed_binary()


@pytest.fixture
async def mesh(
    folder: Path, listen: UnixListen, control_plane: ControlPlane, binary: EnvoyBinary, guard: Guard
) -> AsyncIterator[Mesh]:
    mesh = Mesh(folder, listen, control_plane, ProcessRuntime(binary, guard))
    yield mesh
    await mesh.close()


@pytest.fixture
async def client(listen: UnixListen, control_plane: ControlPlane) -> AsyncIterator[RawClient]:
    client = RawClient(listen)
    yield client
    await client.close()
