"""Calls for services that nobody has registered: they end at the caller's own security server."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import CALLER, WITNESS, Feature, Probe

UNREGISTERED = {
    "unregistered service": "nobody-registered-this",
    "name that only begins like a known one": f"{WITNESS}ed",
}


async def require_known_service(probe: Probe, name: str) -> None:
    """A call of a registered service arrives."""
    known = await probe.call("/births")
    arrived = len(probe.arrivals(known.nonce))
    probe.record_exchange(name, known, await probe.line(known))
    seen = f"{known.summary}, arrived {arrived} times"
    probe.require("known-service-unreachable", known.status == 200 and arrived == 1, seen=seen)


@check(
    id="ROUTE-001",
    title="A call for a path that no route knows is answered 404 and goes nowhere",
    proves=["ROUTE-R7"],
    needs=[Feature.ROUTING],
    evidence=["known service", *UNREGISTERED, "known service again"],
    fails={
        "request-forwarded": "Nothing of a call for an unknown path leaves the caller's security server.",
        "wrong-status": "The answer to a call for an unknown path is 404 (RFC 9110 section 15.5.5).",
        "wrong-reason": "The security server's access log says that it found no route (flag NR, route_not_found).",
    },
    inconclusive={
        "known-service-unreachable": "A call for a registered service is answered, before and after the others.",
    },
    remedy="Take catch-all routes, default clusters, direct_response pages and local_reply_config out of the "
    "way of calls from applications, and let a service's prefix end with a slash. The access log "
    "needs %RESPONSE_FLAGS% and %RESPONSE_CODE_DETAILS%.",
)
async def ends_calls_for_unknown_paths(probe: Probe) -> None:
    """A path that nobody registered must not reach some building block by accident, and the caller must learn that.

    The calling application asks its security server for a service that does not exist, and for one whose name only
    begins like that of an existing one. Then a known service is called again: what had been forwarded of the others
    would stand in the provider's access log before it. Flag and details: Envoy documentation, "Access logging".
    """
    await require_known_service(probe, "known service")
    unknown = {what: await probe.call("/births", service=service) for what, service in UNREGISTERED.items()}
    lines = {what: await probe.line(exchange, CALLER) or {} for what, exchange in unknown.items()}
    for what, exchange in unknown.items():
        probe.record_exchange(what, exchange, lines[what])
    await require_known_service(probe, "known service again")

    others = [server for server in probe.mesh_members if server != CALLER]
    for what, exchange in unknown.items():
        passed = [server for server in others if probe.lines(exchange, server)]
        host = lines[what].get("upstream_host")
        arrived = len(probe.arrivals(exchange.nonce))
        seen = f"{what}: sent to {host or 'nobody'}, seen by {', '.join(passed) or 'nobody'}, arrived {arrived} times"
        probe.expect("request-forwarded", not (host or passed or arrived), seen=seen)
        probe.expect("wrong-status", exchange.status == 404, seen=f"{what}: {exchange.summary}")
        flags, details = lines[what].get("flags"), lines[what].get("details")
        said = flags == "NR" and details == "route_not_found"
        probe.expect("wrong-reason", said, seen=f"{what}: flags {flags}, details {details}")
