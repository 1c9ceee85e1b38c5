"""Plan and results keep to NIST's schema, belong together, and claim nothing that was not proven."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Verdict
from conformance.report.bundle import parse_bundle
from conformance.report.bundle import render as render_bundle
from conformance.report.formats import FORMATS
from conformance.report.material import Material
from conformance.report.oscal import parts, plan, results

from . import records
from .standards import HOSTILE, RECORDS, hostile, large, problems
from .test_properties import run_records

PLAN, RESULTS = "oscal_assessment-plan_schema.json", "oscal_assessment-results_schema.json"
BOTH = [(PLAN, plan.render), (RESULTS, results.render)]


def plan_of(record: RunRecord) -> dict[str, Any]:
    return json.loads(plan.render(Material(record.to_json())))["assessment-plan"]


def results_of(record: RunRecord) -> dict[str, Any]:
    return json.loads(results.render(Material(record.to_json())))["assessment-results"]


def property_of(node: dict[str, Any], name: str) -> str:
    return next((each["value"] for each in node["props"] if each["name"] == name), "")


def by_check(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {property_of(node, "check"): node for node in nodes}


def every(node: Any, key: str) -> Iterator[Any]:
    """The values of a key, wherever it stands."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from every(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, key)


@pytest.mark.parametrize(("schema", "render"), BOTH, ids=["plan", "results"])
@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_every_report_keeps_to_the_standard(
    make: Callable[[], RunRecord], schema: str, render: Callable[[Material], bytes]
) -> None:
    assert problems(schema, render(Material(make().to_json()))) == []


