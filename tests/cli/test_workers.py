"""Several meshes at once: one record, and nothing left."""

from __future__ import annotations

import signal

from workplace import Workplace, results

from conformance.system.deadlines import until

ONLY = "MTLS-001,POLICY-001,ROUTE-001,API-002"


def test_what_several_meshes_find_becomes_one_record(workplace: Workplace):
    finished = workplace.meshmark("certify", workplace.citizen_id(), "--workers", "2", "--only", ONLY)
    assert finished.code == 4, finished.said  # only some checks were asked for
    found = results(workplace.record())
    assert {check for check, result in found.items() if result["verdict"] == "pass"} == set(ONLY.split(","))
    assert {check for check in ONLY.split(",") if check in finished.out} == set(ONLY.split(","))


async def test_several_meshes_are_interrupted_together(workplace: Workplace):
    file = workplace.citizen_id("hangs", timeouts={"request": 600, "check": 600})
    process = workplace.start("certify", file, "--workers", "2", "--only", "ROUTE-001,API-002")
    await until(lambda: "ROUTE-001" in process.stdout.readline(), what="the first check is done", timeout=60)
    process.send_signal(signal.SIGINT)
    finished = workplace.finish(process)
    assert finished.code == 130, finished.said
    assert "Traceback" not in finished.said
    record = workplace.record()
    assert record["interrupted"]
    assert results(record)["ROUTE-001"]["verdict"] == "pass"
    await until(lambda: workplace.left() == [], what="nothing is left of either", timeout=60)


def test_a_subject_that_somebody_else_runs_is_not_called_by_several_at_once(workplace: Workplace):
    file = workplace.run_file(subject={"command": None, "url": "http://127.0.0.1:1"})
    refused = workplace.meshmark("certify", file, "--workers", "2")
    assert refused.code == 2
    assert "several meshes at once would call one subject at once" in refused.said
