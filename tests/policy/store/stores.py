"""Small helpers for tests of stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from conformance.model.policies import Kind, MemberPolicy, Policy, PolicyChange, PolicyKey
from conformance.policy.store import Author, Document, Store, Stored, Write

ANNA = Author("spiffe://mesh.example/people/anna", "operator")
PATIENCE_S = 60.0


def service(name: str) -> PolicyKey:
    return Kind.SERVICE, name


def put(name: str, value: object, expected: int | None = None) -> Write:
    return Write(service(name), {"value": value}, expected)


def delete(name: str, expected: int | None = None) -> Write:
    return Write(service(name), None, expected)


def agree(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
    """A judge that finds nothing."""


async def commit(store: Store, *writes: Write, note: str = "") -> int:
    return await store.commit(writes, author=ANNA, note=note, judge=agree)


async def values(store: Store, version: int | None = None) -> dict[str, Any]:
    return {name: stored.document["value"] for (_, name), stored in (await store.documents(version)).items()}


def read_plainly(
    before: Mapping[PolicyKey, Stored], now: Mapping[PolicyKey, Stored], changed: Collection[PolicyKey]
) -> list[Policy]:
    """Policies that show name and value of their documents, and nothing else."""
    return [MemberPolicy(key[1], str(now[key].document["value"])) for key in sorted(changed) if key in now]


def told(change: PolicyChange) -> tuple[int, dict[str, str], tuple[str, ...]]:
    """A change in short: version, what is new, what is gone."""
    put = {one.member: one.identity for one in change.put if isinstance(one, MemberPolicy)}
    return change.version, put, tuple(name for _, name in change.deleted)


async def next_of(changes: AsyncIterator[PolicyChange]) -> tuple[int, dict[str, str], tuple[str, ...]]:
    async with asyncio.timeout(PATIENCE_S):
        return told(await anext(changes))
