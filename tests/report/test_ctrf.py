"""Dashboards that read CTRF see every verdict, and none that counts failures lets a bad run through."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Outcome, Verdict
from conformance.report import ctrf
from conformance.report.material import Material

from . import records
from .standards import HOSTILE, RECORDS, hostile, large, problems
from .test_properties import run_records

SCHEMA = "ctrf.schema.json"


def rendered(record: RunRecord) -> dict[str, Any]:
    return json.loads(ctrf.render(Material(record.to_json())))


def cases_of(record: RunRecord) -> dict[str, dict[str, Any]]:
    return {each["testId"]: each for each in rendered(record)["results"]["tests"]}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_every_report_keeps_to_the_standard(make: Callable[[], RunRecord]) -> None:
    assert problems(SCHEMA, ctrf.render(Material(make().to_json()))) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_breaks_the_standard_or_the_bounds(text: str) -> None:
    content = ctrf.render(Material(hostile(text).to_json()))
    assert problems(SCHEMA, content) == []
    assert not set(content.decode()) & set("\x00\x1b\u202e\x85\r")
    assert len(content) < 1_000_000


def test_a_thousand_results_keep_to_the_standard() -> None:
    assert problems(SCHEMA, ctrf.render(large())) == []


def test_each_verdict_has_its_status_and_stays_readable() -> None:
    found = cases_of(records.not_conformant())
    assert {check: (found[check]["status"], found[check]["rawStatus"]) for check in found if check[0].isupper()} == {
        **{check: ("passed", "pass") for check in found if found[check]["rawStatus"] == "pass"},
        "MTLS-001": ("failed", "fail"),
        "MTLS-003": ("failed", "fail"),
        "ROUTE-003": ("failed", "fail"),
        "BREAK-001": ("other", "inconclusive"),
        "TRACE-001": ("other", "error"),
        "DISCOVERY-002": ("other", "fail"),
        "RATE-004": ("skipped", "not-applicable"),
        "TRACE-004": ("pending", "not-run"),
    }
    assert found["DISCOVERY-002"]["extra"]["waiver"]["expires"] == "2027-01-31"
    assert "seen: the handshake succeeded, and POST /v1/births was answered with 201" in found["MTLS-001"]["message"]
    assert found["TRACE-004"]["message"].startswith("not selected by --only")
    assert (found["API-001"]["filePath"], found["API-001"]["line"]) == ("contracts/birth-registry-v1.yaml", 41)
    kept = [each["sha256"] for each in found["MTLS-001"]["extra"]["evidence"]]
    assert kept == [each["sha256"] for each in records.not_conformant().to_json()["results"][0]["evidence"]]


def test_a_waiver_that_does_not_hold_is_a_failure() -> None:
    found = cases_of(RECORDS["waiver-troubles"]())
    assert found["waiver-for-MTLS-001"]["status"] == found["waiver-for-MTLS-002"]["status"] == "failed"
    assert found["MTLS-001"]["status"] == "failed"


def test_identifiers_are_the_same_in_every_run_and_never_twice() -> None:
    first, second = cases_of(records.conformant()), cases_of(records.interrupted())
    assert first["MTLS-001"]["id"] == second["MTLS-001"]["id"]
    every = [each["id"] for each in rendered(RECORDS["waiver-troubles"]())["results"]["tests"]]
    assert len(set(every)) == len(every)


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_whatever_a_run_leaves_behind_counts_add_up_and_only_a_pass_is_passed(record: RunRecord) -> None:
    results = rendered(record)["results"]
    statuses = Counter(each["status"] for each in results["tests"])
    summary = results["summary"]
    assert {name: summary[name] for name in ctrf.KNOWN_STATUSES} == {
        name: statuses[name] for name in ctrf.KNOWN_STATUSES
    }
    assert summary["tests"] == len(results["tests"])
    assert summary["passed"] == record.totals["pass"]
    found = {each["testId"]: each for each in results["tests"]}
    for result in record.results:
        assert found[result.check]["rawStatus"] == result.verdict
        assert (found[result.check]["status"] == "passed") == (result.verdict is Verdict.PASS)
    if record.outcome in (Outcome.NOT_CONFORMANT, Outcome.INCOMPLETE):
        assert summary["failed"] > 0
