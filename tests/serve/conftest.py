from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, programs
from serve_parts import ReferenceSystem


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    found = programs()
    if found is None:
        if os.environ.get("MESHMARK_REQUIRE_POSTGRES") == "1":
            pytest.fail("PostgreSQL is required (MESHMARK_REQUIRE_POSTGRES=1) and not installed")
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = PostgresServer(found)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def system(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[ReferenceSystem]:
    with postgres.database() as name:
        async with ReferenceSystem(tmp_path, postgres.url(name)) as system:
            yield system
