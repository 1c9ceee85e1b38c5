"""The short summary for a terminal: plain lines, worst things first, without colour and without escape sequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conformance.model.verdict import Verdict
from conformance.report.findings import RecordJson, applied_waivers, attention, by_reason, with_verdict
from conformance.report.language import say
from conformance.report.text import count, cut, one_line, visible
from conformance.report.wording import (
    VERDICT_WORDS,
    coverage_sentence,
    next_steps,
    outcome_sentence,
    run_troubles,
    totals_sentence,
    waiver_sentence,
)

__all__ = ["summarize"]

LONGEST_VALUE = 400
MOST_IDS = 8


def summarize(record: RecordJson, reports: Sequence[Path] = ()) -> list[str]:
    """The lines of the summary.

    Args:
        record: as `RunRecord.to_json` gives it.
        reports: the files that were written, to be named at the end.

    """
    waived = applied_waivers(record)
    lines = [one_line(outcome_sentence(record)), totals_sentence(record), coverage_sentence(record)]
    for result in attention(record):
        lines += ["", *_about(result, waived.get(result["check"]))]
    if left := by_reason(with_verdict(record["results"], Verdict.NOT_RUN)):
        lines += ["", say("summary.not_run")]
        lines += [f"  {count(len(checks), 'check')} ({_ids(checks)}): {_value(why)}" for why, checks in left.items()]
    if troubles := run_troubles(record):
        # Whole: the last words of what did not start are what helps.
        lines += [
            "",
            say("summary.run"),
            *(f"  {line}" for trouble in troubles for line in visible(cut(trouble)).expandtabs().split("\n")),
        ]
    lines += ["", say("summary.next_steps"), *(f"  {_value(step)}" for step in next_steps(record))]
    if reports:
        lines += ["", say("summary.reports"), *(f"  {visible(str(path))}" for path in reports)]
    return lines


def _about(result: RecordJson, waiver: RecordJson | None) -> list[str]:
    word = VERDICT_WORDS[Verdict(result["verdict"])].upper()
    texts = {
        "waiver": waiver_sentence(waiver) if waiver else "",
        "expected": result["expected"],
        "seen": result["seen"],
        "reason": result["reason"],
        "next": result["next_step"],
        "reproduce": result["reproduce"],
    }
    facts = {say(f"summary.{name}"): text for name, text in texts.items()}
    width = max(map(len, facts))
    verdict = say("summary.waived", verdict=word) if waiver else word
    head = f"{verdict}  {result['check']} ({result['level']}) {_value(result['title'])}"
    return [head, *(f"  {name:<{width}}  {_value(text)}" for name, text in facts.items() if text)]


def _ids(checks: Sequence[str]) -> str:
    more = [say("more.checks", number=len(checks) - MOST_IDS)] if len(checks) > MOST_IDS else []
    return ", ".join([*checks[:MOST_IDS], *more])


def _value(text: str) -> str:
    return one_line(text, LONGEST_VALUE)
