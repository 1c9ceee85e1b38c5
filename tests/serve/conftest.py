from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from serve_parts import ReferenceSystem


@pytest.fixture
async def system(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[ReferenceSystem]:
    with postgres.database() as name:
        async with ReferenceSystem(tmp_path, postgres.url(name)) as system:
            yield system
