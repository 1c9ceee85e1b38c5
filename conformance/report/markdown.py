"""`summary.md`: the run for a merge request, a CI summary or a chat, in the Markdown that code hosts render (GFM).

Invariants: every text from outside stands in a code span on one line, where no host finds HTML, links, tables, mentions
or references to issues; the file stays below `LARGEST_SUMMARY` whatever the record holds, and says what it left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
ROOM = {"attention": 22_000, "waivers": 6_000, "not run": 4_000, "run": 5_000, "checks": 10_000}
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
        *_attention(record),
        *_waivers(record),
        *_not_run(record),
        *_troubles(record),
        "\n".join(
            ["### What to do next", "", *(f"{n}. {step}" for n, step in enumerate(wording.next_steps(record), 1))]
        ),
        *_every_check(record),
        _about(material),
    ]
    return ("\n\n".join(parts) + "\n").encode()


def code(text: str, longest: int = LONGEST_VALUE) -> str:
    """Any text as a code span that nothing in it can end: its fence is longer than every run of backticks inside."""
    # Again, because a character that is no fit one is named in several.
    clean = cut(one_line(text, longest), longest + LONGEST_NOTE) or "(empty)"
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
    rows = [["Verdict", *levels, "all"], ["---", *["---:"] * (len(levels) + 1)]]
    for verdict in Verdict:
        found = with_verdict(record["results"], verdict)
        numbers = [sum(1 for result in found if result["level"] == level) for level in levels]
        rows.append([wording.VERDICT_WORDS[verdict], *(f"{number:,}" for number in [*numbers, len(found)])])
    totals = record["totals"]
    notes = f"{count(totals['planned'], 'check')} in the plan; {count(totals['waived'], 'fail')} waived."
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows]) + f"\n\n{notes}"


def _attention(record: RecordJson) -> list[str]:
    waived, plan = applied_waivers(record), planned(record)
    found = [_about_check(record, result, plan, waived) for result in attention(record)]
    return _section("What failed or gave no proof", found, ROOM["attention"], "check", "\n\n")


def _about_check(
    record: RecordJson, result: RecordJson, plan: dict[str, RecordJson], waived: dict[str, RecordJson]
) -> str:
    check = result["check"]
    word = wording.VERDICT_WORDS[Verdict(result["verdict"])] + (", waived" if check in waived else "")
    place = result["place"]
    facts = {
        "Why it matters": paragraphs(plan[check]["description"])[0],
        "Expected": result["expected"],
        "Seen": result["seen"],
        "Reason": result["reason"],
        "Next step": result["next_step"],
        "Look first": f"{place['path']}:{place['line']}:{place['column']}" if place else "",
        "Reproduce": result["reproduce"],
    }
    required = [
        f"{each}: {record['requirements'][each]['text']} ({', '.join(record['requirements'][each]['sources'])})"
        for each in result["proves"]
        if each in record["requirements"]
    ]
    lines = [f"#### {word}: {check} ({result['level']})", "", code(result["title"]), ""]
    lines += [f"- {name}: {code(text)}" for name, text in facts.items() if text]
    return "\n".join(lines + [f"- Requirement: {code(text)}" for text in required[:5]])


def _waivers(record: RecordJson) -> list[str]:
    lines = [
        f"- {waiver['check']}: {wording.WAIVER_WORDS[WaiverState(waiver['state'])]}; "
        f"owner {code(waiver['owner'])}, until {waiver['expires']}, reason {code(waiver['reason'])}"
        for waiver in record["waivers"]
    ]
    return _section("Waivers", lines, ROOM["waivers"], "waiver")


def _not_run(record: RecordJson) -> list[str]:
    reasons = by_reason(with_verdict(record["results"], Verdict.NOT_RUN))
    lines = [f"- {count(len(checks), 'check')} ({_ids(checks)}): {code(why)}" for why, checks in reasons.items()]
    return _section("Not run", lines, ROOM["not run"], "reason")


def _troubles(record: RecordJson) -> list[str]:
    lines = ["- The run was interrupted before its end."] if record["interrupted"] else []
    if record["trouble"]:
        lines.append(f"- {code(record['trouble'], LONGEST_TROUBLE)}")
    return _section("The run", lines, ROOM["run"], "trouble")


def _every_check(record: RecordJson) -> list[str]:
    waived = applied_waivers(record)
    lines = [
        f"- {wording.VERDICT_WORDS[Verdict(result['verdict'])]}{', waived' if result['check'] in waived else ''}: "
        f"{result['check']} ({result['level']}) {code(result['title'], 100)}"
        for results in by_area(record["results"]).values()
        for result in results
    ]
    kept = _fitting(lines, ROOM["checks"], "check")
    return [_folded(f"Every check ({len(lines):,})", kept)] if lines else []


def _about(material: Material) -> str:
    record, environment = material.record, material.record["environment"]
    facts = {
        "Record (SHA-256)": material.digest,
        "Suite": f"{record['suite']['name']} {record['suite']['version']}",
        "Profile": record["profile"],
        "Run file": record["run_file"],
        "Topology": record["topology"],
        "Envoy": environment["envoy_version"],
        "Runtime": environment["runtime"],
        "Seed": str(record["seed"]),
        "Started": wording.utc(record["started"]),
        "Finished": wording.utc(record["finished"]),
    }
    return _folded("About this run", [f"- {name}: {code(text, LONGEST_NAME)}" for name, text in facts.items() if text])


def _section(title: str, entries: Sequence[str], room: int, noun: str, between: str = "\n") -> list[str]:
    """A heading and what fits below it; nothing when there is nothing to say."""
    return [f"### {title}\n\n{between.join(_fitting(entries, room, noun))}"] if entries else []


def _fitting(entries: Sequence[str], room: int, noun: str) -> list[str]:
    """The first entries that together need no more than `room` bytes, and how many were left out."""
    for number, entry in enumerate(entries):
        room -= len(entry.encode()) + 2
        if room < 0:
            left = count(len(entries) - number, f"more {noun}")
            return [*entries[:number], f"- … {left} left out here; report.html and record.json have them"]
    return list(entries)


def _folded(summary: str, lines: Sequence[str]) -> str:
    # The blank lines make code hosts read Markdown between the tags.
    return "\n".join(["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"])


def _ids(checks: Sequence[str]) -> str:
    more = [f"{len(checks) - MOST_IDS:,} more"] if len(checks) > MOST_IDS else []
    return ", ".join([*checks[:MOST_IDS], *more])
