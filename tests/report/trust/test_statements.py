"""The record as in-toto Statements: nothing but a pass is ever among what passed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Outcome, Verdict
from conformance.report.formats import FORMATS
from conformance.report.material import Material
from conformance.report.trust.statements import SVR, TEST_RESULT, statement

from .. import records
from ..test_properties import run_records

RESULTS = {
    "conformant": "PASSED",
    "conformant-with-waivers": "WARNED",
    "not-conformant": "FAILED",
    "incomplete": "FAILED",
}


def rendered(form: str, record: RunRecord) -> dict[str, Any]:
    content = FORMATS[form].render(Material(record.to_json()))
    return json.loads(content)


@pytest.mark.parametrize(("form", "kind"), [("test-result", TEST_RESULT), ("svr", SVR)])
def test_a_statement_has_the_fields_of_its_specification(form: str, kind: str) -> None:
    record = records.not_conformant()
    made = rendered(form, record)
    assert made.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == kind
    names = [each["name"] for each in made["subject"]]
    assert names == ["record.json", *(each["path"] for each in record.subject["contracts"]), "envoy 1.40.0"]
    for subject in made["subject"]:
        assert len(bytes.fromhex(subject["digest"]["sha256"])) == 32
    assert made["subject"][0]["digest"]["sha256"] == Material(record.to_json()).digest


def test_the_result_of_a_run_with_everything_in_it() -> None:
    predicate = rendered("test-result", records.not_conformant())["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["warnedTests"] == ["DISCOVERY-002"]
    assert set(predicate["failedTests"]) == {"MTLS-001", "MTLS-003", "ROUTE-003", "BREAK-001", "TRACE-001"}
    assert "TRACE-004" not in {*predicate["passedTests"], *predicate["failedTests"]}
    (judge,) = predicate["configuration"]
    assert judge["digest"] == {"sha256": "5e" * 32}


@settings(max_examples=150)
@given(run_records())
def test_only_what_passed_is_called_passed(record: RunRecord) -> None:
    predicate = statement(Material(record.to_json()), "test-result")["predicate"]
    passed = [each.check for each in record.results if each.verdict is Verdict.PASS]
    waived = {each.waiver.check for each in record.waivers if each.state == "applied"}
    assert predicate["passedTests"] == passed
    assert set(predicate["warnedTests"]) == waived
    assert set(predicate["failedTests"]) == {
        each.check
        for each in record.results
        if each.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE) and each.check not in waived
    }
    assert predicate["result"] == RESULTS[record.outcome]
    assert predicate["verdicts"] == {each.check: each.verdict for each in record.results}


@settings(max_examples=150)
@given(run_records())
def test_a_property_is_proven_and_contradicted_by_nothing(record: RunRecord) -> None:
    properties = statement(Material(record.to_json()), "svr")["predicate"]["properties"]
    assert ("MESHMARK_CONFORMANT_TO_PROFILE" in properties) == (record.outcome is Outcome.CONFORMANT)
    for each in properties:
        if each != "MESHMARK_CONFORMANT_TO_PROFILE":
            verdicts = {r.verdict for r in record.results if each.removeprefix("MESHMARK_") in r.proves}
            assert verdicts - {Verdict.NOT_APPLICABLE} == {Verdict.PASS}
