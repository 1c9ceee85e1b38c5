"""Waiting for a named condition, with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, overload

from conformance.model.errors import DeadlineExceeded

__all__ = ["until", "while_running"]

T = TypeVar("T")

POLL_INTERVAL_S = 0.002
LAST_BREATH_S = 0.1
NEXT_STEP = "raise the timeout in the run file if the machine is slow; otherwise read the evidence"


@overload
async def until(
    condition: Callable[[], Awaitable[T | None]],
    *,
    what: str,
    timeout: float,
    next_step: str = ...,
    last_seen: Callable[[], str] | None = None,
) -> T: ...


@overload
async def until(
    condition: Callable[[], T | None],
    *,
    what: str,
    timeout: float,
    next_step: str = ...,
    last_seen: Callable[[], str] | None = None,
) -> T: ...


async def until(
    condition: Callable[[], Any],
    *,
    what: str,
    timeout: float,
    next_step: str = NEXT_STEP,
    last_seen: Callable[[], str] | None = None,
) -> Any:
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
            return value
        if loop.time() >= deadline:
            raise DeadlineExceeded(
                f"not within {timeout:g} s: {what}",
                next_step=next_step,
                detail=f"seen last: {last_seen()}" if last_seen else None,
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)


async def while_running(
    waiting: Coroutine[Any, Any, T], exited: asyncio.Task[int], death: Callable[[], Exception]
) -> T:
    """Await `waiting`, but no longer than the program lives whose end is `exited`.

    Raises:
        Exception: what `death()` gives, if the program ended first.

    """
    task = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({task, exited}, return_when=asyncio.FIRST_COMPLETED)
        if not exited.done() and task.exception():
            # Perhaps the first sign of the end: the sockets of a dying program close before its parent hears of it.
            await asyncio.wait({exited}, timeout=LAST_BREATH_S)
        if exited.done():
            raise death()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            # Looked at, so that asyncio does not report it as forgotten.
            task.exception()
