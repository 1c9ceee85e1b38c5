"""Two records of a subject, before and after: what is new, fixed, same, gone or changed.

Invariants: only a fail that became a pass is fixed; a check that is gone, was not run, was inconclusive or ran into an
error proves nothing and is never fixed. Whatever got worse is counted as worse under every kind of change. Words are
made when they are asked for, in the language of that moment; JSON speaks the language of the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import RecordJson, planned
from conformance.report.ground import Difference, ground_differences
from conformance.report.language import RECORD_LANGUAGE, Words, say, speaking
from conformance.report.material import Material
from conformance.report.proof import Standing, catalogue_order, check_standings, requirement_standings
from conformance.report.text import count, series
from conformance.report.wording import subject_name

__all__ = [
    "CHANGE_WORDS",
    "COMPARISON_SCHEMA",
    "OUTCOME_CLAUSES",
    "Change",
    "Comparison",
    "Item",
    "change_count",
    "compare",
    "items_of",
    "summary_of",
]

COMPARISON_SCHEMA = "meshmark/comparison/1"
"""Names the shape of a comparison; its JSON Schema is `reports/schemas/comparison-1.schema.json`."""

BETTER_FIRST = (Outcome.CONFORMANT, Outcome.CONFORMANT_WITH_WAIVERS, Outcome.INCOMPLETE, Outcome.NOT_CONFORMANT)


class Change(StrEnum):
    """What became of a check or a requirement. The worst comes first."""

    NEW_FAIL = "new-fail"
    """It fails now, and did not before or was not there."""
    LOST_PASS = "lost-pass"  # noqa: S105 -- a kind of change, no password
    """It passed before, and now proves nothing."""
    GONE = "gone"
    """It is no longer there; worse if it passed before."""
    CHANGED = "changed"
    """Anything else that differs; worse if a waiver no longer covers its fail."""
    FIXED = "fixed"
    """It failed before and passes now."""
    ADDED = "added"
    """It was not there before, and does not fail."""
    SAME = "same"


CHANGE_WORDS = Words("change_word", Change)

OUTCOME_CLAUSES = Words("outcome_clause", Outcome)
"""What an outcome is called inside of a sentence."""


@dataclass(frozen=True)
class Item:
    """One check or requirement, before and after."""

    id: str
    text: str
    before: Standing | None
    after: Standing | None

    @property
    def change(self) -> Change:
        """What became of it."""
        before, after = self.before, self.after
        if after is None:
            return Change.GONE
        failed, fails = before is not None and before.state == Verdict.FAIL, after.state == Verdict.FAIL
        if fails and not failed:
            return Change.NEW_FAIL
        if before is None:
            return Change.ADDED
        if before.state == Verdict.PASS != after.state:
            return Change.LOST_PASS
        if failed and after.state == Verdict.PASS:
            return Change.FIXED
        return Change.SAME if before == after else Change.CHANGED

    @property
    def worse(self) -> bool:
        """Whether it got worse: a new fail, a lost pass, a fail that a waiver no longer covers."""
        change, before, after = self.change, self.before, self.after
        if change is Change.GONE:
            return before is not None and before.state == Verdict.PASS
        uncovered = before is not None and after is not None and before.waived and not after.waived
        return change in (Change.NEW_FAIL, Change.LOST_PASS) or (
            change is Change.CHANGED and uncovered and _fails(after)
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in a comparison."""
        return {
            "id": self.id,
            "text": self.text,
            "change": self.change.value,
            "worse": self.worse,
            "before": self.before.to_json() if self.before else None,
            "after": self.after.to_json() if self.after else None,
        }


def _fails(standing: Standing | None) -> bool:
    return standing is not None and standing.state == Verdict.FAIL


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison says."""

    sides: tuple[Material, Material]
    checks: Sequence[Item]
    requirements: Sequence[Item]

    @property
    def before(self) -> RecordJson:
        """The record that was there before."""
        return self.sides[0].record

    @property
    def after(self) -> RecordJson:
        """The record that is there now."""
        return self.sides[1].record

    @property
    def ground(self) -> list[Difference]:
        """What limits it."""
        return ground_differences(*self.sides)

    @property
    def outcome_worse(self) -> bool:
        """Whether the outcome got worse."""
        before, after = (BETTER_FIRST.index(Outcome(each["outcome"])) for each in (self.before, self.after))
        return after > before

    @property
    def worse(self) -> bool:
        """Whether anything got worse."""
        return self.outcome_worse or any(each.worse for each in [*self.checks, *self.requirements])

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        before, after = (OUTCOME_CLAUSES[Outcome(each["outcome"])] for each in (self.before, self.after))
        return say(
            "comparison.sentence_same" if before == after else "comparison.sentence",
            subject=subject_name(self.after),
            before=before,
            after=after,
            changes=summary_of(self.checks),
        )

    def to_json(self) -> dict[str, Any]:
        """Its documented shape."""
        before, after = self.sides
        with speaking(RECORD_LANGUAGE):
            return {
                "schema": COMPARISON_SCHEMA,
                "summary": self.sentence,
                "worse": self.worse,
                "ground": [each.to_json() for each in self.ground],
                "before": _side(before),
                "after": _side(after),
                "outcome_worse": self.outcome_worse,
                "totals": {"checks": _totals(self.checks), "requirements": _totals(self.requirements)},
                "checks": [each.to_json() for each in self.checks],
                "requirements": [each.to_json() for each in self.requirements],
            }


def compare(before: Material, after: Material) -> Comparison:
    """Compare two runs."""
    one, other = before.record, after.record
    titles = {each: entry["title"] for record in (one, other) for each, entry in planned(record).items()}
    texts = {each: entry["text"] for record in (one, other) for each, entry in record["requirements"].items()}
    return Comparison(
        sides=(before, after),
        checks=items_of(check_standings(one), check_standings(other), titles),
        requirements=items_of(requirement_standings(one), requirement_standings(other), texts),
    )


def items_of(before: Mapping[str, Standing], after: Mapping[str, Standing], texts: Mapping[str, str]) -> list[Item]:
    """Everything that stands on either side, in the catalogue's order."""
    ids = sorted(before.keys() | after.keys(), key=catalogue_order)
    return [Item(each, texts.get(each, ""), before.get(each), after.get(each)) for each in ids]


def summary_of(items: Sequence[Item]) -> str:
    """How often each kind of change stands there: `1 new fail, 2 fixed and 9 the same of 12 checks`."""
    totals = _totals(items)
    parts = [change_count(change, totals[change]) for change in Change if totals[change]]
    if not parts:
        return say("comparison.no_checks")
    return say("comparison.summary", parts=series(parts), checks=count(len(items), "check"))


def change_count(change: Change, number: int) -> str:
    """How often a kind of change stands there: `2 new fails`."""
    return say(f"change_count.{change}", number=number)


def _totals(items: Sequence[Item]) -> dict[str, int]:
    changes = [each.change for each in items]
    return {change.value: changes.count(change) for change in Change}


def _side(side: Material) -> dict[str, Any]:
    record = side.record
    subject = {name: record["subject"][name] for name in ("role", "name", "vendor", "version")}
    named = {name: record[name] for name in ("profile", "outcome", "finished", "totals")}
    return {"record": side.digest, "subject": subject, **named}
