"""The declared test of a share: exact binomial, two-sided, with a sample that is large enough.

Pure. Invariants: a security server that does as declared is called wrong once in a million runs at most; one that is
off by ten points is missed once in a thousand runs at most. Nothing is repeated until it fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, lgamma, log
from typing import Any

__all__ = ["FALSE_ALARM", "MISS", "SHIFT", "ShareTest", "share_test"]

FALSE_ALARM = 1e-6
"""At most so probable is it that a right share is judged wrong."""
MISS = 1e-3
"""At most so probable is it that a share that is off by `SHIFT` is judged right."""
SHIFT = 0.10


@dataclass(frozen=True)
class ShareTest:
    """How many calls to make for a share, and how many of them must take it.

    Attributes:
        share: as declared, between `SHIFT` and 1 - `SHIFT`.
        calls: the sample.
        fewest: fewer of them than this are too few.
        most: more of them than this are too many.

    """

    share: float
    calls: int
    fewest: int
    most: int

    def fits(self, count: int) -> bool:
        """Whether so many calls are as declared."""
        return self.fewest <= count <= self.most

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "test": "exact binomial, two-sided",
            "declared share": self.share,
            "calls": self.calls,
            "accepted": [self.fewest, self.most],
            "false alarm at most": FALSE_ALARM,
            "missed at most, if off by ten points": MISS,
        }


@cache
def share_test(share: float) -> ShareTest:
    """The smallest test that keeps what the module promises."""
    calls = 50
    while True:
        fewest, most = _accepted(calls, share)
        missed = max(_between(calls, share + shift, fewest, most) for shift in (-SHIFT, SHIFT))
        if missed <= MISS:
            return ShareTest(share, calls, fewest, most)
        calls += 10


def _accepted(calls: int, share: float) -> tuple[int, int]:
    """The narrowest range in which a right share stays, but for half of `FALSE_ALARM` on each side."""
    below = above = 0.0
    fewest, most = 0, calls
    while (below := below + _exactly(calls, share, fewest)) <= FALSE_ALARM / 2:
        fewest += 1
    while (above := above + _exactly(calls, share, most)) <= FALSE_ALARM / 2:
        most -= 1
    return fewest, most


def _between(calls: int, share: float, fewest: int, most: int) -> float:
    return sum(_exactly(calls, share, count) for count in range(fewest, most + 1))


def _exactly(calls: int, share: float, count: int) -> float:
    if not 0 < share < 1:
        return float(count == calls * round(share))
    chosen = lgamma(calls + 1) - lgamma(count + 1) - lgamma(calls - count + 1)
    return exp(chosen + count * log(share) + (calls - count) * log(1 - share))
