"""Stores on both databases. What a store promises does not depend on where it is kept, so one suite tests both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from conformance.policy.store.kept import KeptStore
from conformance.policy.store.opening import open_store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policies.db"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a new database on the server."""
    with postgres.database() as name:
        yield postgres.url(name)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Where a new store may be."""
    if request.param == "sqlite":
        return f"sqlite:{request.getfixturevalue('file')}"
    return str(request.getfixturevalue("database"))


@pytest.fixture
async def opened() -> AsyncIterator[Callable[[str], Awaitable[KeptStore]]]:
    """Opens stores, and closes them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_it(url: str) -> KeptStore:
            store = await open_store(url)
            stack.push_async_callback(store.close)
            return store

        yield open_it


@pytest.fixture
async def store(url: str, opened: Callable[[str], Awaitable[KeptStore]]) -> KeptStore:
    return await opened(url)


@pytest.fixture
async def other(url: str, store: KeptStore, opened: Callable[[str], Awaitable[KeptStore]]) -> KeptStore:
    """The same store, opened a second time, as by another process."""
    return await opened(url)
