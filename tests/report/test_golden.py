"""What every format looks like, kept as files.

After a change that was meant: `MESHMARK_WRITE_GOLDEN=1 pytest tests/report`, then read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.model.record import RunRecord
from conformance.report.formats import FORMATS, write_reports
from conformance.report.material import Material
from conformance.report.record_file import read_record, render_record
from conformance.report.summary import summarize

from . import records

GOLDEN = Path(__file__).parent / "golden"
RECORDS = {
    "conformant": records.conformant,
    "not-conformant": records.not_conformant,
    "interrupted": records.interrupted,
}


def compare(path: Path, content: bytes) -> None:
    if os.environ.get("MESHMARK_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert content.decode() == path.read_text(encoding="utf-8")


BINARY = {"bundle", "pdf"}
"""A bundle is made of the others; a PDF depends on the fonts of the machine."""


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in BINARY])
@pytest.mark.parametrize("name", RECORDS)
def test_every_format_of_every_record_is_as_it_was(name: str, form: str) -> None:
    rendered = FORMATS[form].render(Material(RECORDS[name]().to_json()))
    compare(GOLDEN / name / FORMATS[form].file_name, rendered)


@pytest.mark.parametrize("name", RECORDS)
def test_the_summary_of_every_record_is_as_it_was(name: str) -> None:
    lines = summarize(RECORDS[name]().to_json(), [Path("reports/report.html")])
    compare(GOLDEN / name / "summary.txt", ("\n".join(lines) + "\n").encode())


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_a_record_read_back_from_disk_renders_the_same(make: Callable[[], RunRecord], tmp_path: Path) -> None:
    fresh = make().to_json()
    read = read_record(write_reports(Material(fresh), tmp_path, ["json"])["json"])
    assert render_record(read) == render_record(fresh)
    # Not every machine has what PDF needs; it has tests of its own.
    for form in (each for name, each in FORMATS.items() if name != "pdf"):
        assert form.render(Material(read)) == form.render(Material(fresh))
    assert summarize(read) == summarize(fresh)
