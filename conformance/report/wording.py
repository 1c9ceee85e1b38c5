"""The sentences and words that all formats share, so that a page, a JUnit file and a terminal say the same.

Invariants: plain text without markup; every sentence is made from the record alone.
"""

from __future__ import annotations

from datetime import UTC, datetime

from conformance.model.record import WaiverState
from conformance.model.requirements import Area, Level
from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import (
    UNPROVEN,
    RecordJson,
    applied_waivers,
    attention,
    mandatory,
    troubled_waivers,
    with_verdict,
)
from conformance.report.text import count, series

__all__ = [
    "AREA_TITLES",
    "LEVEL_MEANINGS",
    "OUTCOME_WORDS",
    "VERDICT_MEANINGS",
    "VERDICT_WORDS",
    "WAIVER_WORDS",
    "coverage_sentence",
    "meaning",
    "next_steps",
    "outcome_sentence",
    "run_troubles",
    "seconds",
    "subject_name",
    "totals_sentence",
    "utc",
    "waiver_sentence",
]

OUTCOME_WORDS = {
    Outcome.CONFORMANT: "Conformant",
    Outcome.CONFORMANT_WITH_WAIVERS: "Conformant with waivers",
    Outcome.NOT_CONFORMANT: "Not conformant",
    Outcome.INCOMPLETE: "Incomplete",
}

VERDICT_WORDS = {
    Verdict.PASS: "Pass",
    Verdict.FAIL: "Fail",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.ERROR: "Error",
    Verdict.NOT_APPLICABLE: "Not applicable",
    Verdict.NOT_RUN: "Not run",
}

VERDICT_MEANINGS = {
    Verdict.PASS: "Everything that the check expected was seen, and the evidence is kept.",
    Verdict.FAIL: "Something was seen that the requirement forbids, or something it demands was not there.",
    Verdict.INCONCLUSIVE: "The honest case did not work, so nothing was learned about the requirement.",
    Verdict.ERROR: "The suite or its environment broke. This says nothing about the subject.",
    Verdict.NOT_APPLICABLE: "The profile does not ask for it, or the subject does not declare the feature.",
    Verdict.NOT_RUN: "It applies, and was not run. The reason is given.",
}

LEVEL_MEANINGS = {
    Level.MUST: "Mandatory. One failed check makes the subject not conformant; one unproven leaves the run incomplete.",
    Level.SHOULD: "Recommended. Reported, and never disqualifying.",
    Level.MAY: "Optional. Judged where the subject declares it; reported, and never disqualifying.",
}

AREA_TITLES = {
    Area.MTLS: "Mutual TLS",
    Area.POLICY: "Policy changes",
    Area.AUTHZ: "Authorization",
    Area.ROUTE: "Routing",
    Area.RETRY: "Retries",
    Area.BREAK: "Circuit breaking",
    Area.RATE: "Rate limits",
    Area.FAULT: "Fault injection",
    Area.DISCOVERY: "Service discovery",
    Area.TRACE: "Tracing",
    Area.OBSERVE: "Observability",
    Area.TOPOLOGY: "Topology",
    Area.API: "API contract",
}

WAIVER_WORDS = {
    WaiverState.APPLIED: "applied",
    WaiverState.EXPIRED: "expired, which fails the run",
    WaiverState.UNUSED: "not needed, which fails the run",
    WaiverState.UNSIGNED: "not signed by the role that the profile names, which fails the run",
}

PLURALS = {
    "has expired": "have expired",
    "is not needed": "are not needed",
    "is not signed as the profile asks": "are not signed as the profile asks",
}


def subject_name(record: RecordJson) -> str:
    """The subject as a sentence names it: `birth-registry 1.2 by Example Ltd`."""
    subject = record["subject"]
    named = " ".join(part for part in (subject["name"], subject["version"]) if part)
    return f"{named} by {subject['vendor']}" if subject["vendor"] else named


