"""The authentication service in the path of each call: asked first, and obeyed."""

from __future__ import annotations

from conformance.checks.authz.seeing import Seen, see, some_of
from conformance.checks.catalogue import check
from conformance.pki.tokens import TokenAuthority
from conformance.probe import CALLER, WITNESS, BearerTokens, EvidenceKind, Feature, Probe

CALLS = [
    ("GET", "/asked"),
    ("HEAD", "/asked"),
    ("OPTIONS", "/asked"),
    ("POST", "/asked"),
    ("PUT", "/asked/once"),
    ("PATCH", "/asked/once"),
    ("DELETE", "/asked/once?and=again"),
    ("GET", "/"),
]
REFUSAL = "token-missing"


async def call_in_many_ways(probe: Probe, *, straight_only: bool = False) -> list[Seen]:
    """Every method, over both protocols, straight to the subject's security server and through the caller's."""
    made = []
    for protocol, http2 in (("HTTP/1.1", False), ("HTTP/2", True)):
        async with probe.peer_connection(http2=http2) as connection:
            for method, path in CALLS:
                body = b"body" if method in {"POST", "PUT", "PATCH"} else b""
                exchange = await connection.call(f"/{WITNESS}{path}", method=method, body=body)
                made.append((f"{method} {path} over {protocol}", exchange))
    if not straight_only:
        for method, path in CALLS:
            made.append((f"{method} {path} by the application", await probe.call(path, method=method)))
    return [await see(probe, what, exchange) for what, exchange in made]


def asked_about(seen: Seen, probe: Probe) -> bool:
    """The service was asked on each side that the call passed, and had answered before the call arrived."""
    sides = {probe.subject.name: "inbound"}
    if seen.what.endswith("by the application"):
        sides[CALLER] = "outbound"
    asked = {decision.server: decision.direction for decision in seen.decisions}
    return asked == sides and all(decision.precedes(seen.arrivals) for decision in seen.decisions)


@check(
    id="AUTHZ-007",
    title="The authentication service is asked about each call before the call is forwarded",
    proves=["AUTHZ-R8"],
    needs=[Feature.AUTHENTICATION_SERVICE],
    evidence=["calls"],
    fails={
        "forwarded-unasked": "About each call that arrives the authentication service was asked by each security "
        "server on its way, and had answered before it arrived.",
        "asked-about-something-else": "It was asked about the very caller, method and path.",
    },
    inconclusive={
        "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
        "known-caller-refused": "Calls of a caller whom a rule names are served by the witness.",
    },
    remedy="Put the ext_authz filter before the router of every listener, for peers and for applications, without "
    "filter_enabled, and disable it on no route (ExtAuthzPerRoute); pass on the caller's certificate.",
)
async def asks_about_each_call(probe: Probe) -> None:
    """A service that is asked about some calls decides about none: the others are the way round it.

    The calls use seven methods, several paths, with and without a body, over HTTP/1.1 and HTTP/2, straight to the
    provider's security server and through that of the calling application. The decision log of the authentication
    service, read by request id, must name each of them for each security server that it passed; the witness notes when
    it arrived (Envoy documentation: "External Authorization").
    """
    in_force = await probe.put_in_force(probe.policy().changed(authentication=True))
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    calls = await call_in_many_ways(probe)
    probe.record("calls", EvidenceKind.EXCHANGE, {each.what: each.to_json() for each in calls})
    refused = [each for each in calls if each.exchange.status != 200]
    probe.require("known-caller-refused", not refused, seen=some_of(refused, otherwise="all were served"))
    unasked = [each for each in calls if not asked_about(each, probe)]
    probe.expect("forwarded-unasked", not unasked, seen=some_of(unasked, otherwise="it was asked about all of them"))
    for each in calls:
        method, path = each.what.split()[:2]
        operation = f"{method} /{WITNESS}{path.partition('?')[0]}"
        wanted = {(probe.identity(CALLER), operation)}
        named = {(decision.caller, decision.operation) for decision in each.decisions}
        probe.expect("asked-about-something-else", named == wanted, seen=f"{each.what}: asked about {sorted(named)}")


@check(
    id="AUTHZ-008",
    title="A call that the authentication service refuses ends at the security server, with the service's answer",
    proves=["AUTHZ-R9", "AUTHZ-R19"],
    needs=[Feature.AUTHENTICATION_SERVICE],
    evidence=["served before", "refused calls"],
    fails={
        "call-forwarded": "Nothing of a call that the authentication service refuses reaches the application.",
        "wrong-reason": "The security server says that the service refused (ext_authz_denied, flag UAEX), and the "
        "service's decision log says why.",
        "wrong-status": "The caller gets the status of the service's answer, 401 for a missing token.",
    },
    inconclusive={
        "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
        "known-caller-refused": "The same calls are served while the service allows them.",
    },
    remedy="Put the ext_authz filter before the router with failure_mode_allow: false and without filter_enabled; "
    "the service must answer what its policies say. Leave its answer as it is (no local_reply_config).",
)
async def obeys_refusals(probe: Probe) -> None:
    """A no that is only logged is a yes.

    The same calls as for AUTHZ-007 are allowed by the access rules, which stay as they are. First the authentication
    service allows them; then the policy makes it ask for a bearer token, which none of the calls has. Each must end
    with the service's own refusal (Envoy documentation: "External Authorization"), and nothing of it may arrive.
    """
    policy = probe.policy().changed(authentication=True)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    served = await call_in_many_ways(probe, straight_only=True)
    probe.record("served before", EvidenceKind.EXCHANGE, {each.what: each.to_json() for each in served})
    missing = [each for each in served if each.exchange.status != 200]
    probe.require("known-caller-refused", not missing, seen=some_of(missing, otherwise="all were served"))

    issuer = TokenAuthority()
    trusted = await probe.authentication.trust(issuer)
    strict = policy.changed(tokens=BearerTokens(WITNESS, (issuer.name,)))
    in_force = trusted and await probe.put_in_force(strict)
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    calls = await call_in_many_ways(probe, straight_only=True)
    probe.record("refused calls", EvidenceKind.EXCHANGE, {each.what: each.to_json() for each in calls})
    arrived = [each for each in calls if each.arrivals]
    probe.expect("call-forwarded", not arrived, seen=some_of(arrived, otherwise="nothing arrived"))
    wrong = [each for each in calls if not each.refused_by_service(REFUSAL)]
    probe.expect("wrong-reason", not wrong, seen=some_of(wrong, otherwise="all were refused by the service"))
    other = [each for each in calls if each.exchange.status != 401]
    probe.expect("wrong-status", not other, seen=some_of(other, otherwise="all were answered 401"))
