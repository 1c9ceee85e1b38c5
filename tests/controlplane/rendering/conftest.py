from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from one_server import OneServer
from xds_parts import Mesh


@pytest.fixture
async def server(mesh: Mesh) -> AsyncIterator[OneServer]:
    server = await OneServer(mesh).start()
    yield server
    server.close()
