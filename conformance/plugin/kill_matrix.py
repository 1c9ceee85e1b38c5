"""The kill matrix: every seeded fault against every check, and the clean reference against them all.

A fault is caught when each of its checks says what the fault declares, verdict and reason, and every other check
passes. Every reason that a check can give must be reached by some fault, or nobody knows whether it can.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonpatch

import conformance
from conformance.checks.catalogue import complete_catalogue
from conformance.faults import REFERENCE, REFERENCES, Fault, complete_faults
from conformance.model.catalogue_facts import catalogue_digest
from conformance.model.check import Catalogue
from conformance.model.errors import UsageError
from conformance.model.run_file import Bounds
from conformance.model.verdict import Verdict
from conformance.model.yaml_source import parse_yaml
from conformance.openapi.contract import Contract, load_contract
from conformance.plugin.loading import load_run
from conformance.plugin.options import RunOptions
from conformance.plugin.run import Run
from conformance.system.folders import bundled
from conformance.system.namespaces import why_unavailable

__all__ = [
    "CLEAN",
    "Observed",
    "Row",
    "choose_faults",
    "each_check_once",
    "matrix_json",
    "run_rows",
    "unreached_reasons",
]

CLEAN = "clean-reference"
CLEAN_ROWS = {CLEAN + name.removeprefix(REFERENCE): name for name in REFERENCES}
"""The clean rows, one for each run file of the reference."""
GENERATED_EXAMPLES = 3
"""Generated calls for each operation: enough for the seeded defects, which do not hide."""

TIMEOUTS = {"acknowledged": 5.0, "enforced": 3.0, "observed": 2.0, "request": 4.0, "generated_input": 60.0}
"""A fault that makes a condition never come true costs its whole time limit, once for each check that waits for it."""


BOUNDS = Bounds(revocation_s=3.0, propagation_s=3.0)
"""Generous enough for a busy machine, and less than the defects that must be noticed take."""


@dataclass(frozen=True)
class Observed:
    """What a check said that did not pass."""

    check: str
    verdict: Verdict
    reason: str
    seen: str = ""


@dataclass(frozen=True)
class Row:
    """One fault, or the clean reference, against all checks."""

    fault: str
    area: str
    defect: str
    expected: tuple[Observed, ...]
    observed: tuple[Observed, ...]
    trouble: str = ""
    skipped: str = ""
    """Why it was not run: this machine lacks what its topology needs."""

    @property
    def caught(self) -> bool:
        """All of its checks said what they should, and no other minded. A skipped row has caught nothing."""
        wanted = {(each.check, each.verdict, each.reason) for each in self.expected}
        found = {(each.check, each.verdict, each.reason) for each in self.observed}
        return wanted == found and not self.trouble and not self.skipped


def choose_faults(areas: Iterable[str] = (), ids: Iterable[str] = ()) -> list[str]:
    """The clean references that they need first, then the faults of these areas or with these ids; all by default.

    Raises:
        UsageError: there is no such area or fault.

    """
    faults = complete_faults()
    known_areas = {fault.area for fault in faults.values()}
    wanted_areas, wanted = {area.upper() for area in areas}, set(ids)
    if unknown := sorted((wanted_areas - known_areas) | (wanted - faults.keys())):
        raise UsageError(
            f"no fault and no area of faults is called {', '.join(unknown)}",
            next_step=f"areas: {', '.join(sorted(known_areas))}; `meshmark selftest --list` lists the faults",
        )
    everything = not wanted_areas and not wanted
    chosen = [each for each, fault in faults.items() if everything or fault.area in wanted_areas or each in wanted]
    needed = set(REFERENCES) if everything else {faults[each].on for each in chosen}
    return [*(row for row, name in CLEAN_ROWS.items() if name in needed), *chosen]


def each_check_once() -> list[str]:
    """The clean references, and few faults that together turn every check red at least once (a greedy cover).

    For a look at every change; the whole matrix is what proves a release.
    """
    faults = complete_faults()
    failing = {
        fault.id: {check for check, caught in fault.caught_by.items() if caught.verdict is Verdict.FAIL}
        for fault in faults.values()
    }
    left = {check.id for check in complete_catalogue().checks}
    chosen: list[str] = []
    while left and (best := max(failing, key=lambda fault: len(failing[fault] & left))) and failing[best] & left:
        chosen.append(best)
        left -= failing[best]
    return [*CLEAN_ROWS, *chosen]


def run_rows(ids: list[str], *, workers: int | None = None) -> Iterator[Row]:
    """Run rows on all cores; yields each when it is done, in no particular order.

    Args:
        ids: of the rows.
        workers: meshes at once. By default one more than there are cores: a row waits where its fault keeps a condition
            from coming true.

    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or (os.cpu_count() or 1) + 1, mp_context=context) as pool:
        pending = [pool.submit(run_row, each) for each in ids]
        try:
            for done in as_completed(pending):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_row(id: str) -> Row:  # noqa: A002 -- the word that everybody uses
    """Run one row in this process: a mesh with the fault, and all checks on it."""
    fault = None if id in CLEAN_ROWS else complete_faults()[id]
    options = RunOptions(runtime="process")
    loaded = load_run(bundled(f"fixtures/{fault.on if fault else CLEAN_ROWS[id]}.meshmark.yaml"), options)
    row = Row(
        fault=id,
        area=fault.area if fault else "",
        defect=fault.defect if fault else "Nothing is wrong: the reference as it is.",
        expected=_expected(fault),
        observed=(),
    )
    if loaded.run_file.separate_hosts and (why := why_unavailable()):
        return replace(row, skipped=f"no hosts of their own: {why}")
    budget = loaded.run_file.generated_input.model_copy(update={"examples": GENERATED_EXAMPLES})
    changes = {"generated_input": budget, "timeouts": TIMEOUTS, "bounds": BOUNDS}
    loaded = replace(loaded, run_file=loaded.run_file.model_copy(update=changes))
    if fault and fault.contract_patch:
        loaded = replace(loaded, contracts=(_patched(loaded.contracts[0], fault),))
    run = Run(loaded, options, [fault.modifier] if fault else [])
    try:
        results = [run.execute(entry) for entry in loaded.plan if entry.run]
    finally:
        run.close()
    observed = [Observed(each.check, each.verdict, each.reason, each.seen) for each in results]
    failed = tuple(each for each in observed if each.verdict is not Verdict.PASS)
    return replace(row, observed=failed, trouble=str(run.trouble or ""))


