"""Small helpers for tests of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.model.policies import Kind, PolicyChange, PolicyKey, key_of
from conformance.policy.store import Author, Document, Store, Write

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


def member(name: str, *, domain: str = "mesh.test") -> Write:
    identity = f"spiffe://{domain}/security-server/{name}"
    return Write((Kind.MEMBER, name), {"kind": "member", "name": name, "identity": identity})


def served(name: str, *callers: str, code: str = "") -> Write:
    document = {"kind": "service", "name": name, "provider": "office", "access": [{"caller": each} for each in callers]}
    return Write(service(name), document | ({"code": code} if code else {}))


def told(change: PolicyChange) -> tuple[int, list[str], list[str]]:
    """A change in short: version, what is new or different, what is gone."""
    return change.version, [key_of(policy)[1] for policy in change.put], [name for _, name in change.deleted]


class Following:
    """A follower of a store."""

    def __init__(self, store: Store, after: int = 0) -> None:
        self._changes = store.changes(after)

    async def next(self) -> PolicyChange:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self._changes)

    async def next_in_short(self) -> tuple[int, list[str], list[str]]:
        return told(await self.next())
