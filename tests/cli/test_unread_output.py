"""Who stops reading, as `| head` does, does not change how a command ends."""

from __future__ import annotations

import subprocess

import pytest
from workplace import COMMAND, Workplace, results


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_run_goes_on_to_its_record_and_its_exit_code(unbuffered: str, workplace: Workplace):
    asked = ("certify", workplace.run_file(), "--only", "API-001,ROUTE-001")
    process = workplace.start(*asked, PYTHONUNBUFFERED=unbuffered)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("meshmark: things")
    process.stdout.close()
    assert process.wait(timeout=60) == 4
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    found = results(workplace.record())
    assert {found[check]["verdict"] for check in ("API-001", "ROUTE-001")} == {"pass"}
    assert workplace.left() == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "code"), [(("catalogue",), 0), (("catalogue", "--format", "json"), 0), (("certify", "nothing"), 2)]
)
def test_every_command_keeps_its_exit_code(
    arguments: tuple[str, ...], code: int, unbuffered: str, workplace: Workplace
):
    process = workplace.start(*arguments, PYTHONUNBUFFERED=unbuffered)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=60) == code


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_what_was_closed_from_the_start_does_not_matter(closed: str):
    assert subprocess.run(["sh", "-c", f"'{COMMAND}' --version {closed}"], timeout=60, check=False).returncode == 0
