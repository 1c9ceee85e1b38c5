"""Several meshes at once: one record, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from workplace import Workplace, results

from conformance.system.deadlines import until

ONLY = "MTLS-001,POLICY-001,ROUTE-001,API-002"
SUITE = "meshmark certify"


def test_what_several_meshes_find_becomes_one_record(workplace: Workplace):
    finished = workplace.meshmark("certify", workplace.citizen_id(), "--workers", "2", "--only", ONLY)
    assert finished.code == 4, finished.said  # only some checks were asked for
    record = workplace.record()
    found = results(record)
    assert {check for check, result in found.items() if result["verdict"] == "pass"} == set(ONLY.split(","))
    assert {check for check in ONLY.split(",") if check in finished.out} == set(ONLY.split(","))
    assert record["environment"]["envoy_version"]
    assert workplace.left() == []


def test_more_meshes_than_checks_are_not_started(workplace: Workplace):
    finished = workplace.meshmark("certify", workplace.citizen_id(), "--workers", "64", "--only", "ROUTE-001")
    assert finished.code == 4, finished.said
    assert results(workplace.record())["ROUTE-001"]["verdict"] == "pass"


async def in_the_middle(workplace: Workplace) -> subprocess.Popen[str]:
    """One check is done, and each of the two processes is busy with another that would take ten minutes."""
    process = workplace.start("certify", workplace.hanging(), "--workers", "2", "--only", "ROUTE-001,API-002,API-003")

    def both_ask() -> bool:
        logs = [log.read_text() for log in workplace.temporary.glob("meshmark-*/citizen-id/access.log")]
        return sum('"path":"/citizen-id/v1/persons"' in log for log in logs) == 2

    await until(both_ask, what="both are calling the building block", timeout=60)
    return process


@pytest.mark.parametrize("to_all", [True, False], ids=["by the terminal", "by a CI service"])
async def test_several_meshes_are_interrupted_together(to_all: bool, workplace: Workplace):
    process = await in_the_middle(workplace)
    if to_all:
        suite = [pid for pid, line in workplace.processes().items() if SUITE in line]
        for pid in suite:
            os.kill(pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    finished = workplace.finish(process)
    assert finished.code == 130
    assert "Traceback" not in finished.said
    record = workplace.record()
    assert record["interrupted"]
    assert results(record)["ROUTE-001"]["verdict"] == "pass"
    assert workplace.left() == []


async def test_no_mesh_outlives_a_run_that_is_killed(workplace: Workplace):
    process = await in_the_middle(workplace)
    os.kill(process.pid, signal.SIGKILL)
    workplace.finish(process)
    await until(lambda: not workplace.left(), what="all is gone", timeout=60, last_seen=lambda: str(workplace.left()))


def test_a_subject_that_somebody_else_runs_is_not_called_by_several_at_once(workplace: Workplace):
    file = workplace.run_file(subject={"command": None, "url": "http://127.0.0.1:1"})
    refused = workplace.meshmark("certify", file, "--workers", "2")
    assert refused.code == 2
    assert "several meshes at once would call one subject at once" in refused.said


FULL = """\
from conformance.plugin import workers
def full(process):
    raise BlockingIOError(11, "Resource temporarily unavailable")
workers.FORKING.Process.start = full
"""


def test_a_machine_without_room_for_more_processes_does_with_one_mesh(workplace: Workplace):
    asked = ("certify", workplace.citizen_id(), "--workers", "2", "--only", "API-001,ROUTE-001")
    finished = workplace.meshmark_after(FULL, *asked)
    assert finished.code == 4, finished.said
    assert {result["verdict"] for check, result in results(workplace.record()).items() if check in asked[-1]} == {
        "pass"
    }
    assert workplace.left() == []
