from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.system.deadlines import time_limit, until, while_running


async def test_the_value_of_a_condition_that_comes_true_is_given_back():
    values = iter([None, 0, "", "there"])
    assert await until(lambda: next(values), what="something is there", timeout=5) == "there"


async def test_a_condition_may_be_a_coroutine_function():
    values = iter([None, 7])

    async def condition() -> int | None:
        return next(values)

    assert await until(condition, what="a number", timeout=5) == 7


async def test_a_deadline_names_the_condition_and_what_was_seen_last():
    with pytest.raises(DeadlineExceeded, match="the moon is full") as caught:
        await until(lambda: False, what="the moon is full", timeout=0.01, last_seen=lambda: "a crescent")
    assert "seen last: a crescent" in str(caught.value)


async def test_waiting_ends_at_once_when_the_program_is_gone():
    async def gone() -> int:
        return 3

    exited = asyncio.create_task(gone())
    with pytest.raises(EnvironmentFault, match="it died"):
        await while_running(asyncio.sleep(3600), exited, lambda: EnvironmentFault("it died", next_step="mourn"))


async def test_an_error_of_the_waiting_itself_comes_through():
    async def forever() -> int:
        await asyncio.sleep(3600)
        return 0

    exited = asyncio.create_task(forever())
    with pytest.raises(DeadlineExceeded):
        await while_running(until(lambda: False, what="never", timeout=0.01), exited, AssertionError)
    assert not exited.done()
    exited.cancel()


async def test_a_limit_ends_what_takes_longer_and_nothing_else():
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(TimeoutError):
        async with time_limit(0.35):
            await asyncio.sleep(3600)
    assert loop.time() - started >= 0.35
    async with time_limit(0.01):
        pass
    await asyncio.sleep(0.05)


async def test_a_limit_of_nothing_is_over_at_the_first_wait():
    with pytest.raises(TimeoutError):
        async with time_limit(0):
            await asyncio.sleep(3600)


async def test_who_cancels_is_not_told_of_a_limit():
    async def limited() -> None:
        async with time_limit(3600):
            await asyncio.sleep(3600)

    task = asyncio.create_task(limited())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def stopped(seconds: float) -> None:
    """As the whole process is while its machine does not run it."""
    time.sleep(seconds)


async def test_an_answer_that_came_while_the_process_was_stopped_counts():
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    asyncio.get_running_loop().call_later(0.05, stopped, 1.0)
    answering = threading.Timer(0.5, there.sendall, [b"answer"])
    answering.start()
    async with time_limit(0.5):
        assert await reader.readexactly(6) == b"answer"
    answering.join()
    writer.close()
    there.close()


async def test_a_condition_that_came_true_after_a_stop_counts():
    looks = []

    def third() -> bool:
        looks.append(None)
        return len(looks) > 5

    asyncio.get_running_loop().call_soon(stopped, 1.0)
    assert await until(third, what="the sixth look", timeout=0.5)