def outcome_sentence(record: RecordJson) -> str:
    """What the whole run says, in one sentence that stands first in every format."""
    who, profile = subject_name(record), f"profile {record['profile']}"
    because = series(_causes(record))
    match Outcome(record["outcome"]):
        case Outcome.CONFORMANT:
            return f"{who} is conformant with {profile}: {because}."
        case Outcome.CONFORMANT_WITH_WAIVERS:
            return f"{who} is conformant with {profile}, with waivers: {because}."
        case Outcome.NOT_CONFORMANT:
            return f"{who} is not conformant with {profile}: {because}."
        case Outcome.INCOMPLETE:
            return f"It is not proven that {who} is conformant with {profile}: {because}."


def coverage_sentence(record: RecordJson) -> str:
    """How much of the profile this version of the suite checks at all: an outcome says nothing about the rest."""
    mandatory_ones = [each for each in record["requirements"].values() if each["level"] == Level.MUST]
    checked = sum(1 for each in mandatory_ones if each["unchecked"] is None)
    of_all = count(len(mandatory_ones), "mandatory requirement")
    if checked == len(mandatory_ones):
        return f"This version of the suite checks every one of the {of_all} of profile {record['profile']}."
    return (
        f"This version of the suite checks {checked:,} of the {of_all} of profile {record['profile']}; "
        "the outcome says nothing about the others, which the report lists with the reason."
    )


def _causes(record: RecordJson) -> list[str]:
    """Why the outcome is what it is, as clauses without an end. Only the first number says of how many."""
    musts, waived = mandatory(record), applied_waivers(record)
    failed = with_verdict(musts, Verdict.FAIL)
    covered = sum(1 for result in failed if result["check"] in waived)
    open_fails = len(failed) - covered
    passed, unproven = len(with_verdict(musts, Verdict.PASS)), len(with_verdict(musts, *UNPROVEN))
    counted = {
        "failed": open_fails,
        "passed": passed if covered and not open_fails and not unproven else 0,
        "failed under a waiver": covered,
        "gave no proof": unproven,
    }
    causes = ["the run was interrupted"] if record["interrupted"] else []
    of_all = f" of {count(len(musts), 'mandatory check')}"
    for what, number in counted.items():
        if number:
            causes.append(f"{number:,}{of_all} {what}")
            of_all = ""
    for state, what in (
        (WaiverState.EXPIRED, "has expired"),
        (WaiverState.UNUSED, "is not needed"),
        (WaiverState.UNSIGNED, "is not signed as the profile asks"),
    ):
        number = sum(1 for waiver in record["waivers"] if waiver["state"] == state)
        if number:
            causes.append(f"{count(number, 'waiver')} {what if number == 1 else PLURALS[what]}")
    if not musts:
        causes.append("no mandatory check applies")
    elif passed == len(musts):
        causes.append("its one mandatory check passed" if passed == 1 else f"all {passed:,} mandatory checks passed")
        if waived:
            causes.append(f"{count(len(waived), 'other check')} failed under a waiver")
    return causes


def totals_sentence(record: RecordJson) -> str:
    """All six verdicts, which add up to the plan."""
    totals = record["totals"]
    waived = f" ({totals['waived']:,} waived)" if totals["waived"] else ""
    parts = [
        f"{totals['pass']:,} passed",
        f"{totals['fail']:,} failed{waived}",
        f"{totals['inconclusive']:,} inconclusive",
        count(totals["error"], "error"),
        f"{totals['not-applicable']:,} not applicable",
        f"{totals['not-run']:,} not run",
    ]
    return f"{count(totals['planned'], 'check')} in the plan: {', '.join(parts)}."


