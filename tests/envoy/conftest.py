from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conformance.envoy.binary import EnvoyBinary, installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def folder(guard: Guard) -> Iterator[Path]:
    folder = PrivateFolder(guard)
    yield folder.path
    folder.remove()


@pytest.fixture(scope="session")
def binary() -> EnvoyBinary:
    return installed_binary()


@pytest.fixture
async def processes(binary: EnvoyBinary, guard: Guard) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(binary, guard)
    yield runtime
    await runtime.close()
