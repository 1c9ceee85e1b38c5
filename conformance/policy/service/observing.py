"""What an operator sees of the service: metrics for Prometheus, and one line of JSON for each attempt to change.

Invariants: labels have few values: operations of the contract and words of this module, never what a client sends; a
line names who, what, which version and what became of it, and holds no document.
"""

from __future__ import annotations

import json
import logging
from collections import Counter as Count
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from conformance.model.errors import MeshmarkError
from conformance.model.policies import PolicyKey
from conformance.policy.service.edge import Call
from conformance.policy.service.forms import name_of
from conformance.policy.service.problems import Reason
from conformance.policy.store import ProxyState, Store

__all__ = ["LOGGER", "Observing"]

LOGGER = "meshmark.policy.service"
log = logging.getLogger(LOGGER)


class Observing:
    """Counts, and writes lines."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._changes = Counter(
            "policy_admin_changes", "Attempts to change policies", ["operation", "outcome"], registry=self._registry
        )
        self._refusals = Counter(
            "policy_admin_refusals", "Requests refused, by reason", ["reason"], registry=self._registry
        )
        self._version = Gauge("policy_admin_version", "Newest version of the policies", registry=self._registry)
        self._proxies = Gauge(
            "policy_admin_proxies",
            "Security servers, by what became of the newest version that concerns each",
            ["state"],
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "policy_admin_requests_in_progress", "Requests under way, long polls among them", registry=self._registry
        )
        self._durations = Histogram(
            "policy_admin_request_duration_seconds",
            "From the head of a request to that of its answer; long polls last as long as they are asked to",
            ["operation", "method", "status"],
            registry=self._registry,
        )

    def under_way(self) -> AbstractContextManager[object]:
        """A request is under way."""
        return self._in_progress.track_inprogress()

    def answered(self, operation: str, method: str, status: int, seconds: float) -> None:
        """An answer began."""
        self._durations.labels(operation, method, str(status)).observe(seconds)

    def refused(self, reason: Reason) -> None:
        """A request was refused."""
        self._refusals.labels(reason.value).inc()

    def unavailable(self, fault: MeshmarkError) -> None:
        """The store could not be used."""
        self.refused(Reason.UNAVAILABLE)
        _write(logging.ERROR, event="unavailable", fault=str(fault))

    def changed(self, call: Call, version: int, changes: Mapping[PolicyKey, str]) -> None:
        """A commit was acknowledged."""
        outcome = "committed" if any(word != "unchanged" for word in changes.values()) else "unchanged"
        self._changes.labels(call.operation, outcome).inc()
        documents = {name_of(key): word for key, word in changes.items()}
        _write(logging.INFO, **_who(call), version=version, outcome=outcome, documents=documents)

    def refused_change(self, call: Call, keys: Sequence[PolicyKey], outcome: str) -> None:
        """A commit was refused."""
        self._changes.labels(call.operation, outcome).inc()
        _write(logging.WARNING, **_who(call), outcome=outcome, documents=[name_of(key) for key in keys])

    async def exposed(self, store: Store) -> bytes:
        """Everything, in the text format of Prometheus."""
        self._version.set(await store.version())
        counted = Count(report.state for report in await store.latest_reports())
        for state in ProxyState:
            self._proxies.labels(state.value).set(counted[state])
        return generate_latest(self._registry)


def _who(call: Call) -> dict[str, str]:
    return {
        "event": "change",
        "identity": call.author.identity,
        "role": call.author.role,
        "operation": call.operation,
        "correlation_id": call.correlation_id,
    }


def _write(level: int, **fields: object) -> None:
    log.log(level, json.dumps({"time": datetime.now(UTC).isoformat().replace("+00:00", "Z"), **fields}))
