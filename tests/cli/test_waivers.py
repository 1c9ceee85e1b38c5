"""Somebody answers for a known fail until a day; a waiver that is out of date or needless fails the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from workplace import REPOSITORY, Workplace, results


def in_days(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def waiver(check: str, expires: str) -> dict[str, str]:
    return {"check": check, "reason": "mended in 2.0", "owner": "somebody", "expires": expires}


def with_a_bad_contract(workplace: Workplace, *waivers: dict[str, str]) -> str:
    """A run file for a good building block whose contract has a key twice: only API-001 fails."""
    contract = (REPOSITORY / "specs/contracts/citizen-id.yaml").read_text("utf-8")
    workplace.write("twice.yaml", contract.replace("info:\n", "info:\n  title: Another\n", 1))
    subject = {"contracts": ["twice.yaml"]}
    return workplace.citizen_id(subject=subject, waivers=list(waivers), generated_input={"examples": 1})


def states(record: dict[str, Any]) -> dict[str, str]:
    return {each["check"]: each["state"] for each in record["waivers"]}


def test_a_fail_under_a_valid_waiver_leaves_the_subject_conformant_with_waivers(workplace: Workplace):
    finished = workplace.meshmark("certify", with_a_bad_contract(workplace, waiver("API-001", in_days(0))))
    record = workplace.record()
    assert finished.code == 0, finished.out
    assert record["outcome"] == "conformant-with-waivers"
    assert states(record) == {"API-001": "applied"}
    assert results(record)["API-001"]["verdict"] == "fail"
    assert record["totals"]["waived"] == record["totals"]["fail"] == 1
    assert "FAIL (waived)  API-001" in finished.out


def test_an_expired_waiver_fails_the_run_and_is_called_expired(workplace: Workplace):
    finished = workplace.meshmark(
        "certify", with_a_bad_contract(workplace, waiver("API-001", in_days(-1))), "--only", "API-001"
    )
    record = workplace.record()
    assert finished.code == 1
    assert states(record) == {"API-001": "expired"}
    assert record["outcome"] == "not-conformant"
    assert "expired" in finished.out


def test_a_waiver_that_nothing_needs_fails_the_run(workplace: Workplace):
    file = workplace.run_file(waivers=[waiver("API-001", in_days(9))])
    finished = workplace.meshmark("certify", file, "--only", "API-001")
    record = workplace.record()
    assert finished.code == 1
    assert states(record) == {"API-001": "unused"}
    assert results(record)["API-001"]["verdict"] == "pass"
    assert record["outcome"] == "not-conformant"


def test_a_waiver_for_a_check_that_was_not_selected_says_nothing(workplace: Workplace):
    file = workplace.run_file(waivers=[waiver("API-002", in_days(-9))])
    finished = workplace.meshmark("certify", file, "--only", "API-001")
    assert finished.code == 4
    assert workplace.record()["waivers"] == []
