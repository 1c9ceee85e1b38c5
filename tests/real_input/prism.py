"""A building block that nobody here wrote: Prism serves the GovStack consent contract, and meshmark certifies it.

`python -m tests.real_input.prism DIR` installs Prism into DIR, certifies it there, and compares all verdicts with those
expected and explained in `expected_of_prism.yaml`. Exit code 1 for any difference, an unexpected pass included.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

PACKAGE = "@stoplight/prism-cli"
VERSION = "5.16.0"
REPOSITORY = Path(__file__).resolve().parents[2]
CONTRACTS = Path(os.environ.get("MESHMARK_GOVSTACK_SPECS", REPOSITORY.parent / "shared/govstack/specs"))
CONTRACT = CONTRACTS / "bb-consent/consent-openapi.yaml"
EXPECTED = Path(__file__).with_name("expected_of_prism.yaml")
COMPLETED = (0, 1, 4)
"""Exit codes of a run that came to its end: conformant, not conformant, incomplete."""


def main(folder: Path) -> int:
    """Install, certify, compare; print the outcome check by check."""
    if missing := obstacle():
        click.echo(f"skipped: {missing}")
        return 1 if os.environ.get("MESHMARK_REQUIRE_REAL_INPUT") == "1" else 0
    program = install(folder)
    record = certify(folder, program)
    expected = yaml.safe_load(EXPECTED.read_text("utf-8"))
    differences = [line for result in record["results"] if (line := difference(result, expected))]
    differences += [f"{check} is expected and not in the plan" for check in expected.keys() - _checks(record)]
    for result in record["results"]:
        click.echo(f"{result['verdict']:<14} {result['check']:<11} {result['title']}")
        if result["check"] in expected and not difference(result, expected):
            click.echo(f"{'':14} {result['reason']}: {result['seen']}")
            click.echo(f"{'':14} explained: {expected[result['check']]['why']}")
    for line in differences:
        click.echo(f"not as expected: {line}")
    click.echo(f"{len(record['results'])} checks, {len(expected)} explained findings, {len(differences)} differences")
    return 1 if differences else 0


def obstacle() -> str:
    """What is missing here; empty if nothing is."""
    if not CONTRACT.is_file():
        return f"{CONTRACT} is not there; set MESHMARK_GOVSTACK_SPECS to the folder of the GovStack contracts"
    if shutil.which("npm") is None:
        return "npm is not installed"
    return ""


def install(folder: Path) -> Path:
    """Install Prism into a folder; gives its program. Scripts of packages are not run."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact"]
    subprocess.run(["npm", "install", *options, f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
    return folder / "node_modules/.bin/prism"


def certify(folder: Path, program: Path) -> dict[str, Any]:
    """Certify Prism; gives the record."""
    run_file = folder / "consent.meshmark.yaml"
    run_file.write_text(json.dumps(run_file_of(program), indent=1), "utf-8")
    command = [Path(sys.executable).with_name("meshmark"), "certify", run_file, "--out", folder / "report"]
    finished = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if finished.returncode not in COMPLETED:
        sys.exit(f"meshmark certify ended with {finished.returncode}\n{finished.stdout}")
    record: dict[str, Any] = json.loads((folder / "report/record.json").read_text("utf-8"))
    return record


def run_file_of(program: Path) -> dict[str, Any]:
    """The run file: few random requests, and time for all that the contract's borders bring forth."""
    contract = str(CONTRACT.resolve())
    return {
        "subject": {
            "name": "consent",
            "vendor": "Stoplight",
            "version": VERSION,
            "contracts": [contract],
            "command": [str(program.resolve()), "mock", "--host", "127.0.0.1", "--port", "{port}", contract],
            "ready": "/config/policies/",
        },
        "profile": "mesh",
        "features": ["bearer-tokens", "failover"],
        "generated_input": {"examples": 5},
        "timeouts": {"subject_ready": 60, "request": 5, "generated_input": 600, "check": 700},
    }


def difference(result: Mapping[str, Any], expected: Mapping[str, Mapping[str, str]]) -> str:
    """How a result differs from what is expected; empty if it does not."""
    check, verdict, reason, seen = (result[key] for key in ("check", "verdict", "reason", "seen"))
    wanted = expected.get(check)
    if wanted is None:
        # What needs hosts of their own, or another topology, does not apply here.
        return (
            ""
            if verdict in {"pass", "not-applicable"}
            else f"{check}: pass was expected, seen {verdict} ({reason}): {seen}"
        )
    if (verdict, reason) != (wanted["verdict"], wanted["reason"]):
        return f"{check}: {wanted['verdict']} ({wanted['reason']}) was expected, seen {verdict} ({reason}): {seen}"
    if wanted["shows"] not in seen:
        return f"{check}: {verdict} for another cause than `{wanted['shows']}`: {seen}"
    return ""


def _checks(record: Mapping[str, Any]) -> set[str]:
    return {result["check"] for result in record["results"]}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
