"""The form of a service's document: which keys there are, what stands behind each, and what it means without one.

Invariants: a form has the keys, and the defaults, of the value that it makes (a test compares them); what is wrong with
a document alone, without any other, is refused here. The descriptions are what an editor shows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from conformance.model import policy
from conformance.model.policy import LoadBalancing
from conformance.policy.documents import words
from conformance.policy.documents.form import Distinct, Form, Items, Whole
from conformance.policy.documents.words import MOST_PATHS

__all__ = ["ServiceForm"]

Methods = Distinct[words.Method]


class Endpoint(Form):
    """Where an application listens, as its own security server sees it."""

    makes = policy.Endpoint
    host: words.Host
    """IP address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """TCP port."""
    server_name: words.ServerName = ""
    """The name that its certificate must bear when it speaks HTTPS; empty: it speaks plain HTTP."""
    group: words.Group = ""
    """The share of a split that it belongs to, such as canary; empty: the one that serves everything else."""
    weight: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How much of the traffic it takes beside the others of its group and priority."""
    priority: Annotated[int, Field(ge=0, le=127)] = 0
    """0 is used first; a higher one only while too few of the lower ones are healthy."""


class AccessRule(Form):
    """Lets a caller through. What no rule lets through is refused. All of what is given must fit."""

    makes = policy.AccessRule
    caller: words.Caller
    """The name of a member, or a SPIFFE id."""
    methods: Methods = ()
    """HTTP methods; empty: all."""
    paths: Annotated[Distinct[words.Match], Field(max_length=MOST_PATHS)] = ()
    """Paths, such as {prefix: /v1/births} or {exact: /v1/births}; empty: all."""
    operations: Distinct[words.OperationText] = ()
    """Operations of the contract, such as POST /v1/births/{birthId}; empty: all."""


class BearerTokens(Form):
    """Calls need a signed token beside the caller's certificate."""

    makes = policy.BearerTokens
    audience: words.Text
    """What the token's `aud` must name."""
    issuers: Annotated[Distinct[words.Text], Field(min_length=1)]
    """Names of issuers in the policy of the mesh."""


class RetryPolicy(Form):
    """Failed calls of idempotent methods are repeated by the caller's security server."""

    makes = policy.RetryPolicy
    attempts: Annotated[int, Field(ge=1, le=100)] = 2
    """Repetitions after the first try."""
    statuses: Distinct[Annotated[int, Field(ge=400, le=599)]] = (502, 503, 504)
    """Answers of the building block that count as failures."""
    per_try_timeout_s: words.Seconds = 5.0
    """Limit of one try, in seconds."""
    back_off_s: words.Seconds = 0.025
    """Base of the jittered exponential back-off, in seconds."""
    budget_percent: words.Percent = 20.0
    """Retries under way at once, as a share of all calls under way."""
    budget_at_least: Annotated[int, Field(ge=0, le=2**31 - 1)] = 10
    """Retries under way at once that are always allowed."""


class CircuitBreaker(Form):
    """What is let through to the building block at once. Beyond it, calls are refused at once."""

    makes = policy.CircuitBreaker
    connections: Whole = 1024
    """Open connections."""
    pending_requests: Whole = 1024
    """Requests that wait for a connection."""
    requests: Whole = 1024
    """Requests under way."""


class OutlierDetection(Form):
    """Endpoints that fail are left out for a while."""

    makes = policy.OutlierDetection
    consecutive_failures: Whole = 5
    """Failures in a row before an endpoint is ejected."""
    interval_s: words.Seconds = 10.0
    """How often ejected endpoints are reconsidered, in seconds."""
    base_ejection_s: words.Seconds = 30.0
    """How long the first ejection lasts, in seconds."""
    most_ejected_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Never more than this share of the endpoints at once."""


class HealthCheck(Form):
    """Each endpoint is asked whether it is well; those that are not are left out."""

    makes = policy.HealthCheck
    path: words.Path
    """Asked by GET; an answer of 200 to 299 is healthy."""
    interval_s: words.Seconds = 5.0
    """From the end of one question to the next, in seconds."""
    timeout_s: words.Seconds = 1.0
    """No answer by then is unhealthy, in seconds."""
    unhealthy_after: Annotated[int, Field(ge=1, le=100)] = 3
    """Bad answers in a row that take an endpoint out."""
    healthy_after: Annotated[int, Field(ge=1, le=100)] = 2
    """Good answers in a row that bring it back."""


class HeaderMatch(Form):
    """A header of the call that must have exactly this value."""

    makes = policy.HeaderMatch
    name: words.HeaderName
    """Its name; `:authority` is the host that the caller names."""
    value: words.HeaderValue
    """Its value."""


class Share(Form):
    """A part of a route's calls goes to a group of endpoints."""

    makes = policy.Share
    group: words.Group = ""
    """The group; empty: the endpoints without one."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Percent of the calls. The weights of a split add up to 100."""


