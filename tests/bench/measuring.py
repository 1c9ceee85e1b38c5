"""Times of things that take turns, and how they compare."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import click

__all__ = ["Series", "compare", "taking_turns", "taking_turns_async"]


class Series:
    """Times of one thing, in seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.times: list[float] = []

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the block once."""
        begun = time.perf_counter()
        yield
        self.times.append(time.perf_counter() - begun)

    @property
    def median(self) -> float:
        """Half of the times are below."""
        return statistics.median(self.times)

    def percentile(self, percent: float) -> float:
        """The smallest time that so many percent do not exceed."""
        return sorted(self.times)[max(0, math.ceil(len(self.times) * percent / 100) - 1)]


def taking_turns(rounds: int, **works: Callable[[], object]) -> list[Series]:
    """Measure each work once in every round: a slow moment of the machine meets them all."""
    series = {name: Series(name.replace("_", " ")) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            with series[name].measured():
                work()
    return list(series.values())


async def taking_turns_async(rounds: int, **works: Callable[[], Awaitable[object]]) -> list[Series]:
    """The same for coroutine functions."""
    series = {name: Series(name.replace("_", " ")) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            with series[name].measured():
                await work()
    return list(series.values())


def compare(series: Sequence[Series]) -> None:
    """Print each series, and its median as a multiple of that of the first one, which is the yardstick."""
    for each in series:
        click.echo(
            f"  {each.name:<44} {_shown(each.median)} median  {_shown(each.percentile(99))} p99  "
            f"{each.median / series[0].median:7.2f} times the first  ({len(each.times)} times)"
        )


def _shown(seconds: float) -> str:
    return f"{seconds:8.2f} s " if seconds >= 1 else f"{seconds * 1000:8.2f} ms"
