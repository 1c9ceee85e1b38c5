"""What a monitoring system is told about the authentication service, in Prometheus' text format."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from conformance.authn.call import Direction
from conformance.authn.reasons import Reason

__all__ = ["Metrics"]

DIRECTIONS: frozenset[str] = frozenset(Direction)
BUCKETS_S = (0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0)


class Metrics:
    """Counts of one authentication service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "meshmark_authn_decisions",
            "Decisions about calls.",
            ["direction", "outcome", "reason"],
            registry=self._registry,
        )
        self._duration = Histogram(
            "meshmark_authn_decision_seconds",
            "Time from the question to the answer.",
            ["direction"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._version = Gauge(
            "meshmark_authn_policies_version",
            "Version of the store up to which policies are known.",
            registry=self._registry,
        )
        self._limits = Counter(
            "meshmark_authn_limited_calls", "Calls counted by global limits.", ["outcome"], registry=self._registry
        )
        self._lost = Gauge(
            "meshmark_authn_decision_log_lost_lines",
            "Lines of the decision log that could not be written.",
            registry=self._registry,
        )
        self._decided = lru_cache(maxsize=None)(self._decided_uncached)
        self._took = lru_cache(maxsize=None)(self._duration.labels)

    def decided(self, direction: str, reason: Reason, seconds: float) -> None:
        """A question was answered."""
        # Whatever a security server writes there: the number of series is bounded.
        direction = direction if direction in DIRECTIONS else "unknown"
        self._decided(direction, reason).inc()
        self._took(direction).observe(seconds)

    def limited(self, *, over: bool) -> None:
        """The limit service was asked."""
        self._limits.labels("refused" if over else "allowed").inc()

    def learned(self, version: int) -> None:
        """Policies up to this version are known."""
        self._version.set(version)

    def text(self, *, lost_lines: int) -> bytes:
        """All of it, as a scrape gets it."""
        self._lost.set(lost_lines)
        return generate_latest(self._registry)

    def _decided_uncached(self, direction: str, reason: Reason) -> Counter:
        outcome = "allowed" if reason is Reason.ALLOWED else "refused"
        return self._decisions.labels(direction, outcome, reason.value)
