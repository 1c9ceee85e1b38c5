"""The examples are run as a reader would run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from workplace import REPOSITORY, Workplace, results

from .documents import block, blocks

BUILDING_BLOCK = REPOSITORY / "fixtures" / "building_blocks" / "citizen_id.py"
CHECK = "MTLS-901"
FAULT = "mtls-identity-header-kept"

WITH_FAULT = f"""\
import sys
from pathlib import Path

import example_faults
from conformance.faults import complete_faults
from conformance.plugin.loading import load_run
from conformance.plugin.options import RunOptions
from conformance.plugin.run import Run

if __name__ == "__main__":
    options = RunOptions(runtime="process", only=frozenset(["{CHECK}"]))
    run = Run(load_run(Path(sys.argv[1]), options), options, [complete_faults()["{FAULT}"].modifier])
    try:
        (result,) = [run.execute(entry) for entry in run.loaded.plan if entry.run]
    finally:
        run.close()
    print(result.verdict.value, result.reason)
"""


@pytest.fixture
def example(workplace: Workplace) -> Workplace:
    """The example check, installed as a distribution of its own would be, and its fault."""
    for name in ("example_checks.py", "example_faults.py"):
        workplace.write(name, block(name).text)
    (toml,) = blocks("toml")
    entry_points = toml.text.replace('project.entry-points."meshmark.checks"', "meshmark.checks").replace('"', "")
    workplace.write("example-1.0.dist-info/entry_points.txt", entry_points)
    workplace.write("example-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    workplace.environment["PYTHONPATH"] = str(workplace.folder)
    return workplace


def test_the_example_check_is_found_by_its_entry_point_and_passes(example: Workplace) -> None:
    finished = example.meshmark("certify", example.run_file(), "--only", CHECK)
    assert finished.code == 4, finished.said
    result = results(example.record())[CHECK]
    assert result["verdict"] == "pass", result
    assert len(result["evidence"]) == 3


def test_the_example_fault_is_caught_by_the_example_check(example: Workplace) -> None:
    example.write("with_fault.py", WITH_FAULT)
    finished = subprocess.run(
        [sys.executable, "with_fault.py", example.run_file()],
        cwd=example.folder,
        env=example.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert finished.stdout.split() == ["fail", "forgery-forwarded"]
    assert example.left() == []


def test_the_example_fault_names_what_catches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[SimpleNamespace] = []

    def seed(identifier: str, **declared: object) -> None:
        seeded.append(SimpleNamespace(id=identifier, **declared))

    monkeypatch.setattr("conformance.faults.seeding.seed", seed)
    exec(compile(block("example_faults.py").text, "example_faults.py", "exec"), {})  # noqa: S102 -- our own text
    (fault,) = seeded
    assert fault.id == FAULT
    assert fault.caught_by == {CHECK: "forgery-forwarded"}


def test_the_example_of_an_own_test_passes(workplace: Workplace) -> None:
    workplace.write("test_births.py", block("test_births.py").text)
    run_file = workplace.citizen_id()
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "test_births.py", "--meshmark-run-file", run_file, "-p", "no:cacheprovider"],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert workplace.left() == []


def test_the_first_run_of_the_readme_ends_conformant(workplace: Workplace) -> None:
    contract = (REPOSITORY / "specs" / "contracts" / "citizen-id.yaml").read_text("utf-8")
    workplace.write("openapi.yaml", contract)
    initialized = workplace.meshmark("init", "openapi.yaml")
    assert initialized.code == 0, initialized.said
    name = "citizen-id.meshmark.yaml"
    with subprocess.Popen(
        [sys.executable, str(BUILDING_BLOCK), "--port", "0", "--database", str(workplace.folder / "citizen-id.db")],
        stdout=subprocess.PIPE,
        text=True,
    ) as building_block:
        try:
            assert building_block.stdout is not None
            address = building_block.stdout.readline().split()[-1]
            written = (workplace.folder / name).read_text("utf-8")
            edited = written.replace("CHANGE ME", "Example Ltd").replace("http://127.0.0.1:8080", address)
            assert edited.count(address) == 1
            # The budget of generated calls is tested elsewhere; here it would only take time.
            workplace.write(name, edited + "\ngenerated_input: {examples: 1}\n")
            looked = workplace.meshmark("doctor", name)
            assert looked.code == 0, looked.said
            judged = workplace.meshmark("certify", name)
            assert judged.code == 0, judged.said
        finally:
            building_block.terminate()
    assert (
        json.loads(Path(workplace.folder, "meshmark-report", "record.json").read_text("utf-8"))["outcome"]
        == "conformant"
    )
