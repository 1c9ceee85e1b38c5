"""No format shows anything but a pass as a pass, and the table on it says what the formats really do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import applied_waivers
from conformance.report.formats import FORMATS
from conformance.report.mapping import CASES, MAPPING, WAIVED, mapping_table
from conformance.report.material import Material
from tests.docs.documents import document

from . import records
from .readers import EXCUSED, READERS, Shown, without_reader
from .test_properties import run_records

NO_VERDICTS = {"bundle", *EXCUSED.keys() - {"pdf"}}
OF_REQUIREMENTS = {"oscal-results", "svr"}
"""Formats that show a pass by the requirements that are proven, and name no check as passed."""
FORMS = {"govstack-form", "govstack-form-levels"}
"""Formats that show checks, and of the requirements those that GovStack asks for."""
PRESENT = [name for name in FORMATS if name not in EXCUSED]


def shown_by(name: str, record: RunRecord) -> Shown:
    return READERS[name](FORMATS[name].render(Material(record.to_json())))


def test_every_format_has_a_reader_or_is_excused_with_a_reason() -> None:
    assert without_reader(FORMATS) == []
    assert all(EXCUSED.values())


def test_a_format_without_a_reader_is_found() -> None:
    assert without_reader([*FORMATS, "new"]) == ["new"]


@pytest.mark.parametrize("name", PRESENT)
@settings(deadline=None, max_examples=60)
@given(record=run_records())
def test_no_format_shows_anything_but_a_pass_as_a_pass(name: str, record: RunRecord) -> None:
    shown = shown_by(name, record)
    passes = {result.check for result in record.results if result.verdict is Verdict.PASS}
    asked = {each.id for each in record.requirements if any("govstack" in source.id for source in each.sources)}
    assert shown.passed == (set() if name in OF_REQUIREMENTS else passes)
    if name in OF_REQUIREMENTS:
        assert shown.requirements == proven(record)
    elif name in FORMS:
        assert shown.requirements == proven(record) & asked
    if shown.conformant:
        assert record.outcome in (Outcome.CONFORMANT, Outcome.CONFORMANT_WITH_WAIVERS)


def proven(record: RunRecord) -> set[str]:
    """Requirements with at least one pass and nothing that is open or failed."""
    verdicts: dict[str, set[Verdict]] = {}
    for result in record.results:
        for requirement in result.proves:
            verdicts.setdefault(requirement, set()).add(result.verdict)
    return {each for each, found in verdicts.items() if found - {Verdict.NOT_APPLICABLE} == {Verdict.PASS}}


@pytest.mark.parametrize("name", [name for name in PRESENT if name != "bundle"])
def test_the_table_has_the_words_that_a_format_uses(name: str) -> None:
    record = records.not_conformant().to_json()
    waived = applied_waivers(record)
    shown = READERS[name](FORMATS[name].render(Material(record)))
    cases = {
        result["check"]: WAIVED if result["check"] in waived else result["verdict"] for result in record["results"]
    }
    assert set(cases.values()) == set(CASES)
    assert shown.words.keys() | shown.requirements
    for check, word in shown.words.items():
        cell = MAPPING[name][cases[check]]
        words = re.findall("`([^`]+)`", cell) or [cell]
        assert word == words[0], (check, cell)


def test_every_format_of_verdicts_stands_in_the_table_with_every_verdict() -> None:
    assert set(FORMATS) - NO_VERDICTS <= MAPPING.keys()
    assert all(tuple(cells) == CASES and all(cells.values()) for cells in MAPPING.values())


def test_the_table_is_markdown_with_as_many_cells_in_every_row() -> None:
    rows = mapping_table().splitlines()[1:-1]
    assert len(rows) == len(MAPPING) + 2
    assert {row.count("|") for row in rows} == {len(CASES) + 2}


def test_the_readme_has_the_table_as_it_is() -> None:
    assert mapping_table() in document("README.md").text
