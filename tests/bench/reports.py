"""How long it takes to write every report of a large run, and how large they are."""

from __future__ import annotations

from dataclasses import replace

import click

from conformance.model.requirements import Area, Level
from conformance.model.verdict import Verdict
from conformance.report.formats import FORMATS
from conformance.report.material import Material
from tests.bench.measuring import Series
from tests.report import records

__all__ = ["large_record", "reports"]

RESULTS = 1_000
ROUNDS = 5


def large_record(results: int = RESULTS) -> records.RunRecord:
    """A run of many checks in every area, one in eight failed, each with the evidence that checks usually keep."""
    areas = list(Area)
    plan = tuple(
        records.entry(
            f"{areas[number % len(areas)]}-{number // len(areas):03d}",
            records.ANONYMOUS.check.title,
            [f"{areas[number % len(areas)]}-R{number % 5 + 1}"],
            Level.MUST,
        )
        for number in range(results)
    )
    failed = records.not_conformant().results[0]
    passed = records.conformant().results[0]
    evidence = (records.KNOWN_CALLER, records.ANONYMOUS_CALLER, records.COUNTERS, records.LOG)
    return records.record(
        plan,
        tuple(
            replace(
                failed if number % 8 == 0 else passed,
                check=entry.check.id,
                proves=entry.check.proves,
                verdict=Verdict.FAIL if number % 8 == 0 else Verdict.PASS,
                evidence=evidence,
            )
            for number, entry in enumerate(plan)
        ),
    )


def reports() -> None:
    """Every format of 1,000 results, one after the other as `report render` writes them."""
    record = large_record().to_json()
    sizes: dict[str, int] = {}
    for form in FORMATS.values():
        form.render  # noqa: B018 -- imported before the clock runs
    found = {name: Series(name) for name in ("its name", *FORMATS, "all")}
    for _ in range(ROUNDS):
        material = Material(record)
        with found["all"].measured():
            with found["its name"].measured():
                material.digest  # noqa: B018 -- every format shows it, and it is made once
            for name, form in FORMATS.items():
                with found[name].measured():
                    sizes[name] = len(form.of(material))
    for series in found.values():
        size = f"{sizes[series.name]:>12,} bytes" if series.name in sizes else ""
        click.echo(f"  {series.name:<22} {series.median:6.2f} s {size}")
