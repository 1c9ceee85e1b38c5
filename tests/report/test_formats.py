"""Reports are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from conformance.model.errors import EnvironmentFault, SuiteFault, UsageError
from conformance.report.formats import DEFAULT_FORMATS, FORMATS, ensure_writable, write_reports
from conformance.report.material import Material
from conformance.report.summary import summarize

from . import records

RECORD = Material(records.not_conformant().to_json())


def test_the_formats_asked_for_are_written_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    written = write_reports(RECORD, folder, ["junit", "json", "html", "json"])
    assert written == {name: folder / FORMATS[name].file_name for name in DEFAULT_FORMATS}
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "record.json", "report.html"]


def test_others_may_read_a_report_as_the_machine_allows(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    (path,) = write_reports(RECORD, tmp_path, ["json"]).values()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_an_unknown_format_is_refused_with_the_valid_ones_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no report format is called 'docx'") as caught:
        write_reports(RECORD, tmp_path / "out", ["json", "docx"])
    assert caught.value.next_step == f"choose from {', '.join(FORMATS)}"
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot be written") as caught:
        write_reports(RECORD, tmp_path / "file", ["json"])
    assert caught.value.where == str(tmp_path / "file" / "record.json")
    assert "--out" in caught.value.next_step


def test_a_folder_is_tried_before_a_run_and_left_as_it_was(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot be written") as caught:
        ensure_writable(tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file")


def test_a_file_that_cannot_be_replaced_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "report.html" / "in the way").mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        write_reports(RECORD, tmp_path, DEFAULT_FORMATS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record.json", "report.html"]


def test_an_older_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (path,) = write_reports(RECORD, tmp_path, ["json"]).values()
    before = path.read_bytes()
    with pytest.raises(SuiteFault):
        write_reports(Material({**RECORD.record, "seed": float("nan")}), tmp_path, ["json"])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]


def test_the_summary_names_where_the_reports_are(tmp_path: Path) -> None:
    assert summarize(RECORD.record, [tmp_path / "report.html"])[-2:] == ["Reports:", f"  {tmp_path / 'report.html'}"]


def test_the_summary_says_what_to_mend_first() -> None:
    assert f"  next       {records.ANONYMOUS.check.remedy}" in summarize(RECORD.record)


def test_checks_that_were_not_run_are_grouped_by_their_reason() -> None:
    lines = summarize(records.interrupted().to_json())
    assert "  3 checks (POLICY-001, AUTHZ-001, API-001): the run was interrupted by Ctrl-C" in lines
