"""How long a registry of many bundles takes: from nothing, again, and after one more bundle."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from unittest import mock

import click

from conformance.model.record import RunRecord
from conformance.model.requirements import Area, Level
from conformance.model.verdict import Verdict
from conformance.report import bundle
from conformance.report.registry.build import Built, build_registry
from tests.report import records
from tests.report.registries import bundle_of, renamed

__all__ = ["registry_of_many"]

SUBJECTS, RUNS, CHECKS_OF_AN_AREA = 125, 4, 13
TODAY = date(2026, 11, 10)


def registry_of_many() -> None:
    """500 bundles of 125 subjects, with 169 checks and requirements each."""
    with tempfile.TemporaryDirectory() as name:
        folder, site = Path(name) / "bundles", Path(name) / "site"
        folder.mkdir()
        with mock.patch.object(bundle, "REPORTS_INSIDE", ()):  # nobody reads them here, and they take long to make
            for subject in range(SUBJECTS):
                for run in range(RUNS):
                    (folder / f"{subject}-{run}.meshmark.zip").write_bytes(bundle_of(_record(subject, run)))
        with _said(f"{SUBJECTS * RUNS} bundles, from nothing"):
            built = _build(folder, site)
        size = sum(each.stat().st_size for each in site.rglob("*") if each.is_file())
        click.echo(
            f"  {built.files:,} files, {size / 1e6:,.0f} MB, index {(site / 'index.html').stat().st_size:,} bytes"
        )
        with _said("again, with nothing new"):
            _build(folder, site)
        (folder / "more.meshmark.zip").write_bytes(bundle_of(_record(0, RUNS)))
        with _said("after one more bundle"):
            built = _build(folder, site)
        click.echo(f"  {built.made:,} files made anew")


def _build(folder: Path, site: Path) -> Built:
    return build_registry(folder, site, title="Many", today=TODAY)


def _record(subject: int, run: int) -> RunRecord:
    """One that differs from the others in a few verdicts."""
    plan = tuple(
        records.entry(f"{area}-{number:03d}", f"Check {number} of {area}", [f"{area}-R{number}"], Level.MUST)
        for area in Area
        for number in range(1, CHECKS_OF_AN_AREA + 1)
    )
    results = tuple(
        records.judged(
            each,
            Verdict.FAIL if (place + subject + run) % 61 == 0 else Verdict.PASS,
            reason="wrong" if (place + subject + run) % 61 == 0 else "",
            evidence=(records.KNOWN_CALLER, records.COUNTERS),
        )
        for place, each in enumerate(plan)
    )
    made = renamed(records.record(plan, results), f"block-{subject:03d}", version=f"1.{run}")
    return replace(made, finished=f"2026-11-0{run + 1}T10:00:00.000Z")


@contextmanager
def _said(what: str) -> Iterator[None]:
    begun, worked = time.perf_counter(), _processor_time()
    yield
    took, needed = time.perf_counter() - begun, _processor_time() - worked
    click.echo(f"  {what:<44} {took:8.2f} s, {needed:.2f} s of processor time")


def _processor_time() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])
