"""Whoever stops a run gets what was found so far, and nothing of the run stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from workplace import Workplace, results

from conformance.system.deadlines import until


async def in_the_middle(workplace: Workplace) -> subprocess.Popen[str]:
    """A run whose first check has passed, and whose second one would take ten minutes."""
    file = workplace.hanging()
    process = workplace.start("certify", file, "--only", "ROUTE-001,API-002")
    await until(lambda: "ROUTE-001" in process.stdout.readline(), what="the first check is done", timeout=60)
    return process


def assert_recorded_as_interrupted(workplace: Workplace) -> None:
    record = workplace.record()
    found = results(record)
    assert record["interrupted"]
    assert record["outcome"] == "incomplete"
    assert found["ROUTE-001"]["verdict"] == "pass"
    assert (found["API-002"]["verdict"], found["API-002"]["seen"]) == ("not-run", "the run was interrupted")
    report = (workplace.folder / "meshmark-report" / "report.html").read_text()
    junit = (workplace.folder / "meshmark-report" / "junit.xml").read_text()
    assert "the run was interrupted before its end" in report
    assert "the run was interrupted before its end" in junit


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_run_is_recorded_as_far_as_it_came(number, workplace: Workplace):
    process = await in_the_middle(workplace)
    process.send_signal(number)
    finished = workplace.finish(process)
    assert finished.code == 130
    assert "Traceback" not in finished.said
    assert "the run was interrupted before its end" in finished.out
    assert_recorded_as_interrupted(workplace)
    assert workplace.left() == []


async def test_a_run_interrupted_while_it_starts_is_recorded_too(workplace: Workplace):
    file = workplace.run_file(subject={"command": ["{python}", "-c", "import time; time.sleep(600)"]})
    process = workplace.start("certify", file, "--only", "API-001")
    await until(
        lambda: any("time.sleep" in line for line in workplace.processes().values()),
        what="the building block is being started",
        timeout=60,
    )
    process.send_signal(signal.SIGINT)
    finished = workplace.finish(process)
    record = workplace.record()
    assert finished.code == 130
    assert "Traceback" not in finished.said
    assert record["interrupted"]
    assert record["outcome"] == "incomplete"
    assert workplace.left() == []


def told_to_end(pid: int) -> bool:
    """Whether SIGTERM waits for a process that does not take it."""
    status = Path(f"/proc/{pid}/status").read_text()
    pending = int(next(line for line in status.splitlines() if line.startswith("ShdPnd")).split()[1], 16)
    return bool(pending & 1 << (signal.SIGTERM - 1))


async def test_an_impatient_second_interrupt_leaves_nothing_behind_either(workplace: Workplace):
    file = workplace.hanging("ignores-sigterm", timeouts={"stop": 600})
    process = workplace.start("certify", file, "--only", "ROUTE-001,API-002")
    await until(lambda: "ROUTE-001" in process.stdout.readline(), what="the first check is done", timeout=60)
    (subject,) = [pid for pid, line in workplace.processes().items() if "citizen_id.py" in line]
    process.send_signal(signal.SIGINT)
    await until(lambda: told_to_end(subject), what="the clean-up waits for the building block", timeout=60)
    process.send_signal(signal.SIGINT)
    finished = workplace.finish(process)
    assert finished.code == 130
    assert "Traceback" not in finished.said
    await until(lambda: not workplace.left(), what="all is gone", timeout=60, last_seen=lambda: str(workplace.left()))


async def test_nothing_outlives_a_run_that_is_killed(workplace: Workplace):
    process = await in_the_middle(workplace)
    assert len(workplace.processes()) > 4
    os.kill(process.pid, signal.SIGKILL)
    workplace.finish(process)
    await until(lambda: not workplace.left(), what="all is gone", timeout=60, last_seen=lambda: str(workplace.left()))
    assert not (workplace.folder / "meshmark-report" / "record.json").exists()
