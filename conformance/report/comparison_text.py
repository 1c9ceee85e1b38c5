"""A comparison for a terminal: plain lines; what limits it first, then what got worse."""

from __future__ import annotations

from conformance.model.verdict import Outcome, Verdict
from conformance.report.comparison import OUTCOME_CLAUSES, Change, Comparison, Item, change_count
from conformance.report.language import say
from conformance.report.proof import UNCHECKED, Standing
from conformance.report.text import count, one_line
from conformance.report.wording import VERDICT_WORDS, subject_name, utc

__all__ = ["comparison_lines", "state_words"]

LONGEST_VALUE = 400


def comparison_lines(comparison: Comparison) -> list[str]:
    """The lines, without ends."""
    lines = [say("comparison.text_ground")]
    for each in comparison.ground:
        lines += [f"  {each.name}: {_value(each.before)} -> {_value(each.after)}", f"    {each.limits}"]
    if not comparison.ground:
        lines.append("  " + say("comparison.text_same_ground"))
    for name, record in (("A", comparison.before), ("B", comparison.after)):
        outcome = OUTCOME_CLAUSES[Outcome(record["outcome"])]
        lines.append(f"{name}: {_value(subject_name(record))}, {outcome}, {utc(record['finished'])}")
    if comparison.sides[0].digest == comparison.sides[1].digest:
        lines.append(say("comparison.text_same_record"))
    lines += ["", one_line(comparison.sentence), _worse(comparison)]
    titled = ((say("label.checks"), comparison.checks), (say("label.requirements"), comparison.requirements))
    for title, items in titled:
        for change in Change:
            found = [each for each in items if each.change is change]
            if found and change is not Change.SAME:
                lines += ["", f"{title}, {change_count(change, len(found))}:", *map(_line, found)]
        same = sum(1 for each in items if each.change is Change.SAME)
        lines += ["", f"{title}, {change_count(Change.SAME, same)}"]
    return lines


def state_words(standing: Standing | None) -> str:
    """Where it stands, in words: `Fail, waived`."""
    if standing is None:
        return say("standing.absent")
    if standing.waived:
        return say("verdict_word.waived")
    return say("standing.unchecked") if standing.state == UNCHECKED else VERDICT_WORDS[Verdict(standing.state)]


def _worse(comparison: Comparison) -> str:
    if not comparison.worse:
        return say("comparison.nothing_worse") + "."
    checks = sum(1 for each in comparison.checks if each.worse)
    requirements = sum(1 for each in comparison.requirements if each.worse)
    return say(
        "comparison.text_worse_outcome" if comparison.outcome_worse else "comparison.text_worse",
        checks=count(checks, "check"),
        requirements=count(requirements, "requirement"),
    )


def _line(item: Item) -> str:
    before, after = (f"{state_words(each)}{_aside(each)}" for each in (item.before, item.after))
    mark = "!" if item.worse else " "
    return f"{mark} {item.id}  {before} -> {after}  {_value(item.text)}"


def _aside(standing: Standing | None) -> str:
    parts = (standing.level, _value(standing.reason)) if standing else ()
    return f" ({', '.join(part for part in parts if part)})" if any(parts) else ""


def _value(text: str) -> str:
    return one_line(text, LONGEST_VALUE)
