"""What several rooms' tests share."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer, programs
from workplace import Workplace

from conformance.envoy.binary import installed_binary
from conformance.envoy.image import build_image
from conformance.model.errors import EnvironmentFault
from conformance.system.engine import ContainerImage, connect_engine
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.namespaces import why_unavailable

pytest_plugins = ["pytester"]

# How fast a busy machine is says nothing about what is tested, and whoever changes one thing must not be told of
# another: the examples are always the same. `MESHMARK_SEARCH=1` looks for new ones.
settings.register_profile(
    "same for all",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("MESHMARK_SEARCH") != "1",
)
settings.load_profile("same for all")

LONGEST_NAME = 80


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Megabytes are no name: every worker would send them to and fro for each test."""
    if isinstance(val, (str, bytes)) and len(val) > LONGEST_NAME:
        return f"{argname} of {len(val)}"
    return None


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """A folder in which the installed commands are run."""
    # Unix sockets lie below it, and their paths must be short.
    temporary = Path(tempfile.mkdtemp(prefix="mm-"))
    yield Workplace(tmp_path, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def folder(guard: Guard) -> Iterator[Path]:
    """A private folder whose path is short enough for unix sockets."""
    folder = PrivateFolder(guard)
    yield folder.path
    folder.remove()


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The local container engine: skips where none answers; fails where MESHMARK_REQUIRE_DOCKER=1 promises one."""
    try:
        client = connect_engine()
    except EnvironmentFault as problem:
        if os.environ.get("MESHMARK_REQUIRE_DOCKER") == "1":
            pytest.fail(f"MESHMARK_REQUIRE_DOCKER=1, but {problem}")
        pytest.skip(f"no container engine: {problem.what}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine: Any) -> ContainerImage:
    """The machine's Envoy as an image, which no machine has to fetch; also an HTTP server for whoever needs one."""
    return asyncio.run(build_image(installed_binary()))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A database server of the tests' own: skips where PostgreSQL is not; fails where MESHMARK_REQUIRE_POSTGRES=1."""
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


@pytest.fixture(scope="session")
def network_namespaces() -> None:
    """Skips where this process may not make any; fails where MESHMARK_REQUIRE_NAMESPACES=1 promises that it may."""
    why = why_unavailable()
    if why and os.environ.get("MESHMARK_REQUIRE_NAMESPACES") == "1":
        pytest.fail(f"MESHMARK_REQUIRE_NAMESPACES=1, but {why}")
    if why:
        pytest.skip(f"no network namespaces: {why}")
