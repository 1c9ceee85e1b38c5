"""`report.html`: one page that needs nothing else, for people who decide and people who mend.

Invariants: no script, no request to anywhere; every check of the plan stands there once, under its id as anchor; what
failed, why and what to do about it is always told. A page stays below `LARGEST_PAGE` as far as texts allow: when the
checks are too many, those that passed are told shortly, the last ones first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from conformance.model.requirements import Area
from conformance.model.verdict import Outcome, Verdict
from conformance.report import wording
from conformance.report.findings import (
    NOT_JUDGED,
    RecordJson,
    applied_waivers,
    area_of,
    attention,
    by_area,
    mandatory,
    planned,
    with_verdict,
)
from conformance.report.language import DEFAULT_LANGUAGE, current, say
from conformance.report.material import Material
from conformance.report.templating import page_environment

__all__ = ["LARGEST_PAGE", "MOST_EVIDENCE", "SYMBOLS", "page_context", "render"]

BAR_WIDTH = 1000
SMALL_BAR_WIDTH = 300
MOST_EVIDENCE = 40

LARGEST_PAGE = 2_000_000
"""Bytes of a page that a phone still opens at once."""
FRAME = 120_000
"""Bytes of a page beside its checks and requirements, generously."""
PER_ENTRY = 1_000
"""Bytes that a check takes besides its body, generously: its heading, its place in tables."""

SYMBOLS = {
    Outcome.CONFORMANT: "pass",
    Outcome.CONFORMANT_WITH_WAIVERS: "pass",
    Outcome.NOT_CONFORMANT: "fail",
    Outcome.INCOMPLETE: "inconclusive",
}


def render(material: Material) -> bytes:
    """The record as one HTML page."""
    page = page_environment().get_template("report.html.j2")
    return page.render(page_context(material) | {"bodies": _bodies(material.record)}).encode()


def page_context(material: Material) -> dict[str, Any]:
    """What the templates show of a record, by the names that they use."""
    record = material.record
    outcome = Outcome(record["outcome"])
    results = record["results"]
    language = current()
    chosen = "" if language.code == DEFAULT_LANGUAGE else f" --language {language.code}"
    role = record["subject"]["role"]
    return {
        "record": record,
        "language": language,
        "digest": material.digest,
        "again": f"meshmark report render record.json --format html{chosen}",
        "outcome_word": wording.OUTCOME_WORDS[outcome],
        "outcome_symbol": SYMBOLS[outcome],
        "sentence": wording.outcome_sentence(record),
        "subject_name": wording.subject_name(record),
        "role": say(f"role.{role}") if f"role.{role}" in language.texts else role,
        "meaning": wording.meaning(record),
        "coverage": wording.coverage_sentence(record),
        "next_steps": wording.next_steps(record),
        "troubles": wording.run_troubles(record),
        "totals_sentence": wording.totals_sentence(record),
        "bar_parts": _bar(record["totals"], record["totals"]["planned"], BAR_WIDTH),
        "verdict_meanings": {verdict.value: text for verdict, text in wording.VERDICT_MEANINGS.items()},
        "level_meanings": {level.value: text for level, text in wording.LEVEL_MEANINGS.items()},
        "plan": planned(record),
        "attention": attention(record),
        "missing": with_verdict(mandatory(record), Verdict.NOT_RUN),
        "waived": applied_waivers(record),
        "areas": _areas(results),
        "not_run": with_verdict(results, Verdict.NOT_RUN),
        "not_applicable": with_verdict(results, Verdict.NOT_APPLICABLE),
        "requirements": _requirements(record),
    }


def _bodies(record: RecordJson) -> dict[str, Markup]:
    """What is told about each check that was judged, by its id: in full as long as there is room, what needs attention
    first."""
    parts: Any = page_environment().get_template("parts.html.j2").module
    plan, waived = planned(record), applied_waivers(record)
    needy = attention(record)
    judged = [*needy, *with_verdict(record["results"], Verdict.PASS)]
    short = {result["check"]: parts.brief(result, waived) for result in judged}
    listed = len(record["plan"]) + len(record["requirements"])
    room = LARGEST_PAGE - FRAME - PER_ENTRY * listed - sum(_size(body) for body in short.values())
    bodies = {}
    for result in judged:
        check = result["check"]
        bodies[check] = short[check]
        if room > 0:
            full = parts.full(result, plan[check], record, waived, MOST_EVIDENCE)
            room -= _size(full) - _size(short[check])
            if room > 0:
                bodies[check] = full
    return bodies


def _size(body: str) -> int:
    return len(body.encode())


def _areas(results: Sequence[RecordJson]) -> list[dict[str, Any]]:
    found = by_area(results)
    largest = max(map(len, found.values()), default=0)
    return [_area(area, each, largest) for area, each in found.items()]


def _area(area: str, results: list[RecordJson], largest: int) -> dict[str, Any]:
    numbers = {verdict.value: len(with_verdict(results, verdict)) for verdict in Verdict}
    present = {verdict: number for verdict, number in numbers.items() if number}
    return {
        "id": area,
        "title": wording.area_title(area),
        "numbers": present,
        "parts": say("series.between").join(
            say(f"verdict_count.{verdict}", number=number) for verdict, number in present.items()
        ),
        "bar": _bar(numbers, largest, SMALL_BAR_WIDTH),
        "judged": [result for result in results if result["verdict"] not in NOT_JUDGED],
        "unjudged": with_verdict(results, *NOT_JUDGED),
    }


def _bar(numbers: RecordJson, whole: int, full_width: int) -> list[dict[str, Any]]:
    """The parts of a bar, from left to right: where each begins and how wide it is; `whole` would fill it."""
    parts, before = [], 0
    for verdict in Verdict:
        number = numbers[verdict]
        if number:
            begin, end = (round(full_width * sum_ / whole) for sum_ in (before, before + number))
            parts.append({"verdict": verdict.value, "x": begin, "width": end - begin})
        before += number
    return parts


def _requirements(record: RecordJson) -> list[dict[str, Any]]:
    """Every requirement, in the catalogue's order, with the results of its checks."""
    proofs: dict[str, list[RecordJson]] = {}
    for result in record["results"]:
        for requirement in result["proves"]:
            proofs.setdefault(requirement, []).append(result)
    areas = [area.value for area in Area]

    def place(requirement: str) -> tuple[int, str, int]:
        area, number = area_of(requirement), re.sub(r"\D", "", requirement.partition("-")[2])
        return (areas.index(area) if area in areas else len(areas), area, int(number or 0))

    known = record["requirements"]
    return [{"id": each, **known[each], "results": proofs.get(each, ())} for each in sorted(known, key=place)]