class Route(Form):
    """A special way for some calls; the first route that matches wins, most specific first."""

    makes = policy.Route
    match: words.Match
    """Which paths: {prefix: /v1/births} or {exact: /v1/births}."""
    methods: Methods = ()
    """Which methods; empty: all."""
    headers: Items[HeaderMatch] = ()
    """Which headers, all of them; empty: any."""
    rewrite: words.Path | None = None
    """The path (for an exact match) or prefix that the building block sees instead."""
    timeout_s: words.Seconds | None = None
    """Limit of the whole call, in seconds; without one, the service's."""
    split: Items[Share] = ()
    """Groups of endpoints that share the calls; empty: the group without a name takes them all."""


class RateLimit(Form):
    """So many calls in a while; more are refused with 429 before the building block sees them."""

    makes = policy.RateLimit
    requests: Whole
    """How many at once, and how many come back in each `per_s`."""
    per_s: Annotated[float, Field(ge=0.05, le=86_400)]
    """Seconds."""
    match: words.Match | None = None
    """Which paths; without it, all of the service."""
    per_caller: bool = False
    """Each caller has a limit of its own."""
    everywhere: bool = False
    """One limit for all security servers together; else each keeps its own."""


class FaultInjection(Form):
    """Failures made on purpose, to see how callers bear them."""

    makes = policy.FaultInjection
    abort_status: Annotated[int, Field(ge=200, le=599)] | None = None
    """The answer given instead of the building block's."""
    abort_percent: words.Percent = 0.0
    """The share of the calls that get it."""
    delay_s: words.Seconds | None = None
    """How long calls are held back, in seconds."""
    delay_percent: words.Percent = 0.0
    """The share of the calls that are."""
    match: words.Match | None = None
    """Which paths; without it, all of the service."""

    @model_validator(mode="after")
    def _does_something(self) -> FaultInjection:
        if self.abort_status is None and self.delay_s is None:
            raise ValueError("neither `abort_status` nor `delay_s` is given, so nothing would happen")
        for way, share in (("abort_status", "abort_percent"), ("delay_s", "delay_percent")):
            if (getattr(self, way) is not None) != (getattr(self, share) > 0):
                raise ValueError(f"`{way}` and a `{share}` above 0 go together")
        return self


class ServiceForm(Form):
    """All that the mesh is told about one service."""

    makes = policy.ServicePolicy
    kind: Literal["service"]
    """What the policy is about."""
    name: words.ServiceLabel
    """Its name, which is the first segment of the path by which callers reach it."""
    revision: words.Revision | None = None
    """What access-log lines call this policy; without one, it is made of the document's content."""
    provider: words.Label
    """The member whose security server stands before it."""
    code: words.OptionalIdentifier = ""
    """Its service code in X-Road addresses; empty: it cannot be addressed that way."""
    contract: Distinct[words.OperationText] = ()
    """The operations of its contract, such as GET /v1/births/{birthId}."""
    endpoints: Items[Endpoint] = ()
    """Where its building block listens."""
    base_path: words.BasePath = ""
    """Where the building block's paths begin, such as /api; callers never see it."""
    access: Items[AccessRule] = ()
    """Who may call what. What no rule lets through is refused."""
    authentication: bool = True
    """Whether the authentication service is asked about its calls, if the mesh has one."""
    tokens: BearerTokens | None = None
    """Calls need a signed token too."""
    routes: Items[Route] = ()
    """Special ways for some calls."""
    timeout_s: words.Seconds = 15.0
    """Limit of a whole call, in seconds."""
    retry: RetryPolicy | None = RetryPolicy()
    """How failed calls are repeated; null: never."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """What is let through at once."""
    outlier_detection: OutlierDetection | None = None
    """Endpoints that fail are left out for a while."""
    health_check: HealthCheck | None = None
    """Endpoints are asked whether they are well."""
    load_balancing: Annotated[LoadBalancing, Field(strict=False)] = LoadBalancing.ROUND_ROBIN
    """How an endpoint is chosen among the healthy ones of a group."""
    rate_limits: Items[RateLimit] = ()
    """How many calls are let through in a while."""
    fault_injection: FaultInjection | None = None
    """Failures made on purpose."""
