"""`oscal-assessment-results.json`: what was observed, what that says about each requirement, and what is open.

Invariants: every result is an observation; `satisfied` are only requirements of which a check passed and no applicable
check did anything else; one that failed is `not-satisfied`, waived or not; one that is neither has observations and no
finding. Every fail is a risk; a waiver changes the risk's status and nothing else.
"""

from __future__ import annotations

import re
from typing import Any

from conformance.model.record import WaiverState
from conformance.model.verdict import Verdict
from conformance.report.documents import filled, json_document
from conformance.report.findings import NOT_JUDGED, RecordJson, planned, with_verdict
from conformance.report.material import Material
from conformance.report.oscal.parts import (
    PLAN_FILE,
    WAIVER_OWNER,
    Names,
    control_selection,
    line,
    metadata,
    objective_of,
    origin,
    props,
    prose,
    proven_requirements,
    resource,
    subject_reference,
)
from conformance.report.text import count, one_line
from conformance.report.wording import (
    VERDICT_WORDS,
    coverage_sentence,
    outcome_sentence,
    run_troubles,
    subject_name,
    totals_sentence,
    waiver_sentence,
)

__all__ = ["render"]

MOST_EXPECTATIONS = 50
LONGEST_EXPECTATION = 500
YEARS_OF_OSCAL = re.compile("(19|2[0-9])")


def render(material: Material) -> bytes:
    """The results of the record as OSCAL assessment results."""
    record, names = material.record, Names(material)
    results = {
        "uuid": names.results,
        "metadata": metadata(material, names, f"Assessment results for {subject_name(record)}"),
        "import-ap": {"href": PLAN_FILE, "remarks": f"The plan has the UUID {names.plan}."},
        "results": [_result(material, names)],
        "back-matter": {"resources": _resources(material, names)},
    }
    return json_document({"assessment-results": results})


def _result(material: Material, names: Names) -> dict[str, Any]:
    record = material.record
    proven = proven_requirements(record)
    findings = (_finding(record, names, each) for each in proven)
    plan = planned(record)
    failed = with_verdict(record["results"], Verdict.FAIL)
    risks = [_risk(record, names, result, plan[result["check"]]) for result in failed]
    return filled(
        {
            "uuid": names.of("result"),
            "title": line(f"Run of {record['started']}"),
            "description": prose(outcome_sentence(record)),
            "start": record["started"],
            "end": record["finished"],
            "props": props(
                {
                    "outcome": record["outcome"],
                    "seed": record["seed"],
                    **{f"total-{name}": number for name, number in sorted(record["totals"].items())},
                }
            ),
            "reviewed-controls": control_selection(proven),
            "assessment-log": {"entries": _log(record, names)},
            "observations": [_observation(record, names, result) for result in record["results"]],
            "risks": risks,
            "findings": [finding for finding in findings if finding],
            "remarks": prose(" ".join([totals_sentence(record), coverage_sentence(record)])),
        }
    )


def _log(record: RecordJson, names: Names) -> list[dict[str, Any]]:
    """The run, and what is wrong with it as a whole: an interruption, waivers that do not hold."""
    run = {
        "uuid": names.of("log", "run"),
        "title": "The run",
        "description": prose(totals_sentence(record)),
        "start": record["started"],
        "end": record["finished"],
        "related-tasks": [{"task-uuid": names.task}],
    }
    troubles = [
        {
            "uuid": names.of("log", str(number)),
            "title": "Trouble of the run",
            "description": prose(trouble),
            "start": record["finished"],
        }
        for number, trouble in enumerate(run_troubles(record))
    ]
    return [run, *troubles]


def _observation(record: RecordJson, names: Names, result: RecordJson) -> dict[str, Any]:
    place = result["place"]
    return filled(
        {
            "uuid": names.of("observation", result["check"]),
            "title": line(f"{result['check']} {result['title']}"),
            "description": prose(_story(result)),
            "props": props(
                {
                    "check": result["check"],
                    "verdict": result["verdict"],
                    "level": result["level"],
                    "reason": result["reason"],
                    "place": f"{place['path']}:{place['line']}:{place['column']}" if place else "",
                    "reproduce": result["reproduce"],
                }
            ),
            "links": [{"href": f"{PLAN_FILE}#{names.of('activity', result['check'])}", "rel": "activity"}],
            "methods": ["TEST"],
            "types": [] if result["verdict"] in NOT_JUDGED else ["control-objective"],
            "origins": [origin(names)],
            "subjects": [subject_reference(names)],
            "relevant-evidence": [
                {
                    "href": f"#{names.of('evidence', each['sha256'])}",
                    "description": prose(each["name"]),
                    "props": props({"kind": each["kind"], "at": each["at"], "sha256": each["sha256"]}),
                }
                for each in result["evidence"]
            ],
            "collected": result["started"] or record["finished"],
            "remarks": _expectations(result),
        }
    )


