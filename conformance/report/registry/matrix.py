"""The matrix of building blocks and requirements: cells by symbol and words, columns by area.

Invariants: cells are made of a fixed set of words and classes, so nothing from a bundle stands in them; a cell says
pass only where the standing is a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from markupsafe import Markup

from conformance.model.requirements import Area
from conformance.model.verdict import Verdict
from conformance.report.findings import area_of
from conformance.report.proof import UNCHECKED, Standing
from conformance.report.wording import AREA_TITLES, VERDICT_WORDS

__all__ = ["LEGEND", "WORDS", "area_title", "cell", "cells", "column_groups"]

WORDS = {verdict.value: word for verdict, word in VERDICT_WORDS.items()} | {
    "waived": "Fail, waived",
    UNCHECKED: "Not checked",
    "absent": "Not named",
}
"""By look. What each means stands in the legend."""

LEGEND = {
    Verdict.PASS.value: "Every check of it that applies passed.",
    Verdict.FAIL.value: "A check of it failed.",
    "waived": "Every failed check of it is covered by a waiver that holds today. A fail stays a fail.",
    Verdict.INCONCLUSIVE.value: "A check of it could not judge: nothing was learned.",
    Verdict.ERROR.value: "A check of it ran into an error of the suite or its environment: nothing was learned.",
    Verdict.NOT_RUN.value: "A check of it was not run: nothing was learned.",
    Verdict.NOT_APPLICABLE.value: "The profile does not ask for it, or the subject does not declare the feature.",
    UNCHECKED: "No check of that suite proves it.",
    "absent": "The record does not name it: it belongs to another catalogue.",
}


def cell(standing: Standing | None) -> Markup:
    """One cell."""
    look = "absent" if standing is None else "waived" if standing.waived else standing.state
    return Markup(f'<td class="m-{look}">{WORDS[look]}</td>')  # noqa: S704 -- of our own words only


def cells(standings: Iterable[Standing | None]) -> Markup:
    """Cells side by side."""
    return Markup("").join(cell(each) for each in standings)


def area_title(area: str) -> str:
    """What an area is called; those that others added have their id only."""
    return AREA_TITLES[Area(area)] if area in list(Area) else area


def column_groups(requirements: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Areas in order: id, title, and the requirements of each."""
    return [(area, area_title(area), list(found)) for area, found in groupby(requirements, key=area_of)]
