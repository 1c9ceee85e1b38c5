"""What meshmark knows for GovStack's compliance form, in the form's own shape: by the new rule and by the old one.

    new   every REQUIRED requirement must be met; of the RECOMMENDED the percentage is shown
    old   level 1 or 2 for deployment, for service APIs and for the share of requirements that are met

The form knows three answers to a requirement: met, not met, and none (-1). Its web application takes nobody's form with
a REQUIRED requirement unanswered.

Invariants: a requirement is met only if every check that proves it and applies passed, and at least one did; one that
failed is not met, waived or not; everything else is open, and named. Nothing is answered that a record cannot know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.requirements import Area, Level
from conformance.model.verdict import Verdict
from conformance.report import wording
from conformance.report.findings import RecordJson, applied_waivers, area_of
from conformance.report.material import Material
from conformance.report.text import count, one_line

__all__ = ["SCHEMA", "render", "render_levels"]

SCHEMA = "meshmark/govstack-form/1"
LONGEST_TEXT = 1_000
GOVSTACK_PROFILE = "govstack"
"""The profile whose levels are those that GovStack's documents give."""

MET, NOT_MET, OPEN = 1, 0, -1
NO_LEVEL, LEVEL_1, LEVEL_2 = -1, 1, 2
WORDS = {MET: "Met", NOT_MET: "Not met", OPEN: "Open"}
STATUS = {Level.MUST: 0, Level.SHOULD: 1, Level.MAY: 2}
"""REQUIRED, RECOMMENDED and OPTIONAL, as the form numbers them."""

OF_A_BUILDING_BLOCK = ("govstack-im", "govstack-bb")
"""Sources with functional requirements of one building block; all other GovStack sources cut across them."""
NOT_TESTED = "meshmark does not test how software is packaged and deployed; to be answered by its vendor"
LEFT_OPEN = {
    "bbSpecification": "a record does not say which building block's specification is claimed",
    "bbVersion": "a record does not say which version of that specification is claimed",
    "deploymentCompliance": NOT_TESTED,
    "keyDigitalFunctionalitiesRequirements": "they belong to one building block's specification and are not tested",
    "link": "a record holds evidence, not addresses where it is published",
}


@dataclass(frozen=True)
class _Answer:
    """What the form says about one requirement."""

    requirement: str
    level: Level
    fulfilment: int


def render(material: Material) -> bytes:
    """The form by the new rule: every REQUIRED, and the percentage of RECOMMENDED."""
    answers = _answers(material.record)
    required, recommended = (_share(answers, level) for level in (Level.MUST, Level.SHOULD))
    rule = {
        "rule": "every REQUIRED requirement is met; RECOMMENDED ones are a percentage",
        "required": required,
        "recommended": recommended,
        "disqualified": required["notMet"] > 0,
        "everyRequiredMet": required["total"] > 0 and required["met"] == required["total"],
    }
    notes = (
        f"{required['met']:,} of {count(required['total'], 'REQUIRED requirement')} met, {required['notMet']:,} not "
        f"met, {required['open']:,} open; RECOMMENDED: {_percent(recommended)}. This rule knows no levels."
        + _foreign(material.record)
    )
    return _form(material, answers, {"api": NO_LEVEL, "requirements": NO_LEVEL}, notes, rule)


def render_levels(material: Material) -> bytes:
    """The form by the old rule: levels 1 and 2."""
    record = material.record
    answers = _answers(record)
    required = _share(answers, Level.MUST)
    # In whole numbers, so that no rounding lifts a level.
    met, total = required["met"], required["total"]
    level = LEVEL_2 if met * 10 > total * 9 else LEVEL_1 if met * 2 > total else NO_LEVEL
    apis = _api_level(record, answers)
    if _foreign(record):
        level = apis = NO_LEVEL
    rule = {
        "rule": "level 1 above 50 % of the required requirements, level 2 above 90 %; level 2 for all service APIs",
        "required": required,
    }
    notes = (
        f"{met:,} of {count(total, 'required requirement')} ({_percent(required)}): "
        f"{'no level' if level == NO_LEVEL else f'level {level}'}. Counted are the requirements in this form."
        + _foreign(record)
    )
    return _form(material, answers, {"api": apis, "requirements": level}, notes, rule)


def _form(
    material: Material, answers: Sequence[_Answer], levels: Mapping[str, int], notes: str, rule: Mapping[str, Any]
) -> bytes:
    record = material.record
    sections: dict[str, list[dict[str, Any]]] = {"api": [], "cross-cutting": [], "functional": []}
    for answer in answers:
        sections[_section(record, answer)].append(_requirement(record, answer))
    form = {
        "bbSpecification": "",
        "bbVersion": "",
        "deploymentCompliance": {"level": NO_LEVEL, "notes": NOT_TESTED},
        "interfaceCompliance": {
            "level": levels["api"],
            "testHarnessResult": _text(wording.outcome_sentence(record)),
            "requirements": sections["api"],
            "notes": _api_notes(record, levels["api"]),
        },
        "requirementSpecificationCompliance": {
            "level": levels["requirements"],
            "crossCuttingRequirements": sections["cross-cutting"],
            "functionalRequirements": sections["functional"],
            "keyDigitalFunctionalitiesRequirements": [],
            "notes": notes,
        },
        "meshmark": _beyond(material, answers, rule),
    }
    return f"{json.dumps(form, ensure_ascii=False, indent=2)}\n".encode()


