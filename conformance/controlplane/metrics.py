"""What a monitoring system is told about the control plane, in Prometheus' text format.

Invariant: labels have few values: types and outcomes, never the name of a node or of a resource.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from conformance.controlplane.resources import ResourceType

__all__ = ["Metrics"]


class Metrics:
    """Counts of one control plane."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._proxies = Gauge(
            "meshmark_controlplane_connected_proxies", "Proxies with an open stream.", registry=self._registry
        )
        self._pushes = self._counter("pushes", "Responses sent to proxies.", "type")
        self._resources = self._counter("pushed_resources", "Resources in these responses.", "type")
        self._bytes = self._counter("pushed_bytes", "Bytes of these responses.", "type")
        self._answers = self._counter("answers", "What proxies said to them.", "type", "outcome")
        self._refused = Counter(
            "meshmark_controlplane_refused_streams",
            "Streams whose certificate was not that of the node that they asked for.",
            registry=self._registry,
        )
        self._of = lru_cache(maxsize=None)(self._of_uncached)

    def sent(self, kind: ResourceType, resources: int, size: int) -> None:
        """A response went out."""
        pushes, counted, weighed = self._of(kind)
        pushes.inc()
        counted.inc(resources)
        weighed.inc(size)

    def answered(self, kind: ResourceType, *, refused: bool) -> None:
        """A proxy accepted (ACK) or refused (NACK) one."""
        self._answers.labels(_name(kind), "rejected" if refused else "acknowledged").inc()

    def not_admitted(self) -> None:
        """Somebody asked for the configuration of a node that is not its own."""
        self._refused.inc()

    def text(self, *, connected: int) -> bytes:
        """All of it, as a scrape gets it."""
        self._proxies.set(connected)
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"meshmark_controlplane_{name}", meaning, labels, registry=self._registry)

    def _of_uncached(self, kind: ResourceType) -> Collection[Counter]:
        return [each.labels(_name(kind)) for each in (self._pushes, self._resources, self._bytes)]


def _name(kind: ResourceType) -> str:
    return kind.name.lower().replace("_", "-")
