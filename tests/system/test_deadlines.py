from __future__ import annotations

import asyncio

import pytest

from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.system.deadlines import until, while_running


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
