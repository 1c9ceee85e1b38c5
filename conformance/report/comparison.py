"""Two records of a subject, before and after: what is new, fixed, same, gone or changed.

Invariants: only a fail that became a pass is fixed; a check that is gone, was not run, was inconclusive or ran into an
error proves nothing and is never fixed. Whatever got worse is counted as worse under every kind of change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import RecordJson, planned
from conformance.report.ground import Difference, ground_differences
from conformance.report.material import Material
from conformance.report.proof import Standing, catalogue_order, check_standings, requirement_standings
from conformance.report.text import count, series
from conformance.report.wording import OUTCOME_WORDS, subject_name

__all__ = ["CHANGE_WORDS", "COMPARISON_SCHEMA", "Change", "Comparison", "Item", "compare", "items_of", "summary_of"]

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


CHANGE_WORDS = {
    Change.NEW_FAIL: "New fail",
    Change.LOST_PASS: "Lost pass",
    Change.GONE: "Gone",
    Change.CHANGED: "Changed",
    Change.FIXED: "Fixed",
    Change.ADDED: "Added",
    Change.SAME: "Same",
}
COUNTED = {
    Change.NEW_FAIL: ("new fail", "new fails"),
    Change.LOST_PASS: ("lost pass", "lost passes"),
    Change.GONE: ("gone", "gone"),
    Change.CHANGED: ("changed", "changed"),
    Change.FIXED: ("fixed", "fixed"),
    Change.ADDED: ("added", "added"),
    Change.SAME: ("the same", "the same"),
}


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

    before: RecordJson
    after: RecordJson
    before_digest: str
    after_digest: str
    ground: Sequence[Difference]
    checks: Sequence[Item]
    requirements: Sequence[Item]

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
        before, after = (OUTCOME_WORDS[Outcome(each["outcome"])].lower() for each in (self.before, self.after))
        outcome = f"still {after}" if before == after else f"{before} before, {after} now"
        return f"{subject_name(self.after)}: {outcome}; {summary_of(self.checks)}."

    def to_json(self) -> dict[str, Any]:
        """Its documented shape."""
        return {
            "schema": COMPARISON_SCHEMA,
            "summary": self.sentence,
            "worse": self.worse,
            "ground": [each.to_json() for each in self.ground],
            "before": _side(self.before, self.before_digest),
            "after": _side(self.after, self.after_digest),
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
        before=one,
        after=other,
        before_digest=before.digest,
        after_digest=after.digest,
        ground=ground_differences(before, after),
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
    parts = [count(totals[change], *COUNTED[change]) for change in Change if totals[change]]
    return f"{series(parts)} of {count(len(items), 'check')}" if parts else "no checks on either side"


def _totals(items: Sequence[Item]) -> dict[str, int]:
    changes = [each.change for each in items]
    return {change.value: changes.count(change) for change in Change}


def _side(record: RecordJson, digest: str) -> dict[str, Any]:
    subject = {name: record["subject"][name] for name in ("role", "name", "vendor", "version")}
    named = {name: record[name] for name in ("profile", "outcome", "finished", "totals")}
    return {"record": digest, "subject": subject, **named}
