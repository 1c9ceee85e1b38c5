"""A summary that readers of the Gateway API's reports understand, and that nobody takes for one of theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import yaml

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverState
from conformance.model.verdict import Verdict
from conformance.report.gateway_report import API_VERSION, render
from conformance.report.material import Material

from . import records
from .hostile import TEXTS, filled, large


def report_of(record: RunRecord | dict[str, Any]) -> dict[str, Any]:
    values = record.to_json() if isinstance(record, RunRecord) else record
    report: dict[str, Any] = yaml.safe_load(render(Material(values)))
    assert_shape(report)
    return report


def assert_shape(report: dict[str, Any]) -> None:
    """The fields of the Gateway API's ConformanceReport, by its Go types."""
    own = {"meshmark"}
    theirs = {"apiVersion", "kind", "date", "implementation", "mode", "profiles"}
    assert report.keys() == theirs | own
    assert report["kind"] == "ConformanceReport"
    assert report["implementation"].keys() == {"organization", "project", "url", "version", "contact"}
    for profile in report["profiles"]:
        assert {"name", "summary", "core"} <= profile.keys() <= {"name", "summary", "core", "extended"}
        for level in (profile["core"], profile.get("extended", profile["core"])):
            assert {"result", "statistics"} <= level.keys() <= {"result", "statistics", "skippedTests", "failedTests"}
            assert level["result"] in ("success", "partial", "failure")
            assert level["statistics"].keys() == {"Passed", "Failed", "Skipped"}
            assert level["statistics"]["Failed"] == len(level.get("failedTests", ()))
            assert level["statistics"]["Skipped"] == len(level.get("skippedTests", ()))


def core(record: RunRecord) -> Any:
    return report_of(record)["profiles"][0]["core"]


def test_the_version_is_not_one_of_the_gateway_api() -> None:
    assert report_of(records.conformant())["apiVersion"] == API_VERSION
    assert "gateway" not in API_VERSION
    assert "k8s" not in API_VERSION


def test_mandatory_checks_are_core_and_the_others_extended() -> None:
    (profile,) = report_of(records.not_conformant())["profiles"]
    assert profile["core"] == {
        "result": "failure",
        "statistics": {"Passed": 8, "Failed": 2, "Skipped": 1},
        "skippedTests": ["BREAK-001"],
        "failedTests": ["MTLS-001", "DISCOVERY-002"],
    }
    assert profile["extended"] == {
        "result": "failure",
        "statistics": {"Passed": 0, "Failed": 2, "Skipped": 2},
        "skippedTests": ["TRACE-001", "TRACE-004"],
        "failedTests": ["MTLS-003", "ROUTE-003"],
    }


def test_every_check_stands_under_its_verdict() -> None:
    checks = report_of(records.not_conformant())["meshmark"]["checks"]
    assert list(checks) == [verdict.value for verdict in Verdict]
    assert checks["inconclusive"] == ["BREAK-001"]
    assert checks["error"] == ["TRACE-001"]
    assert checks["not-run"] == ["TRACE-004"]
    assert checks["not-applicable"] == ["RATE-004"]
    assert sum(map(len, checks.values())) == 16


def test_waivers_and_reasons_are_there() -> None:
    beyond = report_of(records.not_conformant())["meshmark"]
    assert beyond["waived"] == ["DISCOVERY-002"]
    assert [(each["check"], each["state"]) for each in beyond["waivers"]] == [
        ("DISCOVERY-002", "applied"),
        ("RETRY-001", "unused"),
    ]
    assert {"reason": "not selected by --only", "checks": ["TRACE-004"]} in beyond["unjudged"]


def test_only_a_conformant_subject_succeeds() -> None:
    assert core(records.conformant())["result"] == "success"
    assert core(records.interrupted())["result"] == "partial"
    assert core(replace(records.conformant(), interrupted=True))["result"] == "partial"
    waiver = Waiver("MTLS-001", "no longer needed", "Jane Mwangi", date(2027, 1, 31))
    spoiled = replace(records.conformant(), waivers=(AppliedWaiver(waiver, WaiverState.UNUSED),))
    assert core(spoiled)["result"] == "failure"


def test_nothing_tested_is_no_success() -> None:
    nothing = replace(records.conformant(), plan=(), results=())
    assert core(nothing) == {"result": "partial", "statistics": {"Passed": 0, "Failed": 0, "Skipped": 0}}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_stays_in_its_place(name: str) -> None:
    record = records.not_conformant().to_json()
    content = render(Material(filled(record, TEXTS[name]))).decode()
    assert_shape(yaml.safe_load(content))
    assert len(content) < 100_000
    assert not any(mark in content for mark in ("\x1b", "\x85", "\u202e", "\u2028"))
    expected = report_of(filled(record, "harmless"))["profiles"][0]
    assert [yaml.safe_load(content)["profiles"][0][level] for level in ("core", "extended")] == [
        expected["core"],
        expected["extended"],
    ]


def test_a_thousand_results_are_counted() -> None:
    record = large()
    (profile,) = report_of(record)["profiles"]
    applicable = sum(result.verdict is not Verdict.NOT_APPLICABLE for result in record.results)
    assert sum(sum(profile[level]["statistics"].values()) for level in ("core", "extended")) == applicable
