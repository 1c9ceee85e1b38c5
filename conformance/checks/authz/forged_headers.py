"""Headers that a caller writes itself: they open nothing, and they make nobody somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.catalogue import check
from conformance.probe import (
    BYSTANDER,
    CALLER,
    WITNESS,
    AccessRule,
    Arrival,
    EvidenceKind,
    Exchange,
    Feature,
    PathMatch,
    PathMatchKind,
    Probe,
)

OPEN, CLOSED = "/v1/public", "/v1/private"
CERTIFICATE = "x-forwarded-client-cert"
IDENTITY_HEADERS = ("x-meshmark-caller", "x-meshmark-subject", "x-meshmark-issuer")
"""What the authentication service tells the building block about the caller."""


def forged_identities(identity: str) -> list[tuple[str, str]]:
    """Headers by which somebody else's identity could be claimed."""
    element = f'By={identity};Hash={"0" * 64};Subject="";URI={identity}'
    return [
        (CERTIFICATE, element),
        (CERTIFICATE.upper(), f"URI={identity}"),
        *((name, identity) for name in IDENTITY_HEADERS),
        ("x-spiffe-id", identity),
        ("x-forwarded-user", identity),
        ("x-ssl-client-verify", "SUCCESS"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-envoy-internal", "true"),
        ("x-envoy-peer-metadata-id", identity),
    ]


OTHER_PATHS = [
    ("x-original-url", f"/{WITNESS}{OPEN}"),
    ("x-rewrite-url", f"/{WITNESS}{OPEN}"),
    ("x-envoy-original-path", f"/{WITNESS}{OPEN}"),
    ("x-forwarded-prefix", f"/{WITNESS}{OPEN}"),
    ("x-forwarded-path", f"/{WITNESS}{OPEN}"),
    ("x-envoy-original-url", f"/{WITNESS}{OPEN}"),
    ("host", f"{WITNESS}.mesh.test"),
    ("x-forwarded-host", WITNESS),
    ("x-envoy-decorator-operation", WITNESS),
]
OTHER_METHODS = [("x-http-method-override", "GET"), ("x-http-method", "GET"), ("x-method-override", "GET")]


@dataclass(frozen=True)
class Forgery:
    """One call with a forged header and what became of it."""

    who: str
    header: str
    exchange: Exchange
    named: str
    refused_truly: bool
    arrived: int

    @property
    def summary(self) -> str:
        """In a few words."""
        return f"{self.who} with {self.header}: {self.exchange.summary}, {self.arrived} arrived, logged as {self.named}"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "caller": self.who,
            "header": self.header,
            "status": self.exchange.status,
            "logged as": self.named,
            "arrived": self.arrived,
        }


async def forge(probe: Probe, *, http2: bool) -> list[Forgery]:
    """Calls that no rule allows, each with one header that says something else, then all of them in one call."""
    identities = forged_identities(probe.identity(CALLER))
    everything = identities + OTHER_PATHS + OTHER_METHODS
    calls = [(BYSTANDER, "GET", OPEN, [header]) for header in identities]
    calls += [(CALLER, "GET", CLOSED, [header]) for header in OTHER_PATHS]
    calls += [(CALLER, "DELETE", OPEN, [header]) for header in OTHER_METHODS]
    calls += [(BYSTANDER, "GET", OPEN, everything), (CALLER, "DELETE", CLOSED, everything)]
    made = []
    async with (
        probe.peer_connection(BYSTANDER, http2=http2) as bystander,
        probe.peer_connection(CALLER, http2=http2) as caller,
    ):
        connections = {BYSTANDER: bystander, CALLER: caller}
        for who, method, path, headers in calls:
            name = headers[0][0] if len(headers) == 1 else "all of them"
            exchange = await connections[who].call(f"/{WITNESS}{path}", method=method, headers=headers)
            made.append((who, name, exchange))
    forgeries = []
    for who, name, exchange in made:
        line = await probe.line(exchange) or {}
        truly = exchange.status == 403 and refused_by_no_rule(line, probe.identity(who))
        arrived = len(probe.arrivals(exchange.nonce))
        forgeries.append(Forgery(who, name, exchange, str(line.get("caller", "nobody")), truly, arrived))
    return forgeries


