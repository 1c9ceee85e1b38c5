"""A comparison as one HTML page that needs nothing else, in the look of the report and under its rules (`html.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.model.verdict import Outcome
from conformance.report import wording
from conformance.report.comparison import CHANGE_WORDS, Change, Comparison, Item
from conformance.report.comparison_text import state_words
from conformance.report.language import Words, current, say
from conformance.report.material import Material
from conformance.report.templating import page_environment

__all__ = ["render"]

MEANINGS = Words("change_meaning", Change)


def render(comparison: Comparison) -> bytes:
    """The page."""
    worse = comparison.worse
    context = {
        "language": current(),
        "tone": "outcome-not-conformant" if worse else "outcome-conformant",
        "symbol": "fail" if worse else "pass",
        "verdict": say("comparison.something_worse") if worse else say("comparison.nothing_worse"),
        "sentence": comparison.sentence,
        "subject_name": wording.subject_name(comparison.after),
        "after": comparison.after,
        "ground": comparison.ground,
        "checks": _by_change(comparison.checks),
        "requirements": _by_change(comparison.requirements),
        "sides": [
            _side(label, side)
            for label, side in zip((say("label.before_a"), say("label.now_b")), comparison.sides, strict=True)
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


def _side(label: str, side: Material) -> dict[str, str]:
    record, suite = side.record, side.record["suite"]
    return {
        "label": label,
        "name": wording.subject_name(record),
        "outcome": wording.OUTCOME_WORDS[Outcome(record["outcome"])],
        "sentence": wording.outcome_sentence(record),
        "totals": wording.totals_sentence(record),
        "finished": record["finished"],
        "suite": say("comparison.suite", suite=suite["name"], version=suite["version"], profile=record["profile"]),
        "digest": side.digest,
    }
