"""How long the commands take, from the shell's point of view."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.checks.catalogue import complete_catalogue
from conformance.system.folders import bundled
from tests.bench.measuring import compare, taking_turns

__all__ = ["certifying", "self_test"]

MESHMARK = Path(sys.executable).with_name("meshmark")
RUN_FILE = bundled("fixtures/birth-registry.meshmark.yaml")
ONE_CHECK = "MTLS-001"
GENERATED_INPUT = "API-003"
"""How long it takes is a matter of its budget."""


def certifying() -> None:
    """The whole profile and one check alone, beside the imports that nothing of the kind can do without."""
    everything = ",".join(check.id for check in complete_catalogue().checks if check.id != GENERATED_INPUT)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = ["--runtime", "process", "--out", folder]
        compare(
            taking_turns(
                10,
                importing_grpc_httpx_and_pytest=lambda: _run(sys.executable, "-c", "import grpc, httpx, pytest"),
                one_check=lambda: _run(MESHMARK, "certify", RUN_FILE, "--only", ONE_CHECK, *out, incomplete=True),
                all_checks_but_generated_input=lambda: _run(
                    MESHMARK, "certify", RUN_FILE, "--only", everything, *out, incomplete=True
                ),
                the_same_on_two_meshes=lambda: _run(
                    MESHMARK, "certify", RUN_FILE, "--only", everything, "--workers", "2", *out, incomplete=True
                ),
            )
        )


def self_test() -> None:
    """The faults of one area, one after the other and two at a time."""
    command: list[str | Path] = [MESHMARK, "selftest", "--area", "mtls", "--workers"]
    compare(taking_turns(2, two_workers=lambda: _run(*command, "2"), one_worker=lambda: _run(*command, "1")))


def _run(*command: str | Path, incomplete: bool = False) -> None:
    """Run a command to its end, which must be a good one; with `--only`, incomplete is good."""
    finished = subprocess.run(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if finished.returncode != (4 if incomplete else 0):
        sys.exit(f"{command} ended with {finished.returncode}\n{finished.stdout}")
