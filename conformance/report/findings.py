"""What a record says, picked out and put in the order in which a reader needs it.

Invariants: nothing is judged here and nothing is left out: every function sorts, groups or counts what stands in the
record. A record is the dictionary that `RunRecord.to_json` gives and that `record.json` holds, in any order of keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from conformance.model.record import WaiverState
from conformance.model.requirements import Area, Level
from conformance.model.verdict import Verdict
from conformance.report.language import say

__all__ = [
    "NOT_JUDGED",
    "UNPROVEN",
    "RecordJson",
    "applied_waivers",
    "area_of",
    "attention",
    "by_area",
    "by_reason",
    "mandatory",
    "planned",
    "troubled_waivers",
    "with_verdict",
]

RecordJson: TypeAlias = Mapping[str, Any]

UNPROVEN = (Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_RUN)
"""Verdicts that leave open whether the subject conforms."""

NOT_JUDGED = (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE)
"""Verdicts of checks that were never started."""


def with_verdict(results: Sequence[RecordJson], *verdicts: Verdict) -> list[RecordJson]:
    """The results that have one of the verdicts."""
    return [result for result in results if result["verdict"] in verdicts]


def planned(record: RecordJson) -> dict[str, RecordJson]:
    """What the plan says about each check: among others why it matters and what to mend when it fails."""
    return {entry["check"]: entry for entry in record["plan"]}


def mandatory(record: RecordJson) -> list[RecordJson]:
    """The results of the checks that the subject must pass: MUST, and applicable."""
    return [
        result
        for result in record["results"]
        if result["level"] == Level.MUST and result["verdict"] != Verdict.NOT_APPLICABLE
    ]


def applied_waivers(record: RecordJson) -> dict[str, RecordJson]:
    """The waivers that cover a fail of this run, by check."""
    return {waiver["check"]: waiver for waiver in record["waivers"] if waiver["state"] == WaiverState.APPLIED}


def troubled_waivers(record: RecordJson) -> list[RecordJson]:
    """The waivers that fail the run: expired, unsigned, or without a fail to cover."""
    return [waiver for waiver in record["waivers"] if waiver["state"] != WaiverState.APPLIED]


def attention(record: RecordJson) -> list[RecordJson]:
    """What somebody has to look at, worst first: fails, errors and inconclusive checks; what is waived comes last."""
    waived = applied_waivers(record)
    order = [Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE]
    return sorted(
        with_verdict(record["results"], *order),
        key=lambda result: (
            result["check"] in waived,
            list(Level).index(result["level"]),
            order.index(result["verdict"]),
        ),
    )


def area_of(check: str) -> str:
    """The part of a check's id that names its area."""
    return check.partition("-")[0]


def by_area(results: Sequence[RecordJson]) -> dict[str, list[RecordJson]]:
    """Results by area: the catalogue's areas in its reading order, then those that others added."""
    present = {area_of(result["check"]) for result in results}
    known = [area.value for area in Area if area in present]
    return {
        area: [result for result in results if area_of(result["check"]) == area]
        for area in [*known, *sorted(present.difference(known))]
    }


def by_reason(results: Sequence[RecordJson]) -> dict[str, list[str]]:
    """Ids of checks that were never started, by the reason in words."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        reasons.setdefault(result["seen"] or result["reason"] or say("reason.none"), []).append(result["check"])
    return reasons
