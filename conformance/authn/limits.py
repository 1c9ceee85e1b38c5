"""The limit service: rate limits that count for all security servers together.

A security server describes a limit by the entries `service`, `path`, `requests`, `per_s` and, for a limit per caller,
`caller`; so a limit counts as soon as security servers enforce the policy that has it, and there is no moment in which
the two know different ones. Each description has a bucket of tokens of its own, which is refilled steadily.

Invariants: a call takes tokens from each bucket that it concerns, or from none; what describes no limit is refused;
time comes from a clock that never goes back; the buckets are bounded in number.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["DOMAIN", "Descriptor", "LimitAnswer", "Limits"]

DOMAIN = "meshmark"
"""The domain in which security servers ask."""

Descriptor = Mapping[str, str]
REQUIRED = frozenset({"service", "path", "requests", "per_s"})
OPTIONAL = frozenset({"caller"})

BUCKETS_AT_MOST = 100_000


@dataclass
class _Bucket:
    requests: int
    per_s: float
    tokens: float
    filled_at: float

    def fill(self, now: float) -> None:
        come_back = (now - self.filled_at) * self.requests / self.per_s
        self.tokens = min(float(self.requests), self.tokens + come_back)
        self.filled_at = now


@dataclass(frozen=True)
class LimitAnswer:
    """About one descriptor.

    Attributes:
        over: the call is too much.
        requests, per_s: the limit; 0: there is none that is known.
        remaining: how many calls it still has.
        wait_s: when as many as are asked for will have come back.

    """

    over: bool
    requests: int = 0
    per_s: float = 0.0
    remaining: int = 0
    wait_s: float = 0.0


class Limits:
    """All buckets. `clock` is in seconds, monotonic; new buckets are full."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[frozenset[tuple[str, str]], _Bucket] = OrderedDict()

    def ask(self, descriptors: Sequence[Descriptor], hits: int = 1) -> list[LimitAnswer]:
        """Take `hits` tokens from the bucket of each descriptor, unless one of them has too few."""
        now = self._clock()
        buckets = [self._bucket(descriptor, now) for descriptor in descriptors]
        answers = [_judged(bucket, hits) for bucket in buckets]
        if any(answer.over for answer in answers):
            return answers
        for bucket in buckets:
            if bucket is not None:
                bucket.tokens -= hits
        return [_judged(bucket, 0) for bucket in buckets]

    def _bucket(self, descriptor: Descriptor, now: float) -> _Bucket | None:
        key = frozenset(descriptor.items())
        bucket = self._buckets.get(key) or _new_bucket(descriptor, now)
        if bucket is None:
            return None
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        if len(self._buckets) > BUCKETS_AT_MOST:
            self._buckets.popitem(last=False)
        bucket.fill(now)
        return bucket


def _new_bucket(descriptor: Descriptor, now: float) -> _Bucket | None:
    if not (REQUIRED <= descriptor.keys() <= REQUIRED | OPTIONAL and all(descriptor.values())):
        return None
    try:
        requests, per_s = int(descriptor["requests"]), float(descriptor["per_s"])
    except ValueError:
        return None
    if requests < 1 or not 0 < per_s < math.inf:
        return None
    return _Bucket(requests, per_s, float(requests), now)


def _judged(bucket: _Bucket | None, hits: int) -> LimitAnswer:
    if bucket is None:
        return LimitAnswer(over=True)
    missing = max(0.0, hits - bucket.tokens)
    return LimitAnswer(
        over=missing > 0,
        requests=bucket.requests,
        per_s=bucket.per_s,
        remaining=int(bucket.tokens),
        wait_s=missing * bucket.per_s / bucket.requests,
    )
