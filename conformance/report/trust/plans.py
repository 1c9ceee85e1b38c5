"""A record against the catalogue that it names: whether all was planned, and judged by what was declared.

Invariant: a check may be left out for the reasons of the catalogue alone; whatever else a record says of it leaves the
check unproven, never inapplicable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.model.record import why_not_applicable
from conformance.model.requirements import Level
from conformance.model.verdict import Verdict
from conformance.report.findings import NOT_JUDGED, RecordJson, planned
from conformance.report.text import one_line
from conformance.report.trust.known_catalogue import KnownCatalogue

__all__ = ["plan_problems"]


def plan_problems(record: RecordJson, catalogue: KnownCatalogue) -> list[str]:
    """Where a record does not keep to its catalogue, in words. An honest record has none."""
    if record["profile"] not in catalogue.profiles:
        return [f"the profile {_shown(record['profile'])} is not one of the catalogue"]
    if record["features"] is None:
        return ["the record does not say which features were declared, so the plan cannot be checked: run again"]
    plan, known = planned(record), catalogue.checks
    problems = [f"the plan lacks the check {check}" for check in known if check not in plan]
    problems += [f"the plan has {_shown(check)}, no check of the catalogue" for check in plan if check not in known]
    inapplicable = _inapplicable(record, catalogue)
    for result in record["results"]:
        check = result["check"]
        if check in known and check in plan:
            problems += _about_plan(result, plan[check], known[check], inapplicable[check])
            level = catalogue.level_of(check, record["profile"]) or Level.MAY
            if plan[check]["level"] != level:
                problems.append(f"the plan has {check} as {plan[check]['level']}; by the profile it is {level}")
            problems += [f"{check}: {each}" for each in _about_judgement(result, known[check])]
    return [*problems, *_about_requirements(record, catalogue)]


def _inapplicable(record: RecordJson, catalogue: KnownCatalogue) -> dict[str, set[str]]:
    """For each check the reasons for which it may be left out; the empty one: it applies."""
    profile = record["profile"]
    present = {*catalogue.profiles[profile]["mandatory"], *record["features"]}
    hosts = record["environment"]["hosts"]
    # Where nothing was started, nothing says which it would have been.
    separate = {True} if hosts == "separate" else {False} if hosts == "shared" else {True, False}
    if record["topology"] != "inter-proxy":
        separate = {True}
    return {
        check: {
            why_not_applicable(
                profile=profile,
                level=catalogue.level_of(check, profile),
                missing=set(about["needs"]) - present,
                topology=None if record["topology"] in about["topologies"] else record["topology"],
                lacks_hosts=about["separate_hosts"] and not with_hosts,
            )
            for with_hosts in separate
        }
        for check, about in catalogue.checks.items()
    }


def _about_plan(result: RecordJson, entry: RecordJson, known: Mapping[str, Any], reasons: set[str]) -> Iterator[str]:
    check, verdict = result["check"], result["verdict"]
    if entry["title"] != known["title"]:
        yield f"the plan has {check} under another title than the catalogue"
    if list(result["proves"]) != list(known["proves"]):
        yield f"{check} is said to prove other requirements than in the catalogue"
    if entry["run"]:
        if "" not in reasons:
            yield f"the plan runs {check}, which does not apply: {next(iter(reasons))}"
    elif entry["reason"] in reasons - {""}:
        if verdict != Verdict.NOT_APPLICABLE:
            yield f"{check} does not apply, and yet its verdict is {verdict}"
    elif verdict != Verdict.NOT_RUN or "" not in reasons:
        yield f"the plan leaves out {check} for a reason that does not hold: {_shown(entry['reason'])}"


def _about_judgement(result: RecordJson, known: Mapping[str, Any]) -> Iterator[str]:
    """What a verdict rests on: declared reasons, and the promised evidence."""
    verdict, met = result["verdict"], {each["code"]: each["met"] for each in result["expectations"]}
    declared = {**known["fails"], **known["inconclusive"]}
    for each in result["expectations"]:
        if declared.get(each["code"]) != each["expected"]:
            yield f"was judged by {_shown(each['code'])}, which the catalogue does not declare in these words"
    if verdict in NOT_JUDGED and (result["expectations"] or result["evidence"]):
        yield f"was judged, and yet its verdict is {verdict}"
    if verdict == Verdict.PASS:
        recorded = {each["name"] for each in result["evidence"]}
        if missing := [name for name in known["evidence"] if name not in recorded]:
            yield f"passed without the evidence {missing[0]!r}, which it promises"
        if not met:
            yield "passed, and yet nothing was judged"
        if unmet := [code for code, held in met.items() if not held]:
            yield f"passed, and yet {_shown(unmet[0])} was not met"
    reasons = {Verdict.FAIL: known["fails"], Verdict.INCONCLUSIVE: known["inconclusive"]}.get(Verdict(verdict))
    if reasons is not None and (result["reason"] not in reasons or met.get(result["reason"]) is not False):
        yield f"has the verdict {verdict} without a reason that was declared and not met"


def _about_requirements(record: RecordJson, catalogue: KnownCatalogue) -> Iterator[str]:
    proven = {requirement for check in catalogue.checks.values() for requirement in check["proves"]}
    profile, said = record["profile"], record["requirements"]
    due = {each for each, about in catalogue.requirements.items() if each in proven or about["profiles"].get(profile)}
    for each in sorted(due - said.keys()):
        yield f"the record lacks the requirement {each}"
    for each, about in said.items():
        known = catalogue.requirements.get(each)
        if known is None or each not in due:
            yield f"the record has the requirement {_shown(each)}, which the profile does not"
        elif (about["text"], about["level"]) != (known["text"], known["profiles"].get(profile)):
            yield f"the record has the requirement {each} in other words or at another level than the catalogue"
        elif (about["unchecked"] is None) != (each in proven):
            yield f"the record says wrongly whether a check proves the requirement {each}"


def _shown(text: str) -> str:
    return repr(one_line(text, 120))
