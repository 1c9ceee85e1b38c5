"""`python -m tests.bench [NAME...]`: benchmarks to be run by hand, on a machine that does nothing else.

Each compares two or more things in one run, taking turns, and prints medians and ratios. Nothing is asserted: the time
on somebody's machine is no property of the product.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from tests.bench.changes import among_many, enforcement
from tests.bench.decisions import decisions
from tests.bench.registries import registry_of_many
from tests.bench.reports import reports
from tests.bench.starting import runtimes
from tests.bench.whole_runs import certifying, self_test
from tests.bench.xds import all_concerned, memory, one_endpoint, thousands

BENCHMARKS: dict[str, Callable[[], None]] = {
    "certifying": certifying,
    "enforcement": enforcement,
    "among-many": among_many,
    "decisions": decisions,
    "registry": registry_of_many,
    "reports": reports,
    "selftest": self_test,
    "runtimes": runtimes,
    "xds-all-concerned": all_concerned,
    "xds-thousands": thousands,
    "xds-one-endpoint": one_endpoint,
    "xds-memory": memory,
}


@click.command(help="Run all benchmarks, or those that are named: " + ", ".join(BENCHMARKS) + ".")
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
def main(names: tuple[str, ...]) -> None:
    """Run them, one after the other."""
    click.echo(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in names or BENCHMARKS:
        click.echo(f"\n{name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
