"""The matrix of building blocks and requirements: cells by symbol and words, columns by area.

Invariants: cells are made of a fixed set of words and classes, so nothing from a bundle stands in them; a cell says
pass only where the standing is a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from markupsafe import Markup

from conformance.model.verdict import Verdict
from conformance.report.findings import area_of
from conformance.report.language import say
from conformance.report.proof import UNCHECKED, Standing
from conformance.report.wording import area_title

__all__ = ["cells", "column_groups", "legend"]

LOOKS = (
    Verdict.PASS.value,
    Verdict.FAIL.value,
    "waived",
    Verdict.INCONCLUSIVE.value,
    Verdict.ERROR.value,
    Verdict.NOT_RUN.value,
    Verdict.NOT_APPLICABLE.value,
    UNCHECKED,
    "absent",
)
"""All that a cell may look like; a class of the style sheet, a word and a meaning each."""


def legend() -> list[tuple[str, str, str]]:
    """Every look, its word and its meaning."""
    return [(look, say(f"cell.{look}"), say(f"cell_meaning.{look}")) for look in LOOKS]


def cells(standings: Iterable[Standing | None]) -> Markup:
    """Cells side by side."""
    made: dict[str, Markup] = {}
    return Markup("").join(_cell(_look(each), made) for each in standings)


def _look(standing: Standing | None) -> str:
    return "absent" if standing is None else "waived" if standing.waived else standing.state


def _cell(look: str, made: dict[str, Markup]) -> Markup:
    # A matrix has as many cells as a registry has subjects and requirements, and few that differ.
    if look not in made:
        made[look] = Markup('<td class="m-{}">{}</td>').format(look, say(f"cell.{look}"))
    return made[look]


def column_groups(requirements: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Areas in order: id, title, and the requirements of each."""
    return [(area, area_title(area), list(found)) for area, found in groupby(requirements, key=area_of)]
