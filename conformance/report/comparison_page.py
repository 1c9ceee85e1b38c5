"""A comparison as one HTML page that needs nothing else, in the look of the report and under its rules (`html.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.model.verdict import Outcome
from conformance.report import wording
from conformance.report.comparison import CHANGE_WORDS, Change, Comparison, Item
from conformance.report.comparison_text import state_words
from conformance.report.findings import RecordJson
from conformance.report.templating import page_environment

__all__ = ["render"]

MEANINGS = {
    Change.NEW_FAIL: "Fails now, and did not before or was not there.",
    Change.LOST_PASS: "Passed before, and now proves nothing.",
    Change.GONE: "No longer there, which proves nothing; worse where it passed before.",
    Change.CHANGED: "Differs otherwise: in its verdict without a new fail or a lost pass, its reason, level or waiver.",
    Change.FIXED: "Failed before and passes now.",
    Change.ADDED: "Was not there before, and does not fail.",
    Change.SAME: "Stands as it stood.",
}


def render(comparison: Comparison) -> bytes:
    """The page."""
    worse = comparison.worse
    context = {
        "tone": "outcome-not-conformant" if worse else "outcome-conformant",
        "symbol": "fail" if worse else "pass",
        "verdict": "Something got worse" if worse else "Nothing got worse",
        "sentence": comparison.sentence,
        "subject_name": wording.subject_name(comparison.after),
        "after": comparison.after,
        "ground": comparison.ground,
        "checks": _by_change(comparison.checks),
        "requirements": _by_change(comparison.requirements),
        "sides": [
            _side("Before (A)", comparison.before, comparison.before_digest),
            _side("Now (B)", comparison.after, comparison.after_digest),
        ],
        "words": state_words,
    }
    return page_environment().get_template("comparison.html.j2").render(context).encode()


def _by_change(items: Sequence[Item]) -> list[dict[str, Any]]:
    return [
        {
            "change": change.value,
            "word": CHANGE_WORDS[change],
            "meaning": MEANINGS[change],
            "found": [each for each in items if each.change is change],
        }
        for change in Change
    ]


def _side(label: str, record: RecordJson, digest: str) -> dict[str, str]:
    return {
        "label": label,
        "name": wording.subject_name(record),
        "outcome": wording.OUTCOME_WORDS[Outcome(record["outcome"])],
        "sentence": wording.outcome_sentence(record),
        "totals": wording.totals_sentence(record),
        "finished": record["finished"],
        "suite": f"{record['suite']['name']} {record['suite']['version']}, profile {record['profile']}",
        "digest": digest,
    }
