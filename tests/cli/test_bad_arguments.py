"""The command line itself: wrong options end with exit code 2, and an unusable folder before anything is started."""

from __future__ import annotations

import pytest
from workplace import Workplace


def test_an_unknown_check_is_refused(workplace: Workplace, refusal):
    said = refusal("certify", workplace.run_file(), "--only", "MTLS-001, MTLS-999,NONE-001")
    assert said.startswith("--only names checks that do not exist: MTLS-999, NONE-001")
    assert "`meshmark catalogue` lists all checks" in said


@pytest.mark.parametrize("given", ["", ",", " "])
def test_a_selection_of_nothing_is_refused(given, workplace: Workplace, refusal):
    assert refusal("certify", workplace.run_file(), "--only", given).startswith("--only names no check")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "docx"], "Invalid value for '--format': 'docx' is not one of"),
        (["--runtime", "magic"], "Invalid value for '--runtime': 'magic' is not one of"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range"),
        (["--seed", "one"], "Invalid value for '--seed': 'one' is not a valid integer"),
        (["--outt", "x"], "No such option"),
        (["more.meshmark.yaml"], "Got unexpected extra argument (more.meshmark.yaml)"),
    ],
)
def test_an_option_that_cannot_be_is_refused(arguments, said, workplace: Workplace):
    finished = workplace.meshmark("certify", workplace.run_file(), *arguments)
    assert finished.code == 2
    assert "Usage: meshmark certify [OPTIONS] RUNFILE" in finished.err
    assert said in finished.err
    assert not (workplace.folder / "meshmark-report").exists()


@pytest.mark.parametrize(("arguments", "said"), [(["certifi"], "No such command"), (["certify"], "Missing argument")])
def test_a_command_that_is_incomplete_is_refused(arguments, said, workplace: Workplace):
    finished = workplace.meshmark(*arguments)
    assert finished.code == 2
    assert said in finished.err


@pytest.mark.parametrize("out", ["taken", "taken/below"])
def test_a_report_folder_that_cannot_be_is_refused_before_anything_is_started(out, workplace: Workplace, refusal):
    workplace.write("taken", "a file")
    said = refusal("certify", workplace.run_file(), "--out", out, code=3)
    assert said.startswith(f"{out}: reports cannot be written: ")
    assert (workplace.folder / "taken").read_text() == "a file"
