"""What the mesh is told: who may call what, and how calls are routed, retried and bounded.

These are the documents' values, free of any proxy's vocabulary; `controlplane.rendering` turns them into xDS resources.
Identities are SPIFFE ids of security servers (SPIFFE-ID 1.0), paths are those that the building block itself sees,
times are seconds.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum

__all__ = [
    "AccessRule",
    "CircuitBreaker",
    "Endpoint",
    "OutlierDetection",
    "PathMatch",
    "PathMatchKind",
    "PolicyVersion",
    "RetryPolicy",
    "Route",
    "ServicePolicy",
]

IDEMPOTENT_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
"""Safe to repeat (RFC 9110 section 9.2.2), so the only ones that are retried; TRACE and CONNECT never pass the mesh."""


PolicyVersion = str
"""Stands in the metadata of the provider's routes and so in its access-log lines: which policy decided about this
call.
"""


def new_policy_version() -> PolicyVersion:
    """A value never used before, so that an observation under it has exactly one possible cause."""
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True)
class Endpoint:
    """Where an application listens, as its own security server sees it.

    Attributes:
        host: an IP address.
        port: TCP port.
        server_name: the name that its certificate must bear when it speaks HTTPS; empty: it speaks plain HTTP.

    """

    host: str
    port: int
    server_name: str = ""


class PathMatchKind(StrEnum):
    """How a path is compared."""

    EXACT = "exact"
    PREFIX = "prefix"


@dataclass(frozen=True)
class PathMatch:
    """A path of the service, such as `/v1/births`. A prefix ends at a segment's border: `/v1` does not match `/v10`."""

    kind: PathMatchKind
    path: str


@dataclass(frozen=True)
class AccessRule:
    """Lets a caller through. What no rule lets through is refused.

    Attributes:
        caller: SPIFFE id of the caller's security server.
        methods: the HTTP methods; empty: all.
        paths: the paths; empty: all.

    """

    caller: str
    methods: tuple[str, ...] = ()
    paths: tuple[PathMatch, ...] = ()


@dataclass(frozen=True)
class RetryPolicy:
    """The caller's security server repeats a failed call. Only idempotent methods, only failures that may pass.

    Attributes:
        attempts: repetitions after the first try.
        statuses: answers of the building block that count as failures.
        per_try_timeout_s: limit of one try.
        back_off_s: base of the jittered exponential back-off.

    """

    attempts: int = 2
    statuses: tuple[int, ...] = (502, 503, 504)
    per_try_timeout_s: float = 5.0
    back_off_s: float = 0.025


@dataclass(frozen=True)
class CircuitBreaker:
    """What the provider's security server lets through to its building block at once. Beyond it, calls are refused at
    once.
    """

    connections: int = 1024
    pending_requests: int = 1024
    requests: int = 1024


@dataclass(frozen=True)
class OutlierDetection:
    """Endpoints that fail are left out for a while.

    Attributes:
        consecutive_failures: failures in a row before an endpoint is ejected (5xx, resets, refusals).
        interval_s: how often ejected endpoints are reconsidered.
        base_ejection_s: how long the first ejection lasts.
        most_ejected_percent: never more than this share of the endpoints at once.

    """

    consecutive_failures: int = 5
    interval_s: float = 10.0
    base_ejection_s: float = 30.0
    most_ejected_percent: int = 50


@dataclass(frozen=True)
class Route:
    """A special way for some calls of a service; the first route that matches wins, most specific first.

    Attributes:
        match: which paths.
        methods: which methods; empty: all.
        rewrite: the path (for an exact match) or prefix that the building block sees instead; None: unchanged.
        timeout_s: limit of the whole call; None: the service's.

    """

    match: PathMatch
    methods: tuple[str, ...] = ()
    rewrite: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class ServicePolicy:
    """Everything that the mesh is told about one service. A change is a new value with a new `version`."""

    service: str
    endpoints: tuple[Endpoint, ...] = ()
    base_path: str = ""
    """Where the building block's paths begin, such as `/api`; callers never see it."""
    access: tuple[AccessRule, ...] = ()
    routes: tuple[Route, ...] = ()
    timeout_s: float = 15.0
    retry: RetryPolicy | None = RetryPolicy()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    outlier_detection: OutlierDetection | None = None
    version: PolicyVersion = field(default_factory=new_policy_version)

    @property
    def caller_version(self) -> PolicyVersion:
        """Names the caller's part (retries, timeout): it changes only when callers have to be told something."""
        return hashlib.sha256(repr((self.service, self.timeout_s, self.retry)).encode()).hexdigest()[:12]

    def changed(self, **changes: object) -> ServicePolicy:
        """The same policy with changes, under a new version."""
        return replace(self, version=new_policy_version(), **changes)  # type: ignore[arg-type]  # checked by replace