@pytest.mark.parametrize(("schema", "render"), BOTH, ids=["plan", "results"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_breaks_the_standard_or_the_bounds(text: str, schema: str, render: Callable[[Material], bytes]) -> None:
    content = render(Material(hostile(text).to_json()))
    assert problems(schema, content) == []
    assert not set(content.decode()) & set("\x00\x1b\u202e\x85\r")
    assert len(content) < 1_500_000


@pytest.mark.parametrize(("schema", "render"), BOTH, ids=["plan", "results"])
def test_a_thousand_results_keep_to_the_standard(schema: str, render: Callable[[Material], bytes]) -> None:
    assert problems(schema, render(large())) == []


def test_the_plan_carries_every_check_and_why_some_were_left_out() -> None:
    found = plan_of(records.not_conformant())
    activities = by_check(found["local-definitions"]["activities"])
    assert list(activities) == [entry.check.id for entry in records.not_conformant().plan]
    excluded = {
        check: each["remarks"] for check, each in activities.items() if property_of(each, "planned") != "to run"
    }
    assert excluded == {
        "RATE-004": r"Excluded: needs the feature global-rate-limit, optional in profile mesh and not declared",
        "TRACE-004": r"Excluded: not selected by --only",
    }
    (task,) = found["tasks"]
    to_run = {each["activity-uuid"] for each in task["associated-activities"]}
    assert to_run == {each["uuid"] for check, each in activities.items() if check not in excluded}


def test_a_requirement_that_no_check_proves_says_why() -> None:
    record = records.conformant()
    extra = replace(records.requirement("RATE-R1"), unchecked="is a matter of paper")
    found = plan_of(replace(record, requirements=(*record.requirements, extra)))
    objectives = {each["control-id"]: each for each in found["local-definitions"]["objectives-and-methods"]}
    assert objectives["RATE-R1"]["remarks"] == "No check proves it: is a matter of paper"
    assert "RATE-R1" not in list(every(found["reviewed-controls"], "control-id"))


def test_results_point_at_their_plan() -> None:
    material = Material(records.not_conformant().to_json())
    found, planned = results_of(records.not_conformant()), plan_of(records.not_conformant())
    assert found["import-ap"]["href"] == FORMATS["oscal-plan"].path(material, Path()).name
    assert planned["uuid"] in found["import-ap"]["remarks"]
    known = set(every(planned, "uuid"))
    for key in ("task-uuid", "subject-uuid", "actor-uuid"):
        assert set(every(found, key)) <= known, key
    assert set(every(found, "target-id")) <= set(every(planned, "id"))
    linked = {each.partition("#")[2] for each in every(found, "href") if each.startswith(parts.PLAN_FILE + "#")}
    assert linked == {each["uuid"] for each in planned["local-definitions"]["activities"]}


def test_each_verdict_becomes_what_it_says_and_no_more() -> None:
    (result,) = results_of(records.not_conformant())["results"]
    observations = by_check(result["observations"])
    verdicts = {each.check: each.verdict.value for each in records.not_conformant().results}
    assert {check: property_of(each, "verdict") for check, each in observations.items()} == verdicts
    states = {property_of(each, "requirement"): each["target"]["status"]["state"] for each in result["findings"]}
    assert states == {
        "MTLS-R1": "not-satisfied",
        "MTLS-R2": "satisfied",
        "MTLS-R3": "not-satisfied",
        "POLICY-R1": "satisfied",
        "POLICY-R2": "satisfied",
        "AUTHZ-R1": "satisfied",
        "ROUTE-R1": "not-satisfied",
        "RETRY-R1": "satisfied",
        "RATE-R1": "satisfied",
        "DISCOVERY-R1": "not-satisfied",
        "API-R1": "satisfied",
        "API-R2": "satisfied",
    }
    assert "types" not in observations["TRACE-004"]


def test_a_waiver_is_an_approved_deviation_with_a_deadline() -> None:
    found = results_of(records.not_conformant())
    risks = by_check(found["results"][0]["risks"])
    assert {check: each["status"] for check, each in risks.items()} == {
        "MTLS-001": "open",
        "MTLS-003": "open",
        "ROUTE-003": "open",
        "DISCOVERY-002": "deviation-approved",
    }
    assert risks["DISCOVERY-002"]["deadline"] == "2027-01-31T23:59:59Z"
    assert "deadline" not in risks["MTLS-001"]
    (entry,) = risks["DISCOVERY-002"]["risk-log"]["entries"]
    owners = {each["uuid"]: each["name"] for each in found["metadata"]["parties"]}
    assert owners[entry["logged-by"][0]["party-uuid"]] == "Jane Mwangi"
    told = [each["description"] for each in found["results"][0]["assessment-log"]["entries"]]
    assert any("RETRY-001: the waiver by Jane Mwangi is not needed" in text for text in told)


def test_a_waiver_that_does_not_hold_leaves_the_risk_open() -> None:
    found = results_of(RECORDS["waiver-troubles"]())
    risks = by_check(found["results"][0]["risks"])
    assert risks["MTLS-001"]["status"] == "open"
    assert risks["MTLS-001"]["deadline"] == "2026-10-31T23:59:59Z"
    assert risks["ROUTE-003"]["status"] == "deviation-approved"
    assert "deadline" not in risks["ROUTE-003"], "OSCAL has no year 9999"
    assert "9999-12-31" in risks["ROUTE-003"]["risk-log"]["entries"][0]["description"]


def test_evidence_is_found_under_its_digest_in_the_bundle() -> None:
    material = Material(records.not_conformant().to_json())
    found = results_of(records.not_conformant())
    resources = {each["uuid"]: each for each in found["back-matter"]["resources"]}
    content = parse_bundle(render_bundle(material), "bundle").content
    linked = [each["href"].removeprefix("#") for each in every(found, "relevant-evidence") for each in each]
    assert len(linked) == sum(len(each.evidence) for each in records.not_conformant().results)
    for uuid in linked:
        (link,) = resources[uuid]["rlinks"]
        assert link["href"].removeprefix("../") in content
        assert link["hashes"] == [{"algorithm": "SHA-256", "value": re.findall("[0-9a-f]{64}", link["href"])[0]}]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<b>a_b</b>", r"\<b\>a\_b\</b\>"),
        ("![x](y) `z` {{ insert }}", r"!\[x\](y) \`z\` \{\{ insert \}\}"),
        ("a\n- b\n  12. c\n===", "a\n\\- b\n  12\\. c\n\\==="),
        ("1,200 of 3.5 - x", "1,200 of 3.5 - x"),
    ],
)
def test_text_stays_text_where_markdown_is_read(text: str, written: str) -> None:
    assert parts.prose(text) == written


@settings(deadline=None, max_examples=60)
@given(run_records())
def test_whatever_a_run_leaves_behind_only_what_is_proven_is_satisfied(record: RunRecord) -> None:
    (result,) = results_of(record)["results"]
    planned = plan_of(record)
    observations = by_check(result.get("observations", []))
    assert {check: property_of(each, "verdict") for check, each in observations.items()} == {
        each.check: each.verdict.value for each in record.results
    }
    assert list(by_check(planned["local-definitions"].get("activities", []))) == list(observations)
    states = {
        property_of(each, "requirement"): each["target"]["status"]["state"] for each in result.get("findings", [])
    }
    for requirement in record.requirements:
        about = {each.verdict for each in record.results if requirement.id in each.proves} - {Verdict.NOT_APPLICABLE}
        state = states.get(requirement.id)
        assert (state == "satisfied") == (about == {Verdict.PASS})
        assert (state == "not-satisfied") == (Verdict.FAIL in about)
    failed = {each.check for each in record.results if each.verdict is Verdict.FAIL}
    assert by_check(result.get("risks", [])).keys() == failed
    uuids = [*every(results_of(record), "uuid")]
    assert len(uuids) == len(set(uuids))
    assert len(list(every(planned, "uuid"))) == len(set(every(planned, "uuid")))