@check(
    id="AUTHZ-005",
    title="No header that a caller writes opens what its own identity, method and path do not",
    proves=["AUTHZ-R7", "AUTHZ-R19"],
    needs=[Feature.AUTHORIZATION],
    evidence=["allowed call", "forgeries over HTTP/1.1", "forgeries over HTTP/2"],
    fails={
        "header-believed": "Nothing of a call that no rule allows arrives, whatever its headers say about it.",
        "wrong-reason": "Each of these calls is refused with 403 because no rule matches, and logged under the "
        "identity in the caller's certificate.",
    },
    inconclusive={
        "rules-not-in-force": "The security server decides by the new rules within the time for that.",
        "known-caller-refused": "The one call that a rule allows is served by the witness.",
    },
    remedy="Let RBAC compare the caller's certificate (authenticated principal), :method and :path, and no header; on "
    "the HTTP connection manager for peers set forward_client_cert_details: SANITIZE_SET and use_remote_address.",
)
async def believes_no_header(probe: Probe) -> None:
    """Whoever can write a header can write anything into it; only the certificate and the call itself count.

    A rule lets one member GET one path. Another member makes this call under headers that name the first one; the
    first one calls another path, and by another method, under headers that name the open ones: `x-original-url`,
    `x-rewrite-url`, `x-http-method-override`, a forged authority and others that frameworks and proxies are known to
    believe (Envoy documentation: "HTTP header manipulation"). All of it over HTTP/1.1 and HTTP/2.
    """
    rule = AccessRule(probe.identity(CALLER), methods=("GET",), paths=(PathMatch(PathMatchKind.EXACT, OPEN),))
    policy = probe.policy().changed(access=(rule,))
    propagation = await probe.apply(policy)
    async with probe.peer_connection() as honest:
        decided = await probe.first_decided_by(policy, lambda: honest.call(f"/{WITNESS}{OPEN}"))
        probe.require("rules-not-in-force", decided, seen=f"no call was decided by the new rules: {propagation}")
        allowed = await honest.call(f"/{WITNESS}{OPEN}")
        probe.record_exchange("allowed call", allowed)
        probe.require("known-caller-refused", allowed.status == 200, seen=allowed.summary)
    forgeries = []
    for protocol, http2 in (("HTTP/1.1", False), ("HTTP/2", True)):
        made = await forge(probe, http2=http2)
        probe.record(f"forgeries over {protocol}", EvidenceKind.EXCHANGE, {"calls": [each.to_json() for each in made]})
        forgeries += made
    believed = [each.summary for each in forgeries if each.arrived]
    probe.expect("header-believed", not believed, seen="; ".join(believed[:3]) or "nothing arrived")
    wrong = [each.summary for each in forgeries if not each.refused_truly]
    probe.expect("wrong-reason", not wrong, seen="; ".join(wrong[:3]) or "all were refused by no rule")


def identities_in(certificates: Sequence[str]) -> list[str]:
    """All URIs that these certificate headers name."""
    elements = [element for each in certificates for element in each.replace(",", ";").split(";")]
    return [element.partition("=")[2] for element in elements if element.strip().lower().startswith("uri=")]


def told(arrival: Arrival) -> Mapping[str, list[str]]:
    """What the building block was told about the caller, by each header."""
    headers: dict[str, list[str]] = {CERTIFICATE: [], **{name: [] for name in IDENTITY_HEADERS}}
    for name, value in arrival.headers:
        if name in headers:
            headers[name].append(value)
    return {**headers, CERTIFICATE: identities_in(headers[CERTIFICATE])}


@check(
    id="AUTHZ-006",
    title="The building block is told the caller's proven identity, and nothing that the caller made up",
    proves=["MTLS-R19", "MTLS-R20"],
    needs=[Feature.MTLS, Feature.AUTHENTICATION_SERVICE],
    evidence=["identities told"],
    fails={
        "forgery-forwarded": "No identity that a caller writes into a header reaches the building block.",
        "identity-not-told": "The building block gets the identity in the caller's certificate.",
    },
    inconclusive={
        "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
        "known-caller-refused": "A caller whom a rule names is served by the witness, whatever headers it sends.",
    },
    remedy="On the HTTP connection manager for peers set forward_client_cert_details: SANITIZE_SET with "
    "set_current_client_cert_details: {uri: true}; let the authentication service write its identity headers with "
    "OVERWRITE_IF_EXISTS_OR_ADD and remove those for which it has no value.",
)
async def tells_the_proven_identity(probe: Probe) -> None:
    """A building block keeps accounts by the identity that it is told; if callers can write it, they write another's.

    A member with every right calls the witness without such headers, then with forged ones, over HTTP/1.1 and HTTP/2,
    straight and through the caller's own security server. What arrives must name the caller's certificate, and
    nobody else (Envoy documentation: "x-forwarded-client-cert").
    """
    policy = probe.policy().changed(authentication=True)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    forged = forged_identities(probe.identity(BYSTANDER))
    calls = {"through the caller's security server": await probe.call("/told", headers=forged)}
    for protocol, http2 in (("HTTP/1.1", False), ("HTTP/2", True)):
        async with probe.peer_connection(http2=http2) as connection:
            calls[f"over {protocol}, honest"] = await connection.call(f"/{WITNESS}/told")
            calls[f"over {protocol}, forged"] = await connection.call(f"/{WITNESS}/told", headers=forged)
    for what, exchange in calls.items():
        probe.require("known-caller-refused", exchange.status == 200, seen=f"{what}: {exchange.summary}")
    arrived = {what: told(probe.arrivals(exchange.nonce)[0]) for what, exchange in calls.items()}
    probe.record("identities told", EvidenceKind.ARRIVALS, arrived)
    true = probe.identity(CALLER)
    for what, headers in arrived.items():
        lies = {name: values for name, values in headers.items() if set(values) - {true}}
        probe.expect("forgery-forwarded", not lies, seen=f"{what}: {lies or 'nothing but the true identity'}")
    for what, headers in arrived.items():
        told_truly = headers[CERTIFICATE] == [true] and headers["x-meshmark-caller"] == [true]
        probe.expect("identity-not-told", told_truly, seen=f"{what}: {dict(headers)}")
