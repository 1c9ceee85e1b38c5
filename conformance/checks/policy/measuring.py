"""How long a change takes to be enforced, as a caller sees it, and what many such times say together.

Invariants: time runs from before the change is asked for until a call that it decided is answered, so what is measured
is never less than what it took; times are judged against a bound that the subject declared, and against nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence

from conformance.model.policy import ServicePolicy
from conformance.probe import Exchange, LogLine, Probe

__all__ = ["distribution", "percentile", "seconds_until_decided", "within"]


async def seconds_until_decided(
    probe: Probe,
    begun: float,
    policy: ServicePolicy,
    attempt: Callable[[], Awaitable[Exchange]],
    *,
    how: Callable[[Exchange, LogLine], bool] = lambda _, __: True,
) -> float | None:
    """Call until a call is decided by a policy (and ends as it should); gives the time since `begun`, on the monotonic
    clock; None: that did not happen within the limits for acknowledgement and enforcement together.
    """

    async def decided() -> float | None:
        exchange = await attempt()
        ended = time.monotonic()
        line = await probe.line(exchange)
        return ended - begun if line and line.get("policy") == policy.version and how(exchange, line) else None

    limit = probe.timeouts.acknowledged + probe.timeouts.enforced
    found: float | None = await probe.eventually(decided, what=f"policy {policy.version} decides", timeout=limit)
    return found


def percentile(times: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest of these times that so many percent of them do not exceed."""
    return sorted(times)[max(0, math.ceil(len(times) * percent / 100) - 1)]


def distribution(times: Sequence[float]) -> dict[str, float]:
    """What is recorded of many times, in seconds."""
    if not times:
        return {"changes": 0}
    named = {"min": 0, "median": 50, "p90": 90, "p99": 99, "max": 100}
    return {"changes": len(times)} | {name: round(percentile(times, each), 6) for name, each in named.items()}


def within(seconds: float, bound: float | None) -> bool:
    """Whether a time keeps to a bound; without a bound, nothing is asked of it."""
    return bound is None or seconds <= bound
