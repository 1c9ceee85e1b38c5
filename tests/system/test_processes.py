from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from conformance.model.errors import EnvironmentFault
from conformance.system.deadlines import until
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess


async def start(guard: Guard, code: str, **more) -> ChildProcess:
    return await ChildProcess.start([sys.executable, "-c", code], name="child", guard=guard, **more)


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_the_exit_code_and_the_last_output_are_known_after_the_end(guard):
    child = await start(guard, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert await child.exited == 7
    assert await child.stop() == 7
    assert set(child.tail().split()) == {"out", "err"}


async def test_whoever_hears_of_the_end_finds_the_last_words_at_once(guard):
    for number in range(20):
        child = await ChildProcess.start(["sh", "-c", f"echo last words {number}; exit 3"], name="child", guard=guard)
        assert await asyncio.shield(child.exited) == 3
        assert child.tail() == f"last words {number}"
        await child.stop()


async def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(guard):
    child = await start(
        guard, "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    )
    await until(lambda: "deaf" in child.tail(), what="the child is deaf", timeout=20)
    assert await child.stop(grace_s=0.05) == -9


async def test_grandchildren_are_ended_with_the_group(guard):
    child = await start(
        guard,
        "import subprocess, signal; print(subprocess.Popen(['sleep', '600']).pid, flush=True); signal.pause()",
    )
    await until(child.tail, what="the child prints", timeout=20)
    grandchild = int(child.tail())
    await child.stop()
    await until(lambda: not exists(grandchild), what="the grandchild is gone", timeout=5)


async def test_a_grandchild_that_left_the_group_and_holds_the_output_does_not_hold_up_the_stop(guard):
    child = await start(
        guard,
        "import subprocess, signal\n"
        "print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)\n"
        "signal.pause()",
    )
    await until(child.tail, what="the child prints", timeout=20)
    runaway = int(child.tail())
    try:
        await child.stop()
        assert not child.alive
    finally:
        os.kill(runaway, 9)


async def test_endless_output_without_a_line_end_is_bounded(guard):
    child = await start(guard, "import sys\nwhile True: sys.stdout.write('x' * 65536)")
    await until(lambda: len(child.tail(200)) > 1_000_000, what="much output", timeout=20)
    child.kill()
    await child.stop()
    assert len(child.tail(200)) < 200 * 3 * 65536


async def test_a_program_that_does_not_exist_is_named(guard):
    with pytest.raises(EnvironmentFault, match="could not be started") as caught:
        await ChildProcess.start(["/no/such/program"], name="child", guard=guard)
    assert caught.value.where == "/no/such/program"
