"""Waiting for a named condition, with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from conformance.model.errors import DeadlineExceeded

__all__ = ["until"]

T = TypeVar("T")

POLL_INTERVAL_S = 0.002


async def until(
    condition: Callable[[], T | None | Awaitable[T | None]],
    *,
    what: str,
    timeout: float,
    next_step: str = "raise the timeout in the run file if the machine is slow; otherwise read the evidence",
    last_seen: Callable[[], str] | None = None,
) -> T:
    """Poll `condition` until it gives something truthy and return that.

    Args:
        condition: a function, plain or async, without side effects on what is observed.
        what: the condition in words; it opens the error message.
        timeout: seconds, from the run's timeout table.
        next_step: what the reader of the error should do.
        last_seen: tells what was there when time ran out.

    Raises:
        DeadlineExceeded: the condition did not come true in time.

    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    pause = POLL_INTERVAL_S
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value  # type: ignore[return-value]  # narrowed by truth
        if loop.time() >= deadline:
            raise DeadlineExceeded(
                f"not within {timeout:g} s: {what}",
                next_step=next_step,
                detail=f"seen last: {last_seen()}" if last_seen else None,
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)
