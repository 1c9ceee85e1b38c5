"""How followers learn what is new, and what they are told.

Invariants: a follower looks whenever something may have happened, in this process or in another one, and once in a
while anyway; what it is told depends only on the versions between which it looks, so nothing is missed or told twice,
however often or seldom it looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from conformance.policy.store.database import Database

__all__ = ["Followers"]

LOOK_EVERY_S = 1.0
"""A process that dies between its commit and the news of it tells nobody; then followers are this late at most."""


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
