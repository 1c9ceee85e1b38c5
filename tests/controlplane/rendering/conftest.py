from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from envoys import ALL_ENVOYS, OTHERS
from one_server import OneServer
from xds_parts import Mesh

from conformance.envoy.binary import EnvoyBinary, binary_of_version, installed_binary

OLDEST = OTHERS[0]


@pytest.fixture(scope="session", params=["installed", *([OLDEST] if ALL_ENVOYS else ())])
def binary(request: pytest.FixtureRequest) -> EnvoyBinary:
    """What is in force must be so with the oldest Envoy, too, where others than the installed one are asked."""
    return installed_binary() if request.param == "installed" else binary_of_version(request.param)


@pytest.fixture
async def server(mesh: Mesh) -> AsyncIterator[OneServer]:
    server = await OneServer(mesh).start()
    yield server
    server.close()