def _story(result: RecordJson) -> str:
    parts = {"Expected": result["expected"], "Seen": result["seen"]}
    told = [f"{name}: {one_line(text)}" for name, text in parts.items() if text]
    return "\n\n".join([f"{VERDICT_WORDS[Verdict(result['verdict'])]}.", *told])


def _expectations(result: RecordJson) -> str:
    """Everything that was judged, as a list in Markdown."""
    judged = result["expectations"]
    told = [
        f"- {'met' if each['met'] else 'not met'}: {line(each['expected'], LONGEST_EXPECTATION)};"
        f" seen: {line(each['seen'], LONGEST_EXPECTATION)}"
        for each in judged[:MOST_EXPECTATIONS]
    ]
    if len(judged) > MOST_EXPECTATIONS:
        told.append(f"- {count(len(judged) - MOST_EXPECTATIONS, 'more expectation')} in the record")
    return "\n".join(told)


def _finding(record: RecordJson, names: Names, requirement: str) -> dict[str, Any] | None:
    """What all checks of a requirement say together; None if they say nothing."""
    about = [
        result
        for result in record["results"]
        if requirement in result["proves"] and result["verdict"] != Verdict.NOT_APPLICABLE
    ]
    failed = with_verdict(about, Verdict.FAIL)
    passed = with_verdict(about, Verdict.PASS)
    if failed:
        status = {"state": "not-satisfied", "reason": "fail"}
        why = f"{count(len(failed), 'check')} of {len(about)} failed."
    elif about and len(passed) == len(about):
        status = {"state": "satisfied", "reason": "pass"}
        why = "The one check passed." if len(about) == 1 else f"All {len(about)} checks passed."
    else:
        return None
    text = record["requirements"][requirement]["text"]
    return filled(
        {
            "uuid": names.of("finding", requirement),
            "title": line(f"{requirement} {text}"),
            "description": prose(why),
            "props": props({"requirement": requirement, "level": record["requirements"][requirement]["level"]}),
            "origins": [origin(names)],
            "target": {"type": "objective-id", "target-id": objective_of(requirement), "status": status},
            "related-observations": [
                {"observation-uuid": names.of("observation", result["check"])} for result in about
            ],
            "related-risks": [{"risk-uuid": names.of("risk", result["check"])} for result in failed],
        }
    )


def _risk(record: RecordJson, names: Names, result: RecordJson, entry: RecordJson) -> dict[str, Any]:
    check = result["check"]
    waiver = next((each for each in record["waivers"] if each["check"] == check), None)
    waived = waiver is not None and waiver["state"] == WaiverState.APPLIED
    return filled(
        {
            "uuid": names.of("risk", check),
            "title": line(f"{check} failed: {result['title']}"),
            "description": prose(_story(result)),
            "statement": prose(entry["description"]),
            "props": props({"check": check, "level": result["level"], "reason": result["reason"]}),
            "status": "deviation-approved" if waived else "open",
            "origins": [origin(names)],
            "deadline": _end_of(waiver["expires"]) if waiver else "",
            "remediations": [
                {
                    "uuid": names.of("remediation", check),
                    "lifecycle": "recommendation",
                    "title": "What to do",
                    "description": prose(result["next_step"] or entry["remedy"]),
                }
            ],
            "risk-log": {"entries": [_waiver_entry(record, names, waiver, waived=waived)]} if waiver else None,
            "related-observations": [{"observation-uuid": names.of("observation", check)}],
        }
    )


def _waiver_entry(record: RecordJson, names: Names, waiver: RecordJson, *, waived: bool) -> dict[str, Any]:
    owner = one_line(waiver["owner"])
    return filled(
        {
            "uuid": names.of("waiver", waiver["check"]),
            "title": "Waiver",
            "description": prose(waiver_sentence(waiver)),
            "start": record["finished"],
            "props": props({"state": waiver["state"], "expires": waiver["expires"], "owner": owner}),
            "logged-by": [{"party-uuid": names.of("party", owner), "role-id": WAIVER_OWNER}] if owner else [],
            "status-change": "deviation-approved" if waived else "open",
        }
    )


def _end_of(day: str) -> str:
    """The last moment of a day, if it lies in the years that OSCAL can write."""
    return f"{day}T23:59:59Z" if YEARS_OF_OSCAL.match(day) else ""


def _resources(material: Material, names: Names) -> list[dict[str, Any]]:
    """The record, and each observation under the digest of its bytes."""
    record = material.record
    found = {
        each["sha256"]: resource(
            names.of("evidence", each["sha256"]),
            each["name"],
            f"evidence/{each['sha256']}.json",
            each["sha256"],
            "application/json",
        )
        for result in record["results"]
        for each in result["evidence"]
    }
    whole = resource(names.of("resource", "record"), "Run record", "record.json", material.digest, "application/json")
    return [whole, *found.values()]
