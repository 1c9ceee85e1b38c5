"""The readers that guard the formats see a lie when there is one; those for standards read what the standards write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from conformance.model.record import RunRecord, apply_waivers
from conformance.model.verdict import Verdict
from conformance.report.formats import FORMATS
from conformance.report.material import Material

from . import readers, records
from .readers import EXCUSED, READERS, Shown

LIES = [result.check for result in records.not_conformant().results if result.verdict is not Verdict.PASS]


def told(record: RunRecord, name: str) -> Shown:
    return READERS[name](FORMATS[name].render(Material(record.to_json())))


def lie(check: str) -> RunRecord:
    """The record with a pass in the place of the verdict that it has."""
    truth = records.not_conformant()
    plan = [replace(entry, run=True, reason="") if entry.check.id == check else entry for entry in truth.plan]
    results = [
        records.judged(entry, Verdict.PASS) if result.check == check else result
        for entry, result in zip(plan, truth.results, strict=True)
    ]
    waivers = [each.waiver for each in truth.waivers]
    return replace(
        truth, plan=tuple(plan), results=tuple(results), waivers=apply_waivers(waivers, results, records.TODAY)
    )


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in EXCUSED])
def test_a_verdict_that_turns_into_a_pass_is_seen(name: str) -> None:
    truth = told(records.not_conformant(), name)
    seen = {check for check in LIES if _grew(truth, told(lie(check), name))}
    # A format of requirements shows a check only through them.
    assert seen == set(LIES) if truth.passed else seen


def _grew(before: Shown, after: Shown) -> bool:
    return before.passed < after.passed or before.requirements < after.requirements


@pytest.mark.parametrize("make", [records.conformant, records.not_conformant, records.interrupted])
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in EXCUSED])
def test_whether_the_run_is_good_is_read(make: Callable[[], RunRecord], name: str) -> None:
    assert told(make(), name).conformant in (None, make is records.conformant)


def read(name: str, document: Any) -> Shown:
    return READERS[name](json.dumps(document).encode())


def test_a_finding_of_oscal_says_of_a_requirement_whether_it_is_satisfied() -> None:
    findings = [
        {"target": {"type": "objective-id", "target-id": each, "status": {"state": state}}}
        for each, state in (("MTLS-R1", "satisfied"), ("mtls-r2", "satisfied"), ("API-R1", "not-satisfied"))
    ]
    assert read("oscal-results", {"assessment-results": {"results": [{"findings": findings}, {}]}}).requirements == {
        "MTLS-R1",
        "MTLS-R2",
    }


def test_a_rule_of_sarif_passes_in_silence_only() -> None:
    rules = [{"id": each} for each in ("MTLS-001", "MTLS-002", "MTLS-003", "MTLS-004", "MTLS-005", "run")]
    invocation = {
        "executionSuccessful": False,
        "ruleConfigurationOverrides": [{"descriptor": {"id": "MTLS-002"}, "configuration": {"enabled": False}}],
        "toolExecutionNotifications": [{"associatedRule": {"id": "MTLS-003"}}, {"message": {}}],
    }
    results = [{"ruleId": "MTLS-004"}, {"ruleId": "MTLS-005", "kind": "pass"}]
    run = {"tool": {"driver": {"rules": rules}}, "invocations": [invocation], "results": results}
    shown = read("sarif", {"runs": [run]})
    assert shown.passed == {"MTLS-001", "MTLS-005"}
    assert (shown.words["MTLS-002"], shown.words["MTLS-003"]) == ("enabled: false", "notification")
    assert (shown.words["MTLS-004"], shown.conformant) == ("fail", False)


def test_a_test_of_ctrf_passes_by_its_status() -> None:
    tests = [
        {"name": "MTLS-001 A caller", "status": "passed"},
        {"name": "MTLS-002 (API-001)", "status": "other"},
        {"name": "waiver for MTLS-001", "status": "failed"},
    ]
    shown = read("ctrf", {"results": {"summary": {"passed": 1, "failed": 1}, "tests": tests}})
    assert (shown.passed, shown.words) == ({"MTLS-001"}, {"MTLS-001": "passed", "MTLS-002": "other"})
    assert not shown.conformant
    with pytest.raises(AssertionError):
        read("ctrf", {"results": {"summary": {"passed": 2, "failed": 0}, "tests": tests}})


def test_a_test_result_of_in_toto_lists_what_passed() -> None:
    predicate = {"result": "WARNED", "passedTests": ["MTLS-001"], "warnedTests": ["API-001"], "failedTests": []}
    shown = read("test-result", {"predicate": predicate})
    assert shown == Shown({"MTLS-001"}, {"MTLS-001": "passedTests", "API-001": "warnedTests"}, conformant=False)
    assert read("test-result", {"predicate": {"result": "PASSED"}}).conformant


def test_a_simple_verification_result_names_what_holds() -> None:
    properties = ["MESHMARK_CONFORMANT_TO_PROFILE", "MESHMARK_MTLS-R1"]
    assert read("svr", {"predicate": {"properties": properties}}) == Shown(requirements={"MTLS-R1"}, conformant=True)


def test_a_cucumber_case_without_a_failed_step_passes_for_a_careless_reader() -> None:
    """Skipped, pending, undefined and unknown steps are what GovStack's web application takes for passed."""

    def stream(*statuses: str) -> bytes:
        steps = [{"id": f"s{number}"} for number in range(len(statuses))]
        messages: list[dict[str, Any]] = [
            {"pickle": {"id": "p", "tags": [{"name": "@area=API"}, {"name": "@API-001"}]}},
            {"testCase": {"id": "c", "pickleId": "p", "testSteps": steps}},
            *(
                {"testStepFinished": {"testStepId": f"s{number}", "testStepResult": {"status": status}}}
                for number, status in enumerate(statuses)
            ),
            {"testRunFinished": {"success": False}},
        ]
        return "\n".join(map(json.dumps, messages)).encode()

    for statuses in (("PASSED", "SKIPPED"), ("UNKNOWN",), ("PASSED", "UNKNOWN"), ("UNDEFINED",), ("PASSED",)):
        assert readers.read_cucumber(stream(*statuses)).passed == {"API-001"}
    assert readers.read_cucumber(stream("FAILED", "SKIPPED")).passed == set()