def meaning(record: RecordJson) -> str:
    """What the outcome says, and what it does not say, to somebody who has never seen a report before."""
    match Outcome(record["outcome"]):
        case Outcome.CONFORMANT:
            return (
                "Every mandatory check that applies was run on the wire and passed. This holds for the version, the "
                "contracts and the settings named in this report, and for no others."
            )
        case Outcome.CONFORMANT_WITH_WAIVERS:
            return (
                "Known fails are covered by waivers: somebody named answers for each until the day given. A waived "
                "fail stays a fail, and counts again from the day after."
            )
        case Outcome.NOT_CONFORMANT:
            waived = applied_waivers(record)
            open_fails = [
                result for result in with_verdict(mandatory(record), Verdict.FAIL) if result["check"] not in waived
            ]
            cause = (
                "At least one mandatory requirement is not kept, and no waiver covers it."
                if open_fails
                else "A waiver in the run file does not hold, so the run file no longer says what is true."
            )
            return f"{cause} Recommended and optional checks never lead to this outcome."
        case Outcome.INCOMPLETE:
            return (
                "No mandatory check has disqualified the subject, but proof is missing: a mandatory check was not run, "
                "could not be judged or ran into an error. This says nothing about the subject, good or bad."
            )


def next_steps(record: RecordJson) -> list[str]:
    """What to do next, most useful first."""
    waived = applied_waivers(record)
    todo = attention(record)
    steps = []
    if any(result["verdict"] == Verdict.FAIL and result["check"] not in waived for result in todo):
        steps.append(
            "Begin with the first failed check: it says what was expected, what was seen and how to run it alone."
        )
    if any(waiver["state"] == WaiverState.EXPIRED for waiver in record["waivers"]):
        steps.append("Mend what the expired waivers covered, or have their owners renew them in the run file.")
    if any(waiver["state"] == WaiverState.UNUSED for waiver in record["waivers"]):
        steps.append("Take the waivers that are not needed out of the run file.")
    if any(waiver["state"] == WaiverState.UNSIGNED for waiver in record["waivers"]):
        steps.append("Have the unsigned waivers signed by the role that the profile names (`meshmark waiver sign`).")
    if with_verdict(todo, Verdict.INCONCLUSIVE, Verdict.ERROR):
        steps.append("Clear what kept checks from judging, named with each of them, then run again.")
    if with_verdict(mandatory(record), Verdict.NOT_RUN):
        steps.append("Run the mandatory checks that were not run; their reasons are listed.")
    if waived:
        steps.append(f"Mend the waived checks by {min(waiver['expires'] for waiver in waived.values())}.")
    if not steps and not mandatory(record):
        steps.append("Choose a profile with mandatory checks, or declare the features that the subject has.")
    if not steps and record["interrupted"]:
        steps.append("Run again, to the end.")
    return steps or [
        "Keep record.json with the release that it judges.",
        "Run again after any change of the subject, its contracts or the mesh configuration.",
    ]


def waiver_sentence(waiver: RecordJson) -> str:
    """A waiver and what became of it."""
    what = {
        WaiverState.APPLIED: f"failed, waived until {waiver['expires']} by {waiver['owner']}",
        WaiverState.EXPIRED: f"the waiver by {waiver['owner']} expired on {waiver['expires']}",
        WaiverState.UNUSED: f"the waiver by {waiver['owner']} is not needed, for the check did not fail",
        WaiverState.UNSIGNED: f"the waiver by {waiver['owner']} is not signed by the role that the profile names",
    }[WaiverState(waiver["state"])]
    return f"{what}{_signed(waiver)}: {waiver['reason']}"


def _signed(waiver: RecordJson) -> str:
    signature = waiver["signature"]
    return f" (signed by {signature['name']}, {signature['role']})" if signature else ""


def run_troubles(record: RecordJson) -> list[str]:
    """What is wrong with the run as a whole, beyond its single checks."""
    troubles = ["the run was interrupted before its end"] if record["interrupted"] else []
    if record["trouble"]:
        troubles.append(record["trouble"])
    return troubles + [f"{waiver['check']}: {waiver_sentence(waiver)}" for waiver in troubled_waivers(record)]


def utc(instant: str) -> str:
    """An RFC 3339 time as a reader likes it: `2026-11-03 14:02:11 UTC`."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def seconds(duration: float) -> str:
    """A duration in the unit that suits it: `340 ms`, `2.1 s`, `3 min 20 s`."""
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    return f"{int(duration // 60)} min {int(duration % 60)} s"
