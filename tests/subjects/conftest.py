from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.envoy.binary import installed_binary
from conformance.envoy.image import build_image
from conformance.model.errors import EnvironmentFault
from conformance.system.engine import ContainerImage, connect_engine
from conformance.system.guard import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


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
    """An image with an HTTP server in it, which no machine has to fetch: Envoy's own."""
    return asyncio.run(build_image(installed_binary()))
