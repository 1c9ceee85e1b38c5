"""`meshmark report render` speaks the language that it is told to, and makes the same page again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli.report import command
from conformance.model.errors import ExitCode
from conformance.report.formats import write_reports
from conformance.report.language import languages, speaking
from conformance.report.material import Material

from . import records


@pytest.mark.parametrize("code", languages())
def test_a_page_is_made_anew_byte_by_byte(code: str, tmp_path: Path) -> None:
    material = Material(records.not_conformant().to_json())
    with speaking(code):
        first = write_reports(material, tmp_path / "first", ["json", "html"])
    again = tmp_path / "again"
    called = ["render", str(first["json"]), "--format", "html", "--language", code, "--out", str(again)]
    done = CliRunner().invoke(command, called, standalone_mode=False)
    assert (done.exception, done.return_value) == (None, ExitCode.CONFORMANT)
    assert (again / "report.html").read_bytes() == first["html"].read_bytes()


def test_a_language_that_is_not_there_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    first = write_reports(Material(records.conformant().to_json()), tmp_path, ["json"])
    done = CliRunner().invoke(command, ["render", str(first["json"]), "--language", "xx", "--out", str(tmp_path / "x")])
    assert done.exit_code == ExitCode.USAGE
    assert "'en', 'de'" in done.output
    assert not (tmp_path / "x").exists()
