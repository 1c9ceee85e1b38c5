"""The same subject gets the same verdicts, also on a machine that has no time: every round is one whole run.

`MESHMARK_STABILITY_ROUNDS` says how many rounds there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml
from workplace import FIXTURES, Workplace, results

ROUNDS = int(os.environ.get("MESHMARK_STABILITY_ROUNDS", "3"))
GENERATED_FOR = "GET /v1/persons/{personId}"
"""Generated input costs most of a run's time, and one operation more proves no more about stability."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def busy_cores() -> Iterator[None]:
    """One process for each core that does nothing but burn it."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def run_file(workplace: Workplace) -> str:
    """A copy of the bundled one, with little generated input."""
    content = yaml.safe_load((FIXTURES / "citizen-id.meshmark.yaml").read_text("utf-8"))
    contract = yaml.safe_load((FIXTURES.parent / "specs/contracts/citizen-id.yaml").read_text("utf-8"))
    methods = ("get", "put", "post", "delete", "patch", "head")
    operations = [
        f"{method.upper()} {path}" for path, item in contract["paths"].items() for method in methods if method in item
    ]
    assert GENERATED_FOR in operations
    content["generated_input"] = {"examples": 1, "skip": [each for each in operations if each != GENERATED_FOR]}
    workplace.write("citizen-id.meshmark.yaml", yaml.safe_dump(content))
    return "citizen-id.meshmark.yaml"


@pytest.mark.usefixtures("busy_cores")
@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_all_checks_pass_while_every_core_is_busy(workplace: Workplace, number: int) -> None:
    process = workplace.start("certify", run_file(workplace))
    out, err = process.communicate()
    found = results(workplace.record())
    others = {check: each for check, each in found.items() if each["verdict"] not in {"pass", "not-applicable"}}
    assert not others, f"round {number}: {others}"
    assert process.returncode == 0, out + err
    assert workplace.left() == []
