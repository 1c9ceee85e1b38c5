"""One look at the feed of a store, bounded in time.

A follower of a store waits while the store cannot be read, as long as that takes; whoever answers a request may not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection

from conformance.model.errors import EnvironmentFault
from conformance.model.policies import PolicyChange
from conformance.policy.store import Store

__all__ = ["known_news", "next_change"]

READ_S = 5.0
"""How long reading what is there already may take."""


async def next_change(
    store: Store, after: int, wait_s: float, *, unless: Collection[asyncio.Event] = ()
) -> PolicyChange | None:
    """Everything since version `after` as one change; None if nothing came in time, or one of the events did."""
    feed = store.changes(after)
    following = asyncio.ensure_future(anext(feed))
    waiting = {asyncio.ensure_future(event.wait()) for event in unless}
    try:
        await asyncio.wait({following, *waiting}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    finally:
        for task in (following, *waiting):
            task.cancel()
        await asyncio.gather(following, *waiting, return_exceptions=True)
        if isinstance(feed, AsyncGenerator):
            await feed.aclose()


async def known_news(store: Store, after: int) -> PolicyChange:
    """Everything since version `after`, where the store has said that there is something.

    Raises:
        EnvironmentFault: the store does not hand it out.

    """
    change = await next_change(store, after, READ_S)
    if change is None:
        raise EnvironmentFault(
            f"the store has a version after {after}, and does not hand it out within {READ_S:g} s",
            next_step="look at the database and its log",
        )
    return change
