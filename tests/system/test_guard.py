from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from conformance.system.deadlines import until
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

RUNAWAY = """
import subprocess, signal
print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
signal.pause()
"""


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_closing_the_guard_ends_and_deletes_what_is_still_protected():
    guard = Guard()
    folder = PrivateFolder(guard)
    (folder.path / "key.pem").write_text("secret")
    child = await ChildProcess.start(["sleep", "600"], name="child", guard=guard)
    await asyncio.to_thread(guard.close)
    assert not folder.path.exists()
    assert await child.exited == -signal.SIGKILL
    await child.stop()


async def test_closing_the_guard_ends_what_has_left_its_group():
    guard = Guard()
    child = await ChildProcess.start([sys.executable, "-c", RUNAWAY], name="child", guard=guard)
    await until(child.tail, what="the child prints", timeout=20)
    runaway = int(child.tail())
    await child.stop()
    assert lives(runaway)
    await asyncio.to_thread(guard.close)
    assert not lives(runaway)


async def test_the_guard_leaves_alone_what_was_released_and_what_is_not_of_its_run():
    guard, other = Guard(), Guard()
    child = await ChildProcess.start(["sleep", "600"], name="child", guard=other)
    folder = PrivateFolder(other)
    guard.protect("folder", folder.path)
    guard.release("folder", folder.path)
    await asyncio.to_thread(guard.close)
    assert child.alive
    assert folder.path.exists()
    await child.stop()
    folder.remove()
    await asyncio.to_thread(other.close)


async def test_what_is_protected_twice_must_be_released_twice(tmp_path):
    guard = Guard()
    (tmp_path / "folder").mkdir()
    for _ in range(2):
        guard.protect("folder", tmp_path / "folder")
    guard.release("folder", tmp_path / "folder")
    await asyncio.to_thread(guard.close)
    assert not (tmp_path / "folder").exists()


def test_a_private_folder_is_private_and_its_path_is_short():
    guard = Guard()
    folder = PrivateFolder(guard)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert len(str(folder.path)) < 40
    folder.remove()
    assert not folder.path.exists()
    guard.close()


def test_the_guard_ignores_the_signals_that_a_terminal_sends_to_everybody():
    guard = Guard()
    folder = PrivateFolder(guard)
    # Only a guard that reads has set up its signals; a released folder proves it once the guard is closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        wait_until_ignored(guard.pid, number)
        os.kill(guard.pid, number)
    guard.close()
    assert not folder.path.exists()


def wait_until_ignored(pid: int, number: signal.Signals) -> None:
    def ignored() -> bool:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return bool(int(status["SigIgn"], 16) >> (number - 1) & 1)

    asyncio.run(until(ignored, what=f"{number} is ignored", timeout=20))


def test_a_guard_that_somebody_killed_does_not_break_the_run():
    guard = Guard()
    folder = PrivateFolder(guard)
    os.kill(guard.pid, signal.SIGKILL)
    os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
    guard.protect("folder", "/nowhere")
    folder.remove()
    guard.close()
    assert not folder.path.exists()


@pytest.mark.parametrize("name", ["HOME", "PATH"])
async def test_a_child_inherits_the_environment_and_the_marker_of_its_run(name):
    guard = Guard()
    code = f"import os; print(os.environ[{name!r}], os.environ['MESHMARK_RUN'])"
    child = await ChildProcess.start([sys.executable, "-c", code], name="child", guard=guard)
    await asyncio.shield(child.exited)
    await child.stop()
    assert child.tail() == f"{os.environ[name]} {guard.marker['MESHMARK_RUN']}"
    await asyncio.to_thread(guard.close)
