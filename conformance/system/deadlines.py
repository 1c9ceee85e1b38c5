"""Waiting for a named condition, with a deadline, instead of sleeping and hoping.

Limits are in seconds in which this process ran. A machine that has stopped for a while, or has no time for us, has none
for those that we wait for either, and must not turn an answer that is on its way into none.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar, overload

from conformance.model.errors import DeadlineExceeded

__all__ = ["TICK_S", "time_limit", "until", "while_running"]

T = TypeVar("T")

POLL_INTERVAL_S = 0.002
TICK_S = 0.1
"""No stop of the process, however long, takes more than this off a limit."""
LAST_BREATH_S = 0.1
NEXT_STEP = "raise the timeout in the run file if the machine is slow; otherwise read the evidence"


class time_limit:  # noqa: N801 -- used as `asyncio.timeout` is
    """`async with time_limit(seconds):` raises TimeoutError inside the block, and out of it, when they are over."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._tick: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._await_tick()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tick is not None:
            self._tick.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _await_tick(self) -> None:
        step = min(self._left, TICK_S)
        self._left -= step
        self._tick = self._loop.call_later(step, self._await_tick if self._left > 0 else self._expire)

    def _expire(self) -> None:
        self._tick = None
        self._limit.reschedule(self._loop.time())


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
        wake = loop.time() + pause
        await asyncio.sleep(pause)
        deadline += max(0.0, loop.time() - wake - TICK_S)
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
