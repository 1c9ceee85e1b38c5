"""Networks that are gone after a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from conformance.system.guard import Guard
from conformance.system.networks import Network

__all__ = ["network"]


@asynccontextmanager
async def network(
    guard: Guard,
    *hosts: str,
    neighbours: Mapping[str, Sequence[str]] | None = None,
    cables: Sequence[tuple[str, str]] = (),
    unplugged: Collection[str] = (),
) -> AsyncIterator[Network]:
    made = await Network.create(hosts, guard=guard, neighbours=neighbours, cables=cables, unplugged=unplugged)
    try:
        yield made
    finally:
        await made.remove()
