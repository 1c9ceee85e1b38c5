"""How followers learn what is new, and what they are told.

Invariants: a follower looks whenever something may have happened, in this process or in another one, and once in a
while anyway; what it is told depends only on the versions between which it looks, so nothing is missed or told twice,
however often or seldom it looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence

from conformance.model.policies import Kind, Policy, PolicyChange, PolicyKey
from conformance.policy.store import Stored
from conformance.policy.store.database import Database, Session
from conformance.policy.store.snapshot import Snapshot

__all__ = ["Followers", "PolicyReader", "change_between"]

LOOK_EVERY_S = 1.0
"""A process that dies between its commit and the news of it tells nobody; then followers are this late at most."""

PolicyReader = Callable[
    [Mapping[PolicyKey, Stored], Mapping[PolicyKey, Stored], Collection[PolicyKey]], Sequence[Policy]
]
"""The policies that are new or different between two states of all documents, before and now, of which the given ones
changed: these, and those that mean something else because of them.
"""


class Followers:
    """Whoever follows the store in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news: set[asyncio.Event] = set()
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    async def occasions(self) -> AsyncGenerator[None, None]:
        """Each time when it is worth to look, until the store is closed."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._database.watch(self.wake))
        news = asyncio.Event()
        self._news.add(news)
        try:
            while not self._closed:
                # Cleared before looking: what happens meanwhile is another occasion.
                news.clear()
                yield
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await news.wait()
        finally:
            self._news.discard(news)

    def wake(self) -> None:
        """Something may have happened."""
        for news in self._news:
            news.set()

    async def close(self) -> None:
        """Followers end."""
        self._closed = True
        self.wake()
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching


def change_between(session: Session, known: Snapshot, now: Snapshot, read_policies: PolicyReader) -> PolicyChange:
    """What to tell a follower who knows an earlier snapshot."""
    changed = {
        (Kind(kind), name)
        for kind, name in session.rows(
            "SELECT DISTINCT kind, name FROM changes WHERE version > ? AND version <= ?", known.version, now.version
        )
    }
    return PolicyChange(
        version=now.version,
        put=tuple(read_policies(known.documents, now.documents, changed)),
        deleted=tuple(sorted(key for key in changed if key in known.documents and key not in now.documents)),
    )
