"""The GitHub action: inputs never become part of a script, and its script does what `meshmark certify` does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workplace import COMMAND, Finished, Workplace

from conformance.model.yaml_source import parse_yaml

from .documents import REPOSITORY, code, document

ACTION: Any = parse_yaml((REPOSITORY / "action.yml").read_text("utf-8"), source="action.yml").value
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
CERTIFY = next(step for step in STEPS if step.get("id") == "certify")


def test_inputs_reach_the_scripts_by_the_environment_only() -> None:
    for step in STEPS:
        assert "${{" not in step["run"], step["name"]
    passed = [value for step in STEPS for value in step.get("env", {}).values()]
    assert sorted(passed) == sorted(f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"])


def test_every_input_is_documented_and_explained() -> None:
    documented = {code(row[0]) for row in document("README.md").table("In CI", "input")}
    assert documented == set(ACTION["inputs"])
    assert all(described["description"] for described in ACTION["inputs"].values())


def test_it_uses_no_other_action_and_uploads_nothing() -> None:
    assert all("uses" not in step for step in STEPS)
    assert not re.search(r"curl|wget|upload", "".join(step["run"] for step in STEPS))


@pytest.fixture
def runner(workplace: Workplace) -> Workplace:
    """A machine of a CI service on which the first step was done."""
    commands = workplace.folder / "runner" / "meshmark" / "bin"
    commands.mkdir(parents=True)
    (commands / "meshmark").symlink_to(COMMAND)
    workplace.environment |= {
        "RUNNER_TEMP": str(workplace.folder / "runner"),
        "GITHUB_OUTPUT": str(workplace.folder / "outputs"),
    }
    return workplace


def certify(runner: Workplace, **inputs: str) -> Finished:
    given = {name: described.get("default", "") for name, described in ACTION["inputs"].items()} | inputs
    values = {name: given[value.split()[1].removeprefix("inputs.")] for name, value in CERTIFY["env"].items()}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", CERTIFY["run"]],
        cwd=runner.folder,
        env={**runner.environment, **values, "PATH": f"{Path(sys.executable).parent}:{runner.environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def test_its_exit_code_and_output_are_the_outcome(runner: Workplace) -> None:
    finished = certify(runner, runfile=runner.run_file(), out="reports", only="ROUTE-001", seed="3", runtime="process")
    assert finished.code == 4, finished.said
    assert (runner.folder / "outputs").read_text("utf-8") == "outcome=incomplete\n"
    assert runner.record("reports")["seed"] == 3


def test_a_wrong_run_file_is_no_outcome_not_even_that_of_an_older_report(runner: Workplace) -> None:
    runner.write("meshmark-report/record.json", '{"outcome": "conformant"}')
    finished = certify(runner, runfile="missing.meshmark.yaml")
    assert finished.code == 2, finished.said
    assert not (runner.folder / "outputs").exists()


@pytest.mark.parametrize("input_name", ["runfile", "out", "only", "seed", "envoy", "runtime"])
def test_an_input_is_never_executed(runner: Workplace, input_name: str) -> None:
    evil = '$(touch executed)"; touch executed; `touch executed` #'
    inputs = {"runfile": "missing.meshmark.yaml", input_name: evil}
    finished = certify(runner, **inputs)
    assert finished.code == 2, finished.said
    assert not (runner.folder / "executed").exists()
