"""Policies of every shape that a document can say."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import strategies as st

from conformance.model.policies import ForeignDomain, MemberId, MemberPolicy, MeshPolicy, Policy, TokenIssuer, Topology
from conformance.model.policy import (
    AccessRule,
    BearerTokens,
    CircuitBreaker,
    Endpoint,
    FaultInjection,
    HeaderMatch,
    HealthCheck,
    LoadBalancing,
    Operation,
    OutlierDetection,
    PathMatch,
    PathMatchKind,
    RateLimit,
    RetryPolicy,
    Route,
    ServicePolicy,
    Share,
)

LETTERS = string.ascii_lowercase
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY"]

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda name: name != "r1")
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
identifiers = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=8)
segments = st.text(LETTERS + "09_~!$&'()*+,=:@", min_size=1, max_size=6) | st.sampled_from(
    ["a;b=1", "caf%C3%A9", "..."]
)
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))
templates = st.lists(segments | st.sampled_from(["{id}", "{a}-{b}", "x{y}z"]), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
identities = st.builds(lambda domain, path: f"spiffe://{domain}.test/{path}", labels, identifiers)
seconds = st.floats(0.05, 86_400) | st.integers(1, 86_400).map(float)
percents = st.floats(0, 100)
whole = st.integers(1, 2**31 - 1)
methods = st.lists(st.sampled_from(METHODS), unique=True, max_size=4).map(tuple)
matches = st.builds(PathMatch, st.sampled_from(PathMatchKind), paths)
operations = st.builds(Operation, st.sampled_from(METHODS), templates)


def several(each: Any, *, unique: bool = False, least: int = 0) -> Any:
    return st.lists(each, unique=unique, min_size=least, max_size=4).map(tuple)


def faults() -> st.SearchStrategy[FaultInjection]:
    share, match = st.floats(0.01, 100), st.none() | matches
    abort = st.fixed_dictionaries({"abort_status": st.integers(200, 599), "abort_percent": share})
    delay = st.fixed_dictionaries({"delay_s": seconds, "delay_percent": share})
    either = abort | delay | st.builds(lambda one, other: {**one, **other}, abort, delay)
    return st.builds(lambda given, where: FaultInjection(**given, match=where), either, match)


endpoints = st.builds(
    Endpoint,
    host=st.ip_addresses().map(str).filter(lambda address: "%" not in address),
    port=st.integers(1, 65535),
    server_name=st.just("") | labels.map(lambda label: f"{label}.test"),
    group=st.just("") | labels,
    weight=st.integers(1, 10_000),
    priority=st.integers(0, 127),
)
rules = st.builds(
    AccessRule,
    caller=labels | identities,
    methods=methods,
    paths=several(matches, unique=True),
    operations=several(operations, unique=True),
)
health_checks = st.builds(
    lambda path, times, after, before: HealthCheck(path, max(times), min(times), after, before),
    paths,
    st.tuples(seconds, seconds),
    st.integers(1, 100),
    st.integers(1, 100),
)
routes = st.builds(
    Route,
    match=matches,
    methods=methods,
    headers=several(st.builds(HeaderMatch, st.sampled_from([":authority", "X-Canary"]), identifiers)),
    rewrite=st.none() | paths,
    timeout_s=st.none() | seconds,
    split=several(st.builds(Share, st.just("") | labels, st.integers(0, 100))),
)
services: st.SearchStrategy[ServicePolicy] = st.builds(
    ServicePolicy,
    service=labels,
    provider=labels,
    code=st.just("") | identifiers,
    contract=several(operations, unique=True),
    endpoints=several(endpoints),
    base_path=st.just("") | paths.filter(lambda path: path != "/"),
    access=several(rules),
    tokens=st.none() | st.builds(BearerTokens, texts, several(texts, unique=True, least=1)),
    routes=several(routes),
    timeout_s=seconds,
    retry=st.none()
    | st.builds(
        RetryPolicy,
        attempts=st.integers(1, 100),
        statuses=several(st.integers(400, 599), unique=True),
        per_try_timeout_s=seconds,
        back_off_s=seconds,
        budget_percent=percents,
        budget_at_least=whole,
    ),
    circuit_breaker=st.builds(CircuitBreaker, whole, whole, whole),
    outlier_detection=st.none() | st.builds(OutlierDetection, whole, seconds, seconds, st.integers(1, 100)),
    health_check=st.none() | health_checks,
    load_balancing=st.sampled_from(LoadBalancing),
    rate_limits=several(st.builds(RateLimit, whole, seconds, st.none() | matches, st.booleans(), st.booleans())),
    fault_injection=st.none() | faults(),
    version=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)
members: st.SearchStrategy[MemberPolicy] = st.builds(
    MemberPolicy,
    member=labels,
    identity=identities,
    id=st.none() | st.builds(MemberId, identifiers, identifiers, identifiers, st.just("") | identifiers),
    calls=several(labels, unique=True),
    gateway=st.booleans(),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
key_sets = st.dictionaries(texts, json_values, max_size=3).map(
    lambda others: json.dumps({**others, "keys": [{"kty": "RSA"}]}, sort_keys=True, separators=(",", ":"))
)
meshes: st.SearchStrategy[MeshPolicy] = st.builds(
    MeshPolicy,
    instance=identifiers,
    client_header=st.sampled_from(["X-Road-Client", "X-GovStack-Client"]),
    minimum_tls=st.sampled_from(["1.2", "1.3"]),
    topology=st.sampled_from(Topology),
    authentication=st.booleans(),
    authentication_timeout_s=seconds,
    issuers=several(st.builds(TokenIssuer, texts, texts, key_sets)),
    tracing_percent=percents,
    federation=several(
        st.builds(ForeignDomain, labels.map(lambda label: f"{label}.test"), texts, several(identities, unique=True))
    ),
)
policies: st.SearchStrategy[Policy] = services | members | meshes