def _answers(record: RecordJson) -> list[_Answer]:
    """One for each requirement of the profile that GovStack asks for."""
    verdicts: dict[str, set[str]] = {}
    for result in record["results"]:
        for each in result["proves"]:
            verdicts.setdefault(each, set()).add(result["verdict"])
    asked = [each for each, facts in record["requirements"].items() if facts["level"] and _asked_by(facts)]
    return [
        _Answer(each, Level(record["requirements"][each]["level"]), _fulfilment(verdicts.get(each, set())))
        for each in sorted(asked, key=_place)
    ]


def _fulfilment(verdicts: set[str]) -> int:
    if Verdict.FAIL in verdicts:
        return NOT_MET
    return MET if Verdict.PASS in verdicts and verdicts <= {Verdict.PASS, Verdict.NOT_APPLICABLE} else OPEN


def _asked_by(facts: RecordJson) -> list[str]:
    """The GovStack documents among the sources of a requirement."""
    return [source for source in facts["sources"] if source.startswith("govstack-")]


def _place(requirement: str) -> tuple[str, int, str]:
    """By area and number, without reading a number that may have any length."""
    number = requirement.partition("-R")[2].lstrip("0")
    return area_of(requirement), len(number), number


def _requirement(record: RecordJson, answer: _Answer) -> dict[str, Any]:
    facts = record["requirements"][answer.requirement]
    return {
        "requirement": _text(f"{answer.requirement}: {facts['text']}"),
        "comment": _text(f"{_why(record, answer)}. Sources: {', '.join(facts['sources'])}"),
        "fulfillment": answer.fulfilment,
        "status": STATUS[answer.level],
        "link": "",
    }


def _why(record: RecordJson, answer: _Answer) -> str:
    """The answer in a word, and the verdicts that it rests on."""
    waived = applied_waivers(record)
    checks = [
        f"{result['check']} {result['verdict']}"
        + (f" (waived until {waived[result['check']]['expires']})" if result["check"] in waived else "")
        for result in record["results"]
        if answer.requirement in result["proves"]
    ]
    because = ", ".join(checks) or record["requirements"][answer.requirement]["unchecked"] or "no check proves it"
    return f"{WORDS[answer.fulfilment]}: {because}"


def _section(record: RecordJson, answer: _Answer) -> str:
    if area_of(answer.requirement) == Area.API:
        return "api"
    asked_by = _asked_by(record["requirements"][answer.requirement])
    return "functional" if all(each.startswith(OF_A_BUILDING_BLOCK) for each in asked_by) else "cross-cutting"


def _api_level(record: RecordJson, answers: Sequence[_Answer]) -> int:
    """Level 2 if all that is required of every service API is met; which single API would earn level 1 is not known."""
    required = _share([each for each in answers if area_of(each.requirement) == Area.API], Level.MUST)
    complete = required["total"] > 0 and required["met"] == required["total"]
    return LEVEL_2 if complete and record["subject"]["contracts"] else NO_LEVEL


def _api_notes(record: RecordJson, level: int) -> str:
    contracts = record["subject"]["contracts"]
    named = "; ".join(f"{each['path']} (SHA-256 {each['sha256']})" for each in contracts[:20])
    judged = "" if level == LEVEL_2 else " No level is claimed: verdicts are about all of them together, not about one."
    return _text(f"{count(len(contracts), 'contract')} tested through the mesh: {named or 'none'}.{judged}")


def _share(answers: Sequence[_Answer], level: Level) -> dict[str, Any]:
    """How many requirements of a level are met, not met and open, and the percentage of those met, rounded down."""
    given = [each.fulfilment for each in answers if each.level is level]
    met = given.count(MET)
    return {
        "total": len(given),
        "met": met,
        "notMet": given.count(NOT_MET),
        "open": given.count(OPEN),
        "percentage": met * 100 // len(given) if given else None,
    }


def _percent(share: Mapping[str, Any]) -> str:
    return "none in this form" if share["percentage"] is None else f"{share['percentage']} % met"


def _foreign(record: RecordJson) -> str:
    """What to say when the levels are not GovStack's: which requirements it calls REQUIRED is then not known."""
    if record["profile"] == GOVSTACK_PROFILE:
        return ""
    return " " + _text(
        f"REQUIRED and RECOMMENDED are what profile {record['profile']} makes of them, not profile {GOVSTACK_PROFILE}."
    )


def _beyond(material: Material, answers: Sequence[_Answer], rule: Mapping[str, Any]) -> dict[str, Any]:
    """What the form has no place for. GovStack's web application leaves out what it does not know."""
    record = material.record
    asked = {each.requirement for each in answers}
    left_open = dict(LEFT_OPEN)
    if foreign := _foreign(record):
        left_open["status"] = foreign.strip()
    return {
        "schema": SCHEMA,
        "record": f"sha256:{material.digest}",
        "suite": _text(f"{record['suite']['name']} {record['suite']['version']}"),
        "subject": _text(wording.subject_name(record)),
        "profile": _text(record["profile"]),
        "outcome": record["outcome"],
        "interrupted": record["interrupted"],
        "finished": record["finished"],
        "totals": dict(sorted(record["totals"].items())),
        "summary": dict(rule),
        "checks": {result["check"]: result["verdict"] for result in record["results"]},
        "waivers": [
            {name: _text(waiver[name]) for name in ("check", "state", "owner", "expires", "reason")}
            for waiver in record["waivers"]
        ],
        "leftOpen": left_open,
        "openRequirements": {
            each.requirement: _text(_why(record, each)) for each in answers if each.fulfilment == OPEN
        },
        "notGovStack": sorted(
            (each for each, facts in record["requirements"].items() if facts["level"] and each not in asked), key=_place
        ),
    }


def _text(text: str) -> str:
    return one_line(text, LONGEST_TEXT)
