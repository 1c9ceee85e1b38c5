"""Where an application may send calls by its security server: to what is registered, and nowhere else."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import CALLER, EvidenceKind, Feature, Probe

OUTSIDE_PATH = "/outside-of-the-mesh/anything"
WAYS = ("named in the request line", "named in the host header")


@check(
    id="TOPOLOGY-006",
    title="A security server does not lead its applications to destinations that are not registered",
    proves=["TOPOLOGY-R6"],
    needs=[Feature.TOPOLOGY],
    evidence=["registered service", *WAYS, "connections outside"],
    fails={
        "destination-reached": "Nobody who is not registered is connected to, whatever address an application names.",
        "wrong-reason": "The security server refuses because it knows no route (route_not_found), and its access "
        "log says so.",
    },
    inconclusive={
        "registered-service-unreachable": "A call for a registered service is answered.",
    },
    remedy="Take out of the listener for applications whatever follows the address that an application names: "
    "dynamic_forward_proxy, ORIGINAL_DST clusters, catch-all routes; and direct_response routes that hide it.",
)
async def leads_nowhere_else(probe: Probe) -> None:
    """A security server that forwards to any address is an open proxy: it carries data out, past every register.

    Somebody who is no part of the mesh listens on the network. The calling application asks its security server for him
    by his address, once in the request line as with a forward proxy (RFC 9112 section 3.2.2) and once in the Host
    header. He counts who comes. A registered service is called first (GovStack IM 1.1.1 section 6.2).
    """
    known = await probe.call("/")
    probe.record_exchange("registered service", known)
    probe.require("registered-service-unreachable", known.status == 200, seen=known.summary)

    async with probe.hosts.listener() as outside, probe.connection() as connection:
        address = f"{outside.endpoint.host}:{outside.endpoint.port}"
        asked = {
            WAYS[0]: await connection.call(f"http://{address}{OUTSIDE_PATH}", headers={"host": address}),
            WAYS[1]: await connection.call(OUTSIDE_PATH, headers={"host": address}),
        }
        lines = {way: await probe.line(exchange, CALLER) or {} for way, exchange in asked.items()}
        came = outside.connections
    for way, exchange in asked.items():
        probe.record_exchange(way, exchange, lines[way])
    probe.record("connections outside", EvidenceKind.ARRIVALS, {"count": came})
    sent_to = [str(line["upstream_host"]) for line in lines.values() if line.get("upstream_host")]
    seen = f"{came} connections came in outside; the access log names {', '.join(sent_to) or 'no upstream'}"
    probe.expect("destination-reached", not (came or sent_to), seen=seen)
    for way, line in lines.items():
        details = line.get("details")
        seen = f"{way}: {asked[way].summary}, details {details}"
        probe.expect("wrong-reason", details == "route_not_found", seen=seen)
