"""A comparison for a terminal: plain lines; what limits it first, then what got worse."""

from __future__ import annotations

from conformance.model.verdict import Verdict
from conformance.report.comparison import CHANGE_WORDS, Change, Comparison, Item
from conformance.report.proof import UNCHECKED, Standing
from conformance.report.text import count, one_line
from conformance.report.wording import VERDICT_WORDS, subject_name, utc

__all__ = ["comparison_lines", "state_words"]

LONGEST_VALUE = 400


def comparison_lines(comparison: Comparison) -> list[str]:
    """The lines, without ends."""
    lines = ["Ground:"]
    for each in comparison.ground:
        lines += [f"  {each.what}: {_value(each.before)} -> {_value(each.after)}", f"    {each.limits}"]
    if not comparison.ground:
        lines.append("  the same suite, catalogue, profile, contracts, Envoy and waivers on both sides")
    for name, record in (("A", comparison.before), ("B", comparison.after)):
        lines.append(f"{name}: {_value(subject_name(record))}, {record['outcome']}, {utc(record['finished'])}")
    if comparison.before_digest == comparison.after_digest:
        lines.append("A and B are the same record.")
    lines += ["", one_line(comparison.sentence), _worse(comparison)]
    for title, items in (("Checks", comparison.checks), ("Requirements", comparison.requirements)):
        for change in Change:
            found = [each for each in items if each.change is change]
            if found and change is not Change.SAME:
                lines += ["", f"{title}, {CHANGE_WORDS[change].lower()}:", *map(_line, found)]
        same = sum(1 for each in items if each.change is Change.SAME)
        lines += ["", f"{title}, same: {same:,}"]
    return lines


def state_words(standing: Standing | None) -> str:
    """Where it stands, in words: `Fail, waived`."""
    if standing is None:
        return "Not there"
    word = "Not checked" if standing.state == UNCHECKED else VERDICT_WORDS[Verdict(standing.state)]
    return f"{word}, waived" if standing.waived else word


def _worse(comparison: Comparison) -> str:
    if not comparison.worse:
        return "Nothing got worse."
    checks = sum(1 for each in comparison.checks if each.worse)
    requirements = sum(1 for each in comparison.requirements if each.worse)
    outcome = "; the outcome got worse" if comparison.outcome_worse else ""
    return f"Worse: {count(checks, 'check')}, {count(requirements, 'requirement')}{outcome}."


def _line(item: Item) -> str:
    before, after = (f"{state_words(each)}{_aside(each)}" for each in (item.before, item.after))
    mark = "!" if item.worse else " "
    return f"{mark} {item.id}  {before} -> {after}  {_value(item.text)}"


def _aside(standing: Standing | None) -> str:
    parts = (standing.level, _value(standing.reason)) if standing else ()
    return f" ({', '.join(part for part in parts if part)})" if any(parts) else ""


def _value(text: str) -> str:
    return one_line(text, LONGEST_VALUE)
