"""`summary.md`: the run for a merge request, a CI summary or a chat, in the Markdown that code hosts render (GFM).

Invariants: every text from outside stands in a code span on one line, where no host finds HTML, links, tables, mentions
or references to issues; everything else is said in the chosen language; the file stays below `LARGEST_SUMMARY` whatever
the record holds, and says what it left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from conformance.model.record import WaiverState
from conformance.model.requirements import Level
from conformance.model.verdict import Outcome, Verdict
from conformance.report import wording
from conformance.report.findings import (
    RecordJson,
    applied_waivers,
    attention,
    by_area,
    by_reason,
    planned,
    with_verdict,
)
from conformance.report.language import day, digits, say
from conformance.report.material import Material
from conformance.report.text import count, cut, one_line, paragraphs

__all__ = ["LARGEST_SUMMARY", "code", "render"]

LARGEST_SUMMARY = 60_000
"""Bytes. Code hosts refuse comments of more than 65,536 characters."""
LONGEST_VALUE = 400
LONGEST_TROUBLE = 1_000
LONGEST_NAME = 120
LONGEST_NOTE = 40
"""Characters in which `cut` says how many it left out."""
MOST_IDS = 20
ROOM = {"attention": 22_000, "waivers": 6_000, "not run": 4_000, "checks": 10_000}
"""Bytes for each part that grows with the record; what is around them needs less than the rest."""

SUBJECT, PROFILE = "\ue000", "\ue001"
"""Stand for a name while a sentence about it is made."""


def render(material: Material) -> bytes:
    """The record as one page of Markdown."""
    record = material.record
    parts = [
        f"**{wording.OUTCOME_WORDS[Outcome(record['outcome'])]}.** {_spoken(wording.outcome_sentence, record)}",
        wording.meaning(record),
        _totals(record),
        _spoken(wording.coverage_sentence, record),
        _attention(record),
        _waivers(record),
        _not_run(record),
        _troubles(record),
        _section("heading.next", [f"{n}. {step}" for n, step in enumerate(wording.next_steps(record), 1)]),
        _every_check(record),
        _about(material),
    ]
    return ("\n\n".join(filter(None, parts)) + "\n").encode()


def code(text: str, longest: int = LONGEST_VALUE) -> str:
    """Any text as a code span that nothing in it can end: its fence is longer than every run of backticks inside."""
    # Again, because a character that is no fit one is named in several.
    clean = cut(one_line(text, longest), longest + LONGEST_NOTE) or say("markdown.empty")
    fence = "`" * (1 + max(map(len, re.findall("`+", clean)), default=0))
    edge = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{edge}{clean}{edge}{fence}"


def _spoken(sentence: Callable[[RecordJson], str], record: RecordJson) -> str:
    """A sentence about the subject and its profile, with both names as code."""
    subject = {**record["subject"], "name": SUBJECT, "version": "", "vendor": ""}
    said = sentence({**record, "subject": subject, "profile": PROFILE})
    return said.replace(SUBJECT, code(wording.subject_name(record), LONGEST_NAME)).replace(
        PROFILE, code(record["profile"], LONGEST_NAME)
    )


def _totals(record: RecordJson) -> str:
    levels = list(Level)
    rows = [[say("label.verdict"), *levels, say("markdown.all")], ["---", *["---:"] * (len(levels) + 1)]]
    for verdict in Verdict:
        found = with_verdict(record["results"], verdict)
        numbers = [sum(1 for result in found if result["level"] == level) for level in levels]
        rows.append([wording.VERDICT_WORDS[verdict], *map(digits, [*numbers, len(found)])])
    totals = record["totals"]
    plan = say("markdown.plan", checks=count(totals["planned"], "check"), fails=count(totals["waived"], "fail"))
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows]) + f"\n\n{plan}"


def _attention(record: RecordJson) -> str:
    waived, plan = applied_waivers(record), planned(record)
    found = [_about_check(record, result, plan, waived) for result in attention(record)]
    return _section("markdown.attention", _fitting(found, ROOM["attention"], "markdown.more_checks"), "\n\n")


def _about_check(
    record: RecordJson, result: RecordJson, plan: dict[str, RecordJson], waived: dict[str, RecordJson]
) -> str:
    place = result["place"]
    facts = {
        "check.why": paragraphs(plan[result["check"]]["description"])[0],
        "label.expected": result["expected"],
        "label.seen": result["seen"],
        "label.reason": result["reason"],
        "markdown.next_step": result["next_step"],
        "markdown.look_first": f"{place['path']}:{place['line']}:{place['column']}" if place else "",
        "markdown.reproduce": result["reproduce"],
    }
    required = [
        f"{each}: {record['requirements'][each]['text']} ({', '.join(record['requirements'][each]['sources'])})"
        for each in result["proves"]
        if each in record["requirements"]
    ]
    lines = [f"#### {_judged(result, waived)}", "", code(result["title"]), ""]
    lines += [f"- {say(name)}: {code(text)}" for name, text in facts.items() if text]
    return "\n".join(lines + [f"- {say('label.requirement')}: {code(text)}" for text in required[:5]])


def _judged(result: RecordJson, waived: Mapping[str, RecordJson]) -> str:
    """A verdict and what it is about: `Fail, waived: MTLS-001 (MUST)`."""
    covered = result["check"] in waived
    word = say("verdict_word.waived") if covered else wording.VERDICT_WORDS[Verdict(result["verdict"])]
    return f"{word}: {result['check']} ({result['level']})"


def _waivers(record: RecordJson) -> str:
    lines = [f"- {_about_waiver(waiver)}" for waiver in record["waivers"]]
    return _section("heading.waivers", _fitting(lines, ROOM["waivers"], "markdown.more_waivers"))


def _about_waiver(waiver: RecordJson) -> str:
    signature = waiver["signature"]
    named = signature and {**signature, "name": code(signature["name"], LONGEST_NAME)}
    return say(
        "markdown.waiver",
        check=waiver["check"],
        state=wording.WAIVER_WORDS[WaiverState(waiver["state"])],
        owner=code(waiver["owner"]),
        signed=wording.signed_by(named),
        day=day(waiver["expires"]),
        reason=code(waiver["reason"]),
    )


def _not_run(record: RecordJson) -> str:
    reasons = by_reason(with_verdict(record["results"], Verdict.NOT_RUN))
    lines = [f"- {count(len(checks), 'check')} ({_ids(checks)}): {code(why)}" for why, checks in reasons.items()]
    return _section("heading.not_run", _fitting(lines, ROOM["not run"], "markdown.more_reasons"))


def _troubles(record: RecordJson) -> str:
    lines = ["- " + say("markdown.interrupted")] if record["interrupted"] else []
    if record["trouble"]:
        lines.append(f"- {code(record['trouble'], LONGEST_TROUBLE)}")
    return _section("markdown.run", lines)


def _every_check(record: RecordJson) -> str:
    waived = applied_waivers(record)
    lines = [
        f"- {_judged(result, waived)} {code(result['title'], 100)}"
        for results in by_area(record["results"]).values()
        for result in results
    ]
    kept = _fitting(lines, ROOM["checks"], "markdown.more_checks")
    return _folded(say("markdown.every_check", total=len(lines)), kept) if lines else ""


def _about(material: Material) -> str:
    record, environment = material.record, material.record["environment"]
    facts = {
        "label.record_digest": material.digest,
        "label.suite": f"{record['suite']['name']} {record['suite']['version']}",
        "label.profile": record["profile"],
        "label.run_file": record["run_file"],
        "label.topology": record["topology"],
        "label.envoy": environment["envoy_version"],
        "label.runtime": environment["runtime"],
        "label.seed": str(record["seed"]),
        "label.started": wording.utc(record["started"]),
        "label.finished": wording.utc(record["finished"]),
    }
    lines = [f"- {say(name)}: {code(text, LONGEST_NAME)}" for name, text in facts.items() if text]
    return _folded(say("markdown.about"), lines)


def _section(title: str, entries: Sequence[str], between: str = "\n") -> str:
    """A heading, by its key, and what stands below it; nothing when there is nothing to say."""
    return f"### {say(title)}\n\n{between.join(entries)}" if entries else ""


def _fitting(entries: Sequence[str], room: int, more: str) -> list[str]:
    """The first entries that together need no more than `room` bytes; `more` is the text that counts those left out."""
    for number, entry in enumerate(entries):
        room -= len(entry.encode()) + 2
        if room < 0:
            return [*entries[:number], f"- {say(more, number=len(entries) - number)}"]
    return list(entries)


def _folded(summary: str, lines: Sequence[str]) -> str:
    # The blank lines make code hosts read Markdown between the tags.
    return "\n".join(["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"])


def _ids(checks: Sequence[str]) -> str:
    more = [say("more.checks", number=len(checks) - MOST_IDS)] if len(checks) > MOST_IDS else []
    return ", ".join([*checks[:MOST_IDS], *more])
