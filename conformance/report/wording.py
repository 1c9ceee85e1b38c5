"""The sentences and words that all formats share, so that a page, a JUnit file and a terminal say the same.

Invariants: plain text without markup; every sentence is made from the record alone, in the language that was chosen
(`language.speaking`).
"""

from __future__ import annotations

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
from conformance.report.language import Words, day, decimal, instant, say
from conformance.report.text import series

__all__ = [
    "AREA_TITLES",
    "LEVEL_MEANINGS",
    "OUTCOME_WORDS",
    "VERDICT_MEANINGS",
    "VERDICT_WORDS",
    "WAIVER_WORDS",
    "area_title",
    "coverage_sentence",
    "meaning",
    "next_steps",
    "outcome_sentence",
    "run_troubles",
    "seconds",
    "signed_by",
    "subject_name",
    "totals_sentence",
    "utc",
    "waiver_sentence",
]

OUTCOME_WORDS = Words("outcome_word", Outcome)

VERDICT_WORDS = Words("verdict_word", Verdict)

VERDICT_MEANINGS = Words("verdict_meaning", Verdict)

LEVEL_MEANINGS = Words("level_meaning", Level)

AREA_TITLES = Words("area", Area)

WAIVER_WORDS = Words("waiver_word", WaiverState)


def area_title(area: str) -> str:
    """What an area is called; one that somebody else added, by its id."""
    return AREA_TITLES[Area(area)] if area in list(Area) else area


def subject_name(record: RecordJson) -> str:
    """The subject as a sentence names it: `birth-registry 1.2 by Example Ltd`."""
    subject = record["subject"]
    named = " ".join(part for part in (subject["name"], subject["version"]) if part)
    return say("subject.by", name=named, vendor=subject["vendor"]) if subject["vendor"] else named


def outcome_sentence(record: RecordJson) -> str:
    """What the whole run says, in one sentence that stands first in every format."""
    return say(
        f"outcome.{Outcome(record['outcome'])}",
        subject=subject_name(record),
        profile=record["profile"],
        because=series(_causes(record)),
    )


def coverage_sentence(record: RecordJson) -> str:
    """How much of the profile this version of the suite checks at all: an outcome says nothing about the rest."""
    mandatory_ones = [each for each in record["requirements"].values() if each["level"] == Level.MUST]
    checked = sum(1 for each in mandatory_ones if each["unchecked"] is None)
    of_all = len(mandatory_ones)
    if checked == of_all:
        return say("coverage.all", number=of_all, profile=record["profile"])
    return say("coverage.some", number=of_all, checked=checked, profile=record["profile"])


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
        "waived": covered,
        "unproven": unproven,
    }
    causes = [say("cause.interrupted")] if record["interrupted"] else []
    share = "cause.of_all"
    for what, some in counted.items():
        if some:
            causes.append(say(f"cause.{what}", number=some, share=say(share, number=len(musts), some=some)))
            share = "cause.some"
    for state in (WaiverState.EXPIRED, WaiverState.UNUSED, WaiverState.UNSIGNED):
        number = sum(1 for waiver in record["waivers"] if waiver["state"] == state)
        if number:
            causes.append(say(f"cause.{state}", number=number))
    if not musts:
        causes.append(say("cause.none_applies"))
    elif passed == len(musts):
        causes.append(say("cause.all_passed", number=passed))
        if waived:
            causes.append(say("cause.others_waived", number=len(waived)))
    return causes


def totals_sentence(record: RecordJson) -> str:
    """All six verdicts, which add up to the plan."""
    totals = record["totals"]
    parts = [
        say("totals.fail_waived", number=totals["fail"], waived=totals["waived"])
        if verdict is Verdict.FAIL and totals["waived"]
        else say(f"totals.{verdict}", number=totals[verdict])
        for verdict in Verdict
    ]
    return say("totals.sentence", number=totals["planned"], parts=say("series.between").join(parts))


def meaning(record: RecordJson) -> str:
    """What the outcome says, and what it does not say, to somebody who has never seen a report before."""
    outcome = Outcome(record["outcome"])
    if outcome is Outcome.NOT_CONFORMANT:
        waived = applied_waivers(record)
        failed = with_verdict(mandatory(record), Verdict.FAIL)
        if all(result["check"] in waived for result in failed):
            return say("meaning.not-conformant-by-waiver")
    return say(f"meaning.{outcome}")


def next_steps(record: RecordJson) -> list[str]:
    """What to do next, most useful first."""
    waived = applied_waivers(record)
    todo = attention(record)
    steps = []
    if any(result["verdict"] == Verdict.FAIL and result["check"] not in waived for result in todo):
        steps.append(say("next.failed"))
    if any(waiver["state"] == WaiverState.EXPIRED for waiver in record["waivers"]):
        steps.append(say("next.expired"))
    if any(waiver["state"] == WaiverState.UNUSED for waiver in record["waivers"]):
        steps.append(say("next.unused"))
    if any(waiver["state"] == WaiverState.UNSIGNED for waiver in record["waivers"]):
        steps.append(say("next.unsigned"))
    if with_verdict(todo, Verdict.INCONCLUSIVE, Verdict.ERROR):
        steps.append(say("next.unclear"))
    if with_verdict(mandatory(record), Verdict.NOT_RUN):
        steps.append(say("next.not-run"))
    if waived:
        steps.append(say("next.waived", day=day(min(waiver["expires"] for waiver in waived.values()))))
    if not steps and not mandatory(record):
        steps.append(say("next.no_mandatory"))
    if not steps and record["interrupted"]:
        steps.append(say("next.again"))
    return steps or [say("next.keep"), say("next.after_change")]


def waiver_sentence(waiver: RecordJson) -> str:
    """A waiver and what became of it."""
    return say(
        f"waiver.{WaiverState(waiver['state'])}",
        owner=waiver["owner"],
        day=day(waiver["expires"]),
        signed=signed_by(waiver["signature"]),
        reason=waiver["reason"],
    )


def signed_by(signature: RecordJson | None) -> str:
    """Who has signed a waiver, to follow its owner: ` (signed by Jane Mwangi, governance body)`."""
    return say("waiver.signed", name=signature["name"], role=say(f"signer.{signature['role']}")) if signature else ""


def run_troubles(record: RecordJson) -> list[str]:
    """What is wrong with the run as a whole, beyond its single checks."""
    troubles = [say("trouble.interrupted")] if record["interrupted"] else []
    if record["trouble"]:
        troubles.append(record["trouble"])
    return troubles + [f"{waiver['check']}: {waiver_sentence(waiver)}" for waiver in troubled_waivers(record)]


def utc(text: str) -> str:
    """An RFC 3339 time as a reader likes it: `2026-11-03 14:02:11 UTC`."""
    return instant(text)


def seconds(duration: float) -> str:
    """A duration in the unit that suits it: `340 ms`, `2.1 s`, `3 min 20 s`."""
    if duration < 1:
        return say("duration.milliseconds", value=decimal(duration * 1000, 0))
    if duration < 60:
        return say("duration.seconds", value=decimal(duration, 1))
    return say("duration.minutes", minutes=int(duration // 60), seconds=int(duration % 60))
