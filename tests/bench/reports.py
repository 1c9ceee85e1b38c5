"""How long it takes to write every report of a large run, and how large they are."""

from __future__ import annotations

from dataclasses import replace

import click

from conformance.model.requirements import Area, Level
from conformance.model.verdict import Verdict
from conformance.report.formats import FORMATS
from conformance.report.material import Material
from tests.bench.measuring import taking_turns
from tests.report import records

__all__ = ["large_record", "reports"]

RESULTS = 1_000


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
    """Every format of 1,000 results."""
    material = Material(large_record().to_json())
    sizes: dict[str, int] = {}

    def render(name: str) -> None:
        sizes[name] = len(FORMATS[name].render(Material(material.record)))

    for name in FORMATS:
        FORMATS[name].render  # noqa: B018 -- imported before the clock runs
    found = taking_turns(3, **{name: (lambda name=name: render(name)) for name in FORMATS})
    for series in found:
        click.echo(f"  {series.name:<12} {series.median:6.2f} s {sizes[series.name]:>12,} bytes")
    click.echo(f"  {'all':<12} {sum(series.median for series in found):6.2f} s")
