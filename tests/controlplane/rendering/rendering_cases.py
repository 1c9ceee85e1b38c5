"""What is rendered for the golden files: one small security server for each concern, and each topology's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.controlplane.rendering import (
    Identity,
    ListenAddress,
    OutboundService,
    Rendered,
    SecurityServerView,
    Surroundings,
    render_border,
    render_foundation,
    render_inbound,
    render_outbound,
    render_xroad,
)
from conformance.model.policies import ForeignDomain, MemberId, MeshPolicy
from conformance.model.policy import (
    AccessRule,
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

GOLDEN = Path(__file__).with_name("golden")

HEALTH = "spiffe://mesh.test/security-server/health"
BIRTHS = "spiffe://mesh.test/security-server/births"
GATEWAY = "spiffe://mesh.test/security-server/gateway"
PARTNER = "spiffe://partner.example/hospital"
ALONE = Surroundings()
HEALTH_ID, BIRTHS_ID = MemberId("MESH", "GOV", "1001", "health"), MemberId("MESH", "GOV", "2002")


@dataclass(frozen=True)
class Material:
    """Certificates: placeholders in golden files, real ones where Envoy is to load them."""

    identity: Identity = field(default_factory=lambda: Identity(b"certificate chain", b"private key"))
    trust: bytes = b"roots of the mesh"
    revocations: bytes = b"revocation lists"
    partner: str = "roots of the partner"


def policy(**changes: Any) -> ServicePolicy:
    """A service that health may call."""
    plain = ServicePolicy(
        service="births",
        provider="births",
        endpoints=(Endpoint("127.0.0.1", 9001),),
        access=(AccessRule(HEALTH),),
        version="one",
    )
    return replace(plain, **changes)


def view(material: Material, surroundings: Surroundings = ALONE, **more: Any) -> SecurityServerView:
    """The security server of births."""
    return SecurityServerView(
        name="births",
        identity=material.identity,
        trust=material.trust,
        revocations=material.revocations,
        members=(HEALTH, BIRTHS, GATEWAY),
        public_roots=material.trust,
        access_log=Path("/tmp/access.log"),  # noqa: S108 -- only named; Envoy in validation mode may open it
        surroundings=replace(surroundings, server="births"),
        **more,
    )


def outbound(policy: ServicePolicy) -> OutboundService:
    return OutboundService(policy, (Endpoint("127.0.0.1", 9443),), BIRTHS, BIRTHS_ID)


def below(path: str) -> PathMatch:
    return PathMatch(PathMatchKind.PREFIX, path)


def exactly(path: str) -> PathMatch:
    return PathMatch(PathMatchKind.EXACT, path)


def both_sides(material: Material, policy: ServicePolicy, surroundings: Surroundings = ALONE) -> Rendered:
    whole = view(material, surroundings)
    return {
        **render_foundation(whole),
        **render_inbound(policy, whole.surroundings),
        **render_outbound(outbound(replace(policy, service="deaths")), whole.surroundings),
    }


def inter_proxy(material: Material) -> Rendered:
    """All that stands alone: what a security server has without helpers."""
    return both_sides(material, policy())


def access_rules(material: Material) -> Rendered:
    rules = (
        AccessRule(HEALTH, methods=("GET", "HEAD"), paths=(below("/v1/public"), exactly("/v1/list"))),
        AccessRule(
            BIRTHS,
            operations=(Operation("GET", "/v1/births/{birthId}"), Operation("PUT", "/v1/{kind}.{format}/of a kind")),
        ),
    )
    return both_sides(material, policy(access=rules))


def routing(material: Material) -> Rendered:
    routes = (
        Route(below("/v1"), methods=("GET",), rewrite="/v2", timeout_s=1.5),
        Route(below("/v1"), headers=(HeaderMatch("x-trial", "yes"), HeaderMatch(":authority", "births.test"))),
        Route(exactly("/v1/births"), split=(Share("", 90), Share("canary", 10))),
    )
    endpoints = (
        Endpoint("127.0.0.1", 9001, weight=3),
        Endpoint("127.0.0.1", 9002, priority=10),
        Endpoint("127.0.0.1", 9003, server_name="births.test", group="canary"),
    )
    return both_sides(material, policy(routes=routes, endpoints=endpoints, base_path="/api"))


def resilience(material: Material) -> Rendered:
    return both_sides(
        material,
        policy(
            timeout_s=3.0,
            retry=RetryPolicy(1, (503,), 0.5, 0.01, budget_percent=12.5, budget_at_least=2),
            circuit_breaker=CircuitBreaker(3, 2, 1),
            outlier_detection=OutlierDetection(2, 0.5, 1.5, 100),
            health_check=HealthCheck("/health", 0.1, 0.05, 1, 1),
            load_balancing=LoadBalancing.LEAST_REQUEST,
        ),
    )


def limits_and_faults(material: Material) -> Rendered:
    limits = (
        RateLimit(100, 1.0),
        RateLimit(2, 60.0, match=below("/v1"), per_caller=True),
        RateLimit(5, 0.5, match=exactly("/v1/list"), everywhere=True),
        RateLimit(9, 10.0, per_caller=True, everywhere=True),
    )
    fault = FaultInjection(503, 12.5, 0.25, 100.0, match=exactly("/v1/list"))
    changed = policy(rate_limits=limits, fault_injection=fault, routes=(Route(below("/v1")),))
    return both_sides(material, changed, Surroundings(limits=Path("/run/limits.sock")))


def limits_without_service(material: Material) -> Rendered:
    return both_sides(material, policy(rate_limits=(RateLimit(5, 0.5, everywhere=True),)))


def helped() -> Surroundings:
    return Surroundings(
        mesh=MeshPolicy(authentication_timeout_s=0.25, tracing_percent=12.5),
        authentication=Path("/run/authentication.sock"),
        tracing=Endpoint("127.0.0.1", 4318),
    )


def authentication_and_tracing(material: Material) -> Rendered:
    return both_sides(material, policy(), helped())


def older_peers(material: Material) -> Rendered:
    surroundings = Surroundings(mesh=MeshPolicy(minimum_tls="1.2"), tracing=Path("/run/spans.sock"))
    return both_sides(material, policy(), surroundings)


def sidecar(material: Material) -> Rendered:
    """Beside its application in one network namespace: fixed ports, all helpers, a certificate was revoked."""
    whole = view(
        material,
        helped(),
        inbound_address=ListenAddress("127.0.0.1", 15006),
        outbound_address=ListenAddress("127.0.0.1", 15001),
        revoked="4711",
    )
    return {**render_foundation(whole), **render_inbound(policy(), whole.surroundings)}


def xroad(material: Material) -> Rendered:
    named = policy(code="births", rate_limits=(RateLimit(100, 1.0),), access=(AccessRule(HEALTH), AccessRule(GATEWAY)))
    other = replace(named, service="deaths", code="deaths and more", access=(AccessRule(HEALTH, methods=("GET",)),))
    surroundings = replace(
        helped(),
        mesh=MeshPolicy(client_header="X-Mesh-Client"),
        member=BIRTHS_ID,
        clients={HEALTH: HEALTH_ID, BIRTHS: BIRTHS_ID},
        server="births",
    )
    whole = view(material, surroundings)
    unnamed = policy(service="unnamed")
    return {
        **render_foundation(whole),
        **render_inbound(named, surroundings),
        **render_outbound(outbound(other), surroundings),
        **render_xroad([named, unnamed], [outbound(other), outbound(unnamed)], surroundings),
    }


def federated(material: Material) -> Surroundings:
    partner = ForeignDomain("partner.example", material.partner, (PARTNER,))
    closed = ForeignDomain("closed.example", material.partner)
    return replace(helped(), mesh=MeshPolicy(federation=(partner, closed)), gateways=(GATEWAY,), server="births")


def external_gateway(material: Material) -> Rendered:
    whole = view(material, federated(material), border_address=ListenAddress("127.0.0.1", 0))
    open_to = policy(access=(AccessRule(HEALTH), AccessRule(PARTNER, methods=("GET",))))
    return {
        **render_foundation(whole),
        **render_border(outbound(open_to), whole.surroundings),
        **render_border(outbound(policy(service="private")), whole.surroundings),
    }


def behind_a_gateway(material: Material) -> Rendered:
    rules = (AccessRule(HEALTH), AccessRule(PARTNER, methods=("GET",)))
    limits = (RateLimit(1, 1.0, per_caller=True),)
    return both_sides(material, policy(access=rules, rate_limits=limits), federated(material))


CASES: dict[str, Callable[[Material], Rendered]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        inter_proxy,
        access_rules,
        routing,
        resilience,
        limits_and_faults,
        limits_without_service,
        authentication_and_tracing,
        older_peers,
        sidecar,
        xroad,
        external_gateway,
        behind_a_gateway,
    )
}


def golden_text(rendered: Rendered) -> str:
    """Resources in the order of type and name, with the fields of each in theirs."""
    ordered = sorted(rendered.items(), key=lambda item: (item[0][0].name, item[0][1]))
    return (
        json.dumps({f"{kind.name} {name}": fields for (kind, name), fields in ordered}, indent=1, sort_keys=True) + "\n"
    )
