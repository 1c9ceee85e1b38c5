"""What each verdict becomes in each format, as data: the one table on it, in the README and for tests.

Invariants: every format of verdicts stands here; where a cell begins with a code span, that is the standard's own word,
which tests find in what is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from conformance.model.verdict import Verdict

__all__ = ["CASES", "MAPPING", "MARK", "WAIVED", "Cells", "mapping_table"]

WAIVED = "fail, waived"
"""A fail that a waiver covers: a fail stays a fail, and the waiver stands beside it."""
CASES = (*(verdict.value for verdict in Verdict), WAIVED)
MARK = "<!-- verdict mapping -->"
"""Stands before and after the table in the README."""

Cells: TypeAlias = Mapping[str, str]


def _cells(
    passed: str, failed: str, inconclusive: str, error: str, not_applicable: str, not_run: str, waived: str
) -> Cells:
    return dict(zip(CASES, (passed, failed, inconclusive, error, not_applicable, not_run, waived), strict=True))


_PAGE = _cells("`Pass`", "`Fail`", "`Inconclusive`", "`Error`", "`Not applicable`", "`Not run`", "`Fail, waived`")
_FORM = _cells(
    "`1` if nothing else about the requirement is open or failed",
    "`0`",
    "`-1`, named as open",
    "`-1`, named as open",
    "does not count; `-1` if nothing else proves the requirement",
    "`-1`, named as open",
    "`0`, with the waiver in the comment",
)

MAPPING: Mapping[str, Cells] = {
    "json": _cells(
        "`pass`",
        "`fail`",
        "`inconclusive`",
        "`error`",
        "`not-applicable`",
        "`not-run`",
        "`fail`, and an applied waiver",
    ),
    "html": _PAGE,
    "pdf": _PAGE,
    "markdown": _PAGE,
    "junit": _cells(
        "no child element",
        "`failure`",
        "`error` of type `inconclusive`",
        "`error` of type `error`",
        "`skipped`, with the reason",
        "`skipped`, with the reason",
        "`skipped`, with the waiver",
    ),
    "oscal-results": _cells(
        "`satisfied` if nothing else about the requirement is open or failed",
        "`not-satisfied`, and a risk",
        "an observation, no finding",
        "an observation, no finding",
        "an observation",
        "an observation, no finding",
        "`not-satisfied`, and a risk with status `deviation-approved`",
    ),
    "test-result": _cells(
        "`passedTests`",
        "`failedTests`",
        "`failedTests`",
        "`failedTests`",
        "in none of the lists",
        "in none of the lists",
        "`warnedTests`",
    ),
    "svr": _cells(
        "the requirement is a property if nothing else about it is open or failed",
        "no property",
        "no property",
        "no property",
        "does not count",
        "no property",
        "no property",
    ),
    "ctrf": _cells(
        "`passed`",
        "`failed`",
        "`other`",
        "`other`",
        "`skipped`",
        "`pending`",
        "`other`, with the waiver under `extra`",
    ),
    "sarif": _cells(
        "no result",
        "`fail`, a result",
        "`notification` about the rule",
        "`notification` about the rule",
        "`enabled: false` for the rule",
        "`notification` about the rule, which has `enabled: false`",
        "`fail`, a result with a suppression",
    ),
    "cucumber": _cells(
        "`PASSED`, both steps",
        "`FAILED`, the step Then",
        "`FAILED`, the step Given, of type `meshmark.inconclusive`; Then is skipped",
        "`FAILED`, the step Given, of type `meshmark.error`; Then is skipped",
        "a pickle without a test case",
        "a pickle without a test case",
        "`FAILED`, the step Then, tagged `@waived`",
    ),
    "govstack-form": _FORM,
    "govstack-form-levels": _FORM,
    "gateway-api": _cells(
        "`Passed`",
        "`Failed`",
        "`Skipped`, and named as inconclusive",
        "`Skipped`, and named as error",
        "not counted, but named",
        "`Skipped`, and named as not run",
        "`Failed`, and named as waived",
    ),
}
"""By the name of the format."""


def mapping_table() -> str:
    """The table in Markdown, between its marks."""
    rows = [["format", *(f"`{case}`" if case != WAIVED else case for case in CASES)], ["---"] * (len(CASES) + 1)]
    rows += [[f"`{name}`", *(cells[case] for case in CASES)] for name, cells in MAPPING.items()]
    return "\n".join([MARK, *("| " + " | ".join(row) + " |" for row in rows), MARK])
