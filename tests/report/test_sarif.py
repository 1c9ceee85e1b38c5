"""Code scanning sees every fail at its line, and nothing that is not proven is silent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Place, Verdict
from conformance.report import sarif
from conformance.report.material import Material
from conformance.report.sarif_rules import message

from . import records
from .standards import HOSTILE, RECORDS, hostile, large, problems
from .test_properties import run_records

SCHEMA = "sarif-2.1.0.schema.json"


def run_of(record: RunRecord) -> dict[str, Any]:
    (run,) = json.loads(sarif.render(Material(record.to_json())))["runs"]
    return run


def results_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["ruleId"]: each for each in run["results"]}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_every_report_keeps_to_the_standard(make: Callable[[], RunRecord]) -> None:
    assert problems(SCHEMA, sarif.render(Material(make().to_json()))) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_breaks_the_standard_or_the_bounds(text: str) -> None:
    content = sarif.render(Material(hostile(text).to_json()))
    assert problems(SCHEMA, content) == []
    assert not set(content.decode()) & set("\x00\x1b\u202e\x85\r")
    assert len(content) < 1_500_000


def test_a_thousand_results_keep_to_the_standard() -> None:
    assert problems(SCHEMA, sarif.render(large())) == []


def test_a_fail_stands_at_its_line_with_the_rule_that_explains_it() -> None:
    first, *rest = records.not_conformant().results
    record = replace(
        records.not_conformant(), results=(replace(first, place=Place("contracts/birth-registry-v1.yaml", 7, 3)), *rest)
    )
    run = run_of(record)
    result = results_of(run)["MTLS-001"]
    (location,) = result["locations"]
    where = location["physicalLocation"]
    assert where["region"] == {"startLine": 7, "startColumn": 3}
    assert where["artifactLocation"]["uri"] == "contracts/birth-registry-v1.yaml"
    artifact = run["artifacts"][where["artifactLocation"]["index"]]
    assert artifact["hashes"] == {"sha-256": "a3" * 32}
    assert where["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == "MTLS-001"
    assert rule["help"]["text"].endswith(records.ANONYMOUS.check.remedy)
    (relation,) = rule["relationships"]
    assert run["taxonomies"][0]["taxa"][relation["target"]["index"]]["id"] == relation["target"]["id"] == "MTLS-R1"
    assert result["level"] == "error"
    assert "Seen: the handshake succeeded" in result["message"]["text"]
    assert results_of(run)["MTLS-003"]["level"] == "warning"


def test_a_waiver_suppresses_only_while_it_holds() -> None:
    results = results_of(run_of(RECORDS["waiver-troubles"]()))
    assert [each["status"] for each in results["ROUTE-003"]["suppressions"]] == ["accepted"]
    assert [each["status"] for each in results["MTLS-001"]["suppressions"]] == ["rejected"]
    assert results["MTLS-003"]["suppressions"] == []
    assert "Jane Mwangi" in results["ROUTE-003"]["suppressions"][0]["justification"]
    (invocation,) = run_of(RECORDS["waiver-troubles"]())["invocations"]
    told = [each["associatedRule"]["id"] for each in invocation["toolConfigurationNotifications"]]
    assert told == ["MTLS-001", "MTLS-002"]


def test_what_gave_no_proof_is_told_and_what_was_left_out_is_switched_off() -> None:
    run = run_of(records.not_conformant())
    (invocation,) = run["invocations"]
    told = {each["associatedRule"]["id"]: each for each in invocation["toolExecutionNotifications"]}
    assert {check: (each["descriptor"]["id"], each["level"]) for check, each in told.items()} == {
        "BREAK-001": ("inconclusive", "warning"),
        "TRACE-001": ("error", "error"),
        "TRACE-004": ("not-run", "warning"),
    }
    off = {each["descriptor"]["id"]: each for each in invocation["ruleConfigurationOverrides"]}
    assert off.keys() == {"RATE-004", "TRACE-004"}
    assert off["TRACE-004"]["properties"]["reason"] == "not selected by --only"
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 1


def test_an_interrupted_run_says_so() -> None:
    (invocation,) = run_of(records.interrupted())["invocations"]
    texts = [each["message"]["text"] for each in invocation["toolExecutionNotifications"]]
    assert "the run was interrupted before its end" in texts
    assert "Ctrl-C after 1 of 4 checks" in texts
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 4


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a b/ü.yaml", {"uri": "a%20b/%C3%BC.yaml", "uriBaseId": "RUN_FILE_FOLDER"}),
        ("./x//y.yaml", {"uri": "x/y.yaml", "uriBaseId": "RUN_FILE_FOLDER"}),
        ("{bundled}/specs/x.yaml", {"uri": "specs/x.yaml", "uriBaseId": "MESHMARK"}),
        ("{run_file_folder}/x.yaml", {"uri": "x.yaml", "uriBaseId": "RUN_FILE_FOLDER"}),
        ("../x.yaml", {"uri": "../x.yaml"}),
        ("{bundled}/../x.yaml", {"uri": "../x.yaml"}),
        ("//host/x.yaml", {"uri": "file:///host/x.yaml"}),
        ("javascript:alert(1)", {"uri": "javascript%3Aalert%281%29", "uriBaseId": "RUN_FILE_FOLDER"}),
    ],
)
def test_a_path_becomes_an_address_that_leads_nowhere_else(path: str, address: dict[str, str]) -> None:
    first, *rest = records.not_conformant().results
    record = replace(records.not_conformant(), results=(replace(first, place=Place(path, 1, 1)), *rest))
    (location,) = results_of(run_of(record))["MTLS-001"]["locations"]
    found = dict(location["physicalLocation"]["artifactLocation"])
    del found["index"]
    assert found == address


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("GET /births/{id} [201]", "GET /births/{id} [201]"),
        ("{0}", "{{0}}"),
        ("{{0}} {id}", "{{{{0}}}} {{id}}"),
        ("[here](1)", r"\[here\](1)"),
        (r"\[here](javascript:x)", r"\\\[here\](javascript:x)"),
    ],
)
def test_nothing_in_a_message_is_taken_for_a_link_or_a_placeholder(text: str, written: str) -> None:
    assert message(text) == {"text": written}


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_whatever_a_run_leaves_behind_every_check_is_accounted_for_and_none_as_a_pass(record: RunRecord) -> None:
    run = run_of(record)
    (invocation,) = run["invocations"]
    failed = [each["ruleId"] for each in run["results"]]
    unproven = [
        each["associatedRule"]["id"] for each in invocation["toolExecutionNotifications"] if "associatedRule" in each
    ]
    off = {each["descriptor"]["id"] for each in invocation["ruleConfigurationOverrides"]}
    by_verdict = {
        verdict: sorted(each.check for each in record.results if each.verdict is verdict) for verdict in Verdict
    }
    assert sorted(failed) == by_verdict[Verdict.FAIL]
    assert sorted(unproven) == sorted(
        by_verdict[Verdict.ERROR] + by_verdict[Verdict.INCONCLUSIVE] + by_verdict[Verdict.NOT_RUN]
    )
    assert off.issuperset(by_verdict[Verdict.NOT_APPLICABLE])
    assert [each["id"] for each in run["tool"]["driver"]["rules"]] == [entry.check.id for entry in record.plan]
    assert {each["kind"] for each in run["results"]} <= {"fail"}
    assert run["properties"]["totals"] == record.totals
    assert not re.search(r'"kind": "pass"', json.dumps(run))
