"""`report.html`: one page that needs nothing else, for people who decide and people who mend.

Invariants: no script, no request to anywhere; every value is escaped, cut and made visible on its way into the page
(`finalize` sees each of them); every check of the plan stands there once, under its id as anchor.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conformance.model.record import WaiverState
from conformance.model.requirements import Area
from conformance.model.verdict import Outcome, Verdict
from conformance.report import wording
from conformance.report.evidence import blocks
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
from conformance.report.material import Material
from conformance.report.text import cut, paragraphs, visible

__all__ = ["SYMBOLS", "environment", "render"]

BAR_WIDTH = 1000
MOST_EVIDENCE = 40

SYMBOLS = {
    Outcome.CONFORMANT: "pass",
    Outcome.CONFORMANT_WITH_WAIVERS: "pass",
    Outcome.NOT_CONFORMANT: "fail",
    Outcome.INCOMPLETE: "inconclusive",
}


def render(material: Material) -> bytes:
    """The record as one HTML page."""
    page = environment().get_template("report.html.j2").render(_context(material))
    return page.encode()


@cache
def environment() -> Environment:
    """What every page is made with: whatever a template shows is escaped, cut and made visible."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "blocks": blocks,
        "cut": cut,
        "digits": lambda number: f"{number:,}",
        "paragraphs": paragraphs,
        "seconds": wording.seconds,
        "utc": wording.utc,
        "verdict_word": lambda verdict: wording.VERDICT_WORDS[Verdict(verdict)],
        "waiver_sentence": wording.waiver_sentence,
        "waiver_word": lambda state: wording.WAIVER_WORDS[WaiverState(state)],
    }
    return environment


def _fit(value: object) -> object:
    """Whatever the templates show. What they made themselves is fit already."""
    return visible(cut(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _context(material: Material) -> dict[str, Any]:
    record = material.record
    outcome = Outcome(record["outcome"])
    results = record["results"]
    return {
        "record": record,
        "digest": material.digest,
        "outcome_word": wording.OUTCOME_WORDS[outcome],
        "outcome_symbol": SYMBOLS[outcome],
        "sentence": wording.outcome_sentence(record),
        "subject_name": wording.subject_name(record),
        "meaning": wording.meaning(record),
        "coverage": wording.coverage_sentence(record),
        "next_steps": wording.next_steps(record),
        "troubles": wording.run_troubles(record),
        "totals_sentence": wording.totals_sentence(record),
        "bar": _bar(record["totals"]),
        "verdict_meanings": {verdict.value: text for verdict, text in wording.VERDICT_MEANINGS.items()},
        "level_meanings": {level.value: text for level, text in wording.LEVEL_MEANINGS.items()},
        "plan": planned(record),
        "attention": attention(record),
        "missing": with_verdict(mandatory(record), Verdict.NOT_RUN),
        "waived": applied_waivers(record),
        "areas": [_area(area, found) for area, found in by_area(results).items()],
        "not_run": with_verdict(results, Verdict.NOT_RUN),
        "not_applicable": with_verdict(results, Verdict.NOT_APPLICABLE),
        "requirements": _requirements(record),
        "most_evidence": MOST_EVIDENCE,
    }


def _area(area: str, results: list[RecordJson]) -> dict[str, Any]:
    title = wording.AREA_TITLES[Area(area)] if area in list(Area) else area
    numbers = {verdict.value: len(with_verdict(results, verdict)) for verdict in Verdict}
    return {
        "id": area,
        "title": title,
        "numbers": {verdict: number for verdict, number in numbers.items() if number},
        "judged": [result for result in results if result["verdict"] not in NOT_JUDGED],
        "unjudged": with_verdict(results, *NOT_JUDGED),
    }


def _bar(totals: RecordJson) -> list[dict[str, Any]]:
    """The parts of the bar, from left to right: where each begins and how wide it is, of `BAR_WIDTH`."""
    parts, before = [], 0
    for verdict in Verdict:
        number = totals[verdict]
        if number:
            begin, end = (round(BAR_WIDTH * sum_ / totals["planned"]) for sum_ in (before, before + number))
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
