"""What the mesh is told about services: who may call what, and how calls are routed, retried and bounded.

These are the documents' values, free of any proxy's vocabulary; `controlplane.rendering` turns them into xDS resources,
and `authn` decides by them. Identities are SPIFFE ids of security servers (SPIFFE-ID 1.0), paths are those that the
building block itself sees, times are seconds.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum

__all__ = [
    "IDEMPOTENT_METHODS",
    "AccessRule",
    "BearerTokens",
    "CircuitBreaker",
    "Endpoint",
    "FaultInjection",
    "HeaderMatch",
    "HealthCheck",
    "LoadBalancing",
    "Operation",
    "OutlierDetection",
    "PathMatch",
    "PathMatchKind",
    "PolicyVersion",
    "RateLimit",
    "RetryPolicy",
    "Route",
    "ServicePolicy",
    "Share",
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
        group: the share of a split that it belongs to, such as `canary`; empty: the one that serves everything else.
        weight: how much of the traffic it takes beside the others of its group and priority.
        priority: 0 is used first; a higher one only while too few of the lower ones are healthy.

    """

    host: str
    port: int
    server_name: str = ""
    group: str = ""
    weight: int = 1
    priority: int = 0


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
class HeaderMatch:
    """A header of the call that must have exactly this value. `:authority` is the host that the caller names."""

    name: str
    value: str


@dataclass(frozen=True)
class Operation:
    """An operation of the service's contract, by method and path template such as `/v1/births/{birthId}`.

    Each expression in braces stands for one whole or partial segment (OpenAPI 3.1, "Path Templating").
    """

    method: str
    path: str


@dataclass(frozen=True)
class AccessRule:
    """Lets a caller through. What no rule lets through is refused.

    Attributes:
        caller: SPIFFE id of the caller's security server.
        methods: the HTTP methods; empty: all.
        paths: the paths; empty: all.
        operations: operations of the contract; empty: all. With `paths` or `methods` too, all of them must fit.

    """

    caller: str
    methods: tuple[str, ...] = ()
    paths: tuple[PathMatch, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True)
class BearerTokens:
    """Calls need a signed token beside the caller's certificate (RFC 6750, RFC 7519).

    Attributes:
        audience: what the token's `aud` must name.
        issuers: names of issuers, as in `MeshPolicy.issuers`, whose tokens count.

    """

    audience: str
    issuers: tuple[str, ...]


@dataclass(frozen=True)
class RetryPolicy:
    """The caller's security server repeats a failed call. Only idempotent methods, only failures that may pass.

    Attributes:
        attempts: repetitions after the first try.
        statuses: answers of the building block that count as failures.
        per_try_timeout_s: limit of one try.
        back_off_s: base of the jittered exponential back-off.
        budget_percent: retries under way at once, as a share of all calls under way.
        budget_at_least: retries under way at once that are always allowed.

    """

    attempts: int = 2
    statuses: tuple[int, ...] = (502, 503, 504)
    per_try_timeout_s: float = 5.0
    back_off_s: float = 0.025
    budget_percent: float = 20.0
    budget_at_least: int = 10


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
class HealthCheck:
    """The provider's security server asks each endpoint whether it is well, and leaves out those that are not.

    Attributes:
        path: asked by GET; an answer of 200 to 299 is healthy.
        interval_s: from the end of one question to the next.
        timeout_s: no answer by then is unhealthy.
        unhealthy_after: bad answers in a row that take an endpoint out.
        healthy_after: good answers in a row that bring it back.

    """

    path: str
    interval_s: float = 5.0
    timeout_s: float = 1.0
    unhealthy_after: int = 3
    healthy_after: int = 2


class LoadBalancing(StrEnum):
    """How an endpoint is chosen among the healthy ones of a group."""

    ROUND_ROBIN = "round-robin"
    LEAST_REQUEST = "least-request"
    RANDOM = "random"


@dataclass(frozen=True)
class Share:
    """A part of a route's calls goes to a group of endpoints. The weights of a split add up to 100."""

    group: str
    weight: int


@dataclass(frozen=True)
class Route:
    """A special way for some calls of a service; the first route that matches wins, most specific first.

    Attributes:
        match: which paths.
        methods: which methods; empty: all.
        headers: which headers, all of them; empty: any.
        rewrite: the path (for an exact match) or prefix that the building block sees instead; None: unchanged.
        timeout_s: limit of the whole call; None: the service's.
        split: groups of endpoints that share the calls; empty: the group without a name takes them all.

    """

    match: PathMatch
    methods: tuple[str, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()
    rewrite: str | None = None
    timeout_s: float | None = None
    split: tuple[Share, ...] = ()


@dataclass(frozen=True)
class RateLimit:
    """So many calls in a while; more are refused with 429 before the building block sees them.

    Attributes:
        requests: how many at once, and how many come back in each `per_s`.
        per_s: seconds.
        match: which paths; None: all of the service.
        per_caller: each caller has a limit of its own.
        everywhere: one limit for all security servers together, kept by the limit service; else each keeps its own.

    """

    requests: int
    per_s: float
    match: PathMatch | None = None
    per_caller: bool = False
    everywhere: bool = False


@dataclass(frozen=True)
class FaultInjection:
    """Failures made on purpose by the provider's security server, to see how callers bear them.

    Attributes:
        abort_status: the answer given instead of the building block's; None: none is.
        abort_percent: the share of the calls that get it.
        delay_s: how long calls are held back; None: not at all.
        delay_percent: the share of the calls that are.
        match: which paths; None: all of the service.

    """

    abort_status: int | None = None
    abort_percent: float = 0.0
    delay_s: float | None = None
    delay_percent: float = 0.0
    match: PathMatch | None = None


@dataclass(frozen=True)
class ServicePolicy:
    """Everything that the mesh is told about one service. A change is a new value with a new `version`."""

    service: str
    provider: str = ""
    """The member whose security server stands before it."""
    code: str = ""
    """Its service code in X-Road addresses; empty: it cannot be addressed that way."""
    contract: tuple[Operation, ...] = ()
    """The operations of its contract, as far as it was registered with one."""
    endpoints: tuple[Endpoint, ...] = ()
    base_path: str = ""
    """Where the building block's paths begin, such as `/api`; callers never see it."""
    access: tuple[AccessRule, ...] = ()
    authentication: bool = True
    """Whether the authentication service is asked about its calls, if the mesh has one."""
    tokens: BearerTokens | None = None
    routes: tuple[Route, ...] = ()
    timeout_s: float = 15.0
    retry: RetryPolicy | None = RetryPolicy()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    load_balancing: LoadBalancing = LoadBalancing.ROUND_ROBIN
    rate_limits: tuple[RateLimit, ...] = ()
    fault_injection: FaultInjection | None = None
    version: PolicyVersion = field(default_factory=new_policy_version)

    @property
    def caller_version(self) -> PolicyVersion:
        """Names the caller's part (retries, timeout): it changes only when callers have to be told something."""
        part = (self.service, self.code, self.authentication, self.timeout_s, self.retry)
        return hashlib.sha256(repr(part).encode()).hexdigest()[:12]

    def changed(self, **changes: object) -> ServicePolicy:
        """The same policy with changes, under a new version."""
        return replace(self, version=new_policy_version(), **changes)  # type: ignore[arg-type]  # checked by replace