def _patched(contract: Contract, fault: Fault) -> Contract:
    document = parse_yaml(contract.path.read_text("utf-8"), source=contract.path.name, lenient=True).value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "contract.json")
        file.write_text(json.dumps(jsonpatch.apply_patch(document, fault.contract_patch)), "utf-8")
        return load_contract(file)


def _expected(fault: Fault | None) -> tuple[Observed, ...]:
    if fault is None:
        return ()
    return tuple(Observed(check, caught.verdict, caught.reason) for check, caught in fault.caught_by.items())


def unreached_reasons(catalogue: Catalogue, rows: Iterable[Row]) -> list[str]:
    """Reasons that a check declares and no fault has brought about, as `MTLS-001: wrong-reason`.

    About those of skipped rows nothing is known, so they are not named.
    """
    reached = {(each.check, each.reason) for row in rows for each in (row.expected if row.skipped else row.observed)}
    return [
        f"{check.id}: {reason}"
        for check in catalogue.checks
        for reason in (*check.fails, *check.inconclusive)
        if (check.id, reason) not in reached
    ]


def matrix_json(rows: Iterable[Row]) -> dict[str, Any]:
    """The published form: `reports/kill-matrix.json`."""
    return {
        "suite": {"name": "meshmark", "version": conformance.__version__},
        "catalogue_digest": catalogue_digest(complete_catalogue()),
        "faults": [
            {
                "id": row.fault,
                "area": row.area,
                "defect": row.defect,
                "expected": [
                    {"check": each.check, "verdict": each.verdict.value, "reason": each.reason} for each in row.expected
                ],
                "observed": [
                    {"check": each.check, "verdict": each.verdict.value, "reason": each.reason} for each in row.observed
                ],
                "caught": row.caught,
            }
            | ({"skipped": row.skipped} if row.skipped else {})
            for row in sorted(rows, key=lambda row: (row.area, row.fault))
        ],
    }
