"""GovStack's form gets the answers that a record holds, in its own shape and numbers, and no others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conformance.model.record import RunRecord, Waiver
from conformance.model.requirements import Level, Requirement, Source
from conformance.model.verdict import Verdict
from conformance.report.govstack_form import render, render_levels
from conformance.report.material import Material

from . import records
from .hostile import TEXTS, filled, large

# The fields of GovStack's web application; it leaves out any other.
FORM = {
    "bbSpecification",
    "bbVersion",
    "deploymentCompliance",
    "interfaceCompliance",
    "requirementSpecificationCompliance",
}
LISTS = {
    "interfaceCompliance": ["requirements"],
    "requirementSpecificationCompliance": [
        "crossCuttingRequirements",
        "functionalRequirements",
        "keyDigitalFunctionalitiesRequirements",
    ],
}


def form_of(record: RunRecord | dict[str, Any], make: Any = render) -> dict[str, Any]:
    values = record.to_json() if isinstance(record, RunRecord) else record
    form: dict[str, Any] = json.loads(make(Material(values)))
    assert_shape(form)
    return form


def assert_shape(form: dict[str, Any]) -> None:
    assert form.keys() == FORM | {"meshmark"}
    assert form["deploymentCompliance"].keys() == {"level", "notes"}
    assert form["interfaceCompliance"].keys() == {"level", "testHarnessResult", "requirements", "notes"}
    names = {"level", "notes", *LISTS["requirementSpecificationCompliance"]}
    assert form["requirementSpecificationCompliance"].keys() == names
    for section in ("deploymentCompliance", *LISTS):
        assert form[section]["level"] in (-1, 1, 2)
        assert isinstance(form[section]["notes"], str)
    for requirement in requirements_of(form).values():
        assert requirement.keys() == {"requirement", "comment", "fulfillment", "status", "link"}
        assert requirement["fulfillment"] in (-1, 0, 1)
        assert requirement["status"] in (0, 1, 2)
        assert all(isinstance(requirement[name], str) for name in ("requirement", "comment", "link"))


def requirements_of(form: dict[str, Any]) -> dict[str, Any]:
    entries = [each for section, names in LISTS.items() for name in names for each in form[section][name]]
    found = {each["requirement"].partition(":")[0]: each for each in entries}
    assert len(found) == len(entries)
    return found


def govstack(verdicts: dict[str, list[Verdict]], levels: dict[str, Level] | None = None, **more: Any) -> RunRecord:
    """A record of profile `govstack`: for each requirement the verdicts of the checks that prove it."""
    sources = {"API": "govstack-bb-example-fr-2.3.0#req-7", "MTLS": "govstack-im-1.1.1 §7.1"}
    plan, results, requirements = [], [], []
    for number, (identifier, given) in enumerate(verdicts.items()):
        area = identifier.partition("-")[0]
        level = (levels or {}).get(identifier, Level.MUST)
        source = Source(sources.get(area, "govstack-cfr-security#req-3"))
        unchecked = None if given else "nobody has written a check"
        requirements.append(
            Requirement(identifier, level, "It holds.", (source,), (), {"govstack": level}, unchecked=unchecked)
        )
        for index, verdict in enumerate(given):
            left_out = {"reason": "x", "verdict_if_not_run": verdict} if verdict is Verdict.NOT_APPLICABLE else {}
            entry = records.entry(f"{area}-{number:02d}{index}", "It holds", [identifier], level, **left_out)
            plan.append(entry)
            unjudged = verdict in (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE)
            results.append(entry.unrun_result("x") if unjudged else records.judged(entry, verdict, reason="some-code"))
    made = records.record(tuple(plan), tuple(results), more.pop("waivers", ()))
    return replace(made, profile="govstack", requirements=tuple(requirements), **more)


@pytest.mark.parametrize(
    ("verdicts", "fulfilment"),
    [
        ([Verdict.PASS], 1),
        ([Verdict.PASS, Verdict.PASS], 1),
        ([Verdict.PASS, Verdict.NOT_APPLICABLE], 1),
        ([Verdict.FAIL], 0),
        ([Verdict.PASS, Verdict.FAIL], 0),
        ([Verdict.FAIL, Verdict.ERROR], 0),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], -1),
        ([Verdict.PASS, Verdict.ERROR], -1),
        ([Verdict.PASS, Verdict.NOT_RUN], -1),
        ([Verdict.NOT_APPLICABLE], -1),
        ([], -1),
    ],
)
def test_a_requirement_is_met_only_if_every_check_that_applies_passed(verdicts: list[Verdict], fulfilment: int) -> None:
    form = form_of(govstack({"POLICY-R1": verdicts}))
    assert requirements_of(form)["POLICY-R1"]["fulfillment"] == fulfilment
    assert list(form["meshmark"]["openRequirements"]) == (["POLICY-R1"] if fulfilment == -1 else [])


def test_levels_become_the_numbers_of_the_form() -> None:
    levels = {"POLICY-R1": Level.MUST, "POLICY-R2": Level.SHOULD, "POLICY-R10": Level.MAY}
    found = requirements_of(form_of(govstack({each: [Verdict.PASS] for each in levels}, levels)))
    assert {name: each["status"] for name, each in found.items()} == {"POLICY-R1": 0, "POLICY-R2": 1, "POLICY-R10": 2}
    assert list(found) == list(levels)


def test_a_number_of_any_length_is_sorted() -> None:
    names = ["API-R2", "API-R10", f"API-R{'9' * 5_000}"]
    assert len(requirements_of(form_of(govstack({each: [Verdict.PASS] for each in names})))) == len(names)


def test_requirements_stand_in_the_section_that_asks_for_them() -> None:
    form = form_of(govstack({each: [Verdict.PASS] for each in ("API-R1", "MTLS-R1", "AUTHZ-R1")}))
    listed = {
        name: form["requirementSpecificationCompliance"][name] for name in LISTS["requirementSpecificationCompliance"]
    }
    assert [len(each) for each in listed.values()] == [1, 1, 0]
    assert listed["crossCuttingRequirements"][0]["requirement"].startswith("AUTHZ-R1")
    assert listed["functionalRequirements"][0]["requirement"].startswith("MTLS-R1")
    assert form["interfaceCompliance"]["requirements"][0]["requirement"].startswith("API-R1")


def test_what_govstack_does_not_ask_for_is_no_part_of_the_form_and_is_named() -> None:
    form = form_of(records.not_conformant())
    assert set(requirements_of(form)) == {"MTLS-R1", "POLICY-R1", "AUTHZ-R1"}
    assert "TRACE-R1" in form["meshmark"]["notGovStack"]


def test_the_new_rule_shows_every_required_one_and_the_percentage_of_the_recommended() -> None:
    levels = {"POLICY-R2": Level.SHOULD, "POLICY-R3": Level.SHOULD, "POLICY-R4": Level.SHOULD}
    verdicts = {each: [Verdict.PASS] for each in ("POLICY-R1", *levels)} | {"POLICY-R4": [Verdict.FAIL]}
    form = form_of(govstack(verdicts, levels))
    summary = form["meshmark"]["summary"]
    assert summary["required"] == {"total": 1, "met": 1, "notMet": 0, "open": 0, "percentage": 100}
    assert summary["recommended"] == {"total": 3, "met": 2, "notMet": 1, "open": 0, "percentage": 66}
    assert summary["everyRequiredMet"]
    assert not summary["disqualified"]
    assert form["requirementSpecificationCompliance"]["notes"] == (
        "1 of 1 REQUIRED requirement met, 0 not met, 0 open; RECOMMENDED: 66 % met. This rule knows no levels."
    )
    assert form["requirementSpecificationCompliance"]["level"] == form["interfaceCompliance"]["level"] == -1


def test_one_failed_required_requirement_disqualifies_waived_or_not() -> None:
    record = govstack({"POLICY-R1": [Verdict.FAIL], "POLICY-R2": [Verdict.PASS]})
    waived = govstack(
        {"POLICY-R1": [Verdict.FAIL], "POLICY-R2": [Verdict.PASS]},
        waivers=[Waiver("POLICY-000", "known", "Jane Mwangi", records.date(2027, 1, 31))],
    )
    for each in (record, waived):
        summary = form_of(each)["meshmark"]["summary"]
        assert summary["disqualified"]
        assert not summary["everyRequiredMet"]
    comment = requirements_of(form_of(waived))["POLICY-R1"]["comment"]
    assert comment == "Not met: POLICY-000 fail (waived until 2027-01-31). Sources: govstack-cfr-security#req-3"


def test_an_open_required_requirement_neither_qualifies_nor_disqualifies() -> None:
    summary = form_of(govstack({"POLICY-R1": [Verdict.ERROR], "POLICY-R2": []}))["meshmark"]["summary"]
    assert (summary["disqualified"], summary["everyRequiredMet"]) == (False, False)


@pytest.mark.parametrize(
    ("met", "others", "level"),
    [(5, 5, -1), (6, 5, 1), (9, 1, 1), (10, 1, 2), (10, 0, 2), (0, 0, -1), (0, 3, -1)],
)
@pytest.mark.parametrize("other", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN])
def test_the_old_levels_need_more_than_half_and_more_than_nine_tenths(
    met: int, others: int, level: int, other: Verdict
) -> None:
    verdicts = {f"POLICY-R{number}": [Verdict.PASS] for number in range(1, met + 1)}
    verdicts |= {f"AUTHZ-R{number}": [other] for number in range(1, others + 1)}
    form = form_of(govstack(verdicts), render_levels)
    assert form["requirementSpecificationCompliance"]["level"] == level
    assert (f": level {level}." if level > 0 else ": no level.") in form["requirementSpecificationCompliance"]["notes"]


def test_recommended_requirements_lift_no_level() -> None:
    verdicts = {"POLICY-R1": [Verdict.FAIL], "AUTHZ-R1": [Verdict.PASS], "AUTHZ-R2": [Verdict.PASS]}
    levels = {"AUTHZ-R1": Level.SHOULD, "AUTHZ-R2": Level.MAY}
    assert form_of(govstack(verdicts, levels), render_levels)["requirementSpecificationCompliance"]["level"] == -1


def test_all_service_apis_are_level_2_and_less_is_left_open() -> None:
    good = govstack({"API-R1": [Verdict.PASS], "API-R2": [Verdict.PASS]})
    assert form_of(good, render_levels)["interfaceCompliance"]["level"] == 2
    bad = form_of(govstack({"API-R1": [Verdict.PASS], "API-R2": [Verdict.NOT_RUN]}), render_levels)
    assert bad["interfaceCompliance"]["level"] == -1
    assert "No level is claimed" in bad["interfaceCompliance"]["notes"]
    without = replace(good, subject={**good.subject, "contracts": []})
    assert form_of(without, render_levels)["interfaceCompliance"]["level"] == -1


def test_levels_of_another_profile_are_not_taken_for_those_of_govstack() -> None:
    good = govstack({"API-R1": [Verdict.PASS], "POLICY-R1": [Verdict.PASS]})
    level = Level.MUST
    foreign = [replace(each, profiles={"country": level}) for each in good.requirements]
    form = form_of(replace(good, profile="country", requirements=tuple(foreign)), render_levels)
    assert requirements_of(form)["POLICY-R1"]["fulfillment"] == 1
    assert form["requirementSpecificationCompliance"]["level"] == form["interfaceCompliance"]["level"] == -1
    assert "REQUIRED and RECOMMENDED are what profile country makes of them" in form["meshmark"]["leftOpen"]["status"]


@pytest.mark.parametrize("make", [render, render_levels])
def test_what_a_record_cannot_know_is_left_open_and_named(make: Any) -> None:
    form = form_of(records.conformant(), make)
    assert form["bbSpecification"] == form["bbVersion"] == ""
    assert form["deploymentCompliance"]["level"] == -1
    assert {"bbSpecification", "bbVersion", "deploymentCompliance", "link"} < form["meshmark"]["leftOpen"].keys()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("make", [render, render_levels])
def test_hostile_text_stays_in_its_place(make: Any, name: str) -> None:
    record = filled(records.not_conformant().to_json(), TEXTS[name])
    for requirement in record["requirements"].values():
        requirement["sources"] = ["govstack-im-1.1.1", TEXTS[name]]
    form = form_of(record, make)
    content = json.dumps(form, ensure_ascii=False)
    assert len(content) < 400_000
    assert not any(mark in content for mark in ("\x1b", "\x85", "\u202e", "\u2028", "\ud83d"))
    assert len(requirements_of(form)) == len(record["requirements"])


def test_a_thousand_results_are_counted() -> None:
    form = form_of(large())
    assert sum(form["meshmark"]["totals"][verdict] for verdict in Verdict) == 1_000
    assert len(form["meshmark"]["checks"]) == 1_000
