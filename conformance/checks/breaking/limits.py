"""The limits of a circuit breaker: what fits is let through, the rest is refused at once, and nothing stays shut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.checks.breaking.load import counted, load
from conformance.checks.catalogue import check
from conformance.probe import CircuitBreaker, EvidenceKind, Exchange, Feature, LogLine, Probe

HELD = 2
CONNECTIONS = CircuitBreaker(connections=HELD, pending_requests=1)
REQUESTS = CircuitBreaker(requests=HELD)
OVERFLOWS = ("upstream_rq_pending_overflow", "upstream_rq_active_overflow")
"""By version, Envoy counts a request beyond `max_requests` under the one or the other."""


@dataclass(frozen=True)
class Observed:
    """A witness that holds calls up to a limit, and the calls beyond it.

    Attributes:
        held: how many calls the witness held.
        waited: one call more had to wait for a connection while the witness held the others; None: it was not made.
        connections: how many connections all these calls took.
        beyond, line: the call for which there was no room, and what the provider's access log says about it.
        at_once: it was answered while the witness still held as many as before.
        overflows: by how much the statistics of overflow grew.
        within: the answers of the calls for which there was room.

    """

    held: int
    waited: bool | None
    connections: int
    beyond: Exchange
    line: LogLine
    at_once: bool
    overflows: int
    within: tuple[Exchange, ...]

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "held": self.held,
            "waited": self.waited,
            "connections": self.connections,
            "beyond": self.beyond.to_json() | {"access_log": dict(self.line)},
            "answered while the others were held": self.at_once,
            "overflows counted": self.overflows,
            "within the limit": [exchange.summary for exchange in self.within],
        }


async def observe(probe: Probe, breaker: CircuitBreaker, *, waiting: bool) -> Observed:
    """Fill the witness to its limit and make one call more. Overflow is not repeated, so that one call is one try."""
    policy = probe.policy().changed(circuit_breaker=breaker, retry=None)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
    before = await counted(probe, *OVERFLOWS)
    async with load(probe) as under_way:
        held = await under_way.hold(HELD)
        waited = await under_way.waits(under_way.start("/waits"), 1) if waiting else None
        beyond = under_way.start("/beyond")
        ended = not await under_way.waits(beyond, 2) if waiting else await under_way.ends(beyond)
        at_once = ended and probe.witness.held == held
        *within, last = await under_way.let_go()
    connections = {arrival.connection for exchange in within for arrival in probe.arrivals(exchange.nonce)}
    return Observed(
        held=held,
        waited=waited,
        connections=len(connections),
        beyond=last,
        line=await probe.line(last) or {},
        at_once=at_once,
        overflows=await counted(probe, *OVERFLOWS) - before,
        within=tuple(within),
    )


@check(
    id="BREAK-001",
    title="Calls beyond a limit are refused at once and marked, and let through again when the load falls",
    proves=["BREAK-R1", "BREAK-R2", "BREAK-R3", "BREAK-R5", "BREAK-R6"],
    needs=[Feature.CIRCUIT_BREAKING],
    evidence=["plain call", "limit of connections and waiting calls", "limit of requests", "call afterwards"],
    fails={
        "refused-below-limit": "As many calls as declared are let through and answered.",
        "connection-limit-ignored": "With all declared connections in use no other one is opened: the next call waits.",
        "pending-limit-ignored": "With as many calls waiting as declared the next one is refused, while they wait.",
        "request-limit-ignored": "With as many requests under way as declared the next one is refused meanwhile.",
        "overflow-unmarked": "An overflow is answered 503 with x-envoy-overloaded, flagged UO in the log, and counted.",
        "still-refused-afterwards": "When the calls under way have ended, the next one is answered.",
    },
    inconclusive={
        "plain-call-failed": "A plain call is answered by the witness.",
        "policy-not-in-force": "Calls are decided by the policy with the limits under test.",
    },
    remedy="Set max_connections, max_pending_requests and max_requests in the circuit_breakers of the "
    "building block's own cluster to what the policy declares, for the default priority. Leave the "
    "503 with x-envoy-overloaded and flag UO as it is, and let no outlier detection count it as a "
    "failure.",
)
async def refuses_what_is_beyond_its_limits(probe: Probe) -> None:
    """A building block that is busy gets slower with every call more, until nobody is served. Better some are refused.

    The witness holds as many calls as there are connections, so that the next call has to wait and the one after that
    finds no room. Then the same for requests. A refusal came at once if it came while the witness still held the
    others: no clock is asked. (Envoy documentation, "Circuit breaking".)
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    connections = await observe(probe, CONNECTIONS, waiting=True)
    probe.record("limit of connections and waiting calls", EvidenceKind.EXCHANGE, connections.to_json())
    requests = await observe(probe, REQUESTS, waiting=False)
    probe.record("limit of requests", EvidenceKind.EXCHANGE, requests.to_json())

    async def idle() -> bool:
        return await counted(probe, "upstream_rq_active") == 0

    relieved: bool | None = await probe.eventually(idle, what="no request is under way at the witness")
    afterwards = await probe.call("/afterwards")
    probe.record_exchange("call afterwards", afterwards, await probe.line(afterwards))

    for limited in (connections, requests):
        answers = [exchange.status for exchange in limited.within]
        served = limited.held == HELD and all(status == 200 for status in answers)
        probe.expect("refused-below-limit", served, seen=f"{limited.held} calls held, answers {answers}")
    taken = connections.connections
    seen = f"it waited: {connections.waited}; {taken} connections, {CONNECTIONS.connections} declared"
    within_limit = connections.waited and taken <= CONNECTIONS.connections
    probe.expect("connection-limit-ignored", within_limit, seen=seen)
    for limited, reason in ((connections, "pending-limit-ignored"), (requests, "request-limit-ignored")):
        refused = limited.at_once and not probe.arrivals(limited.beyond.nonce)
        seen = f"answered while the others were held: {limited.at_once}; {limited.beyond.summary}"
        probe.expect(reason, refused, seen=seen)
    for limited in (connections, requests):
        marked = limited.beyond.status == 503 and limited.beyond.header("x-envoy-overloaded") == "true"
        logged = limited.line.get("flags") == "UO" and limited.overflows == 1
        flags = f"flags {limited.line.get('flags')}, {limited.overflows} overflows counted"
        probe.expect("overflow-unmarked", marked and logged, seen=f"{limited.beyond.summary}; {flags}")
    seen = f"no request under way: {bool(relieved)}; {afterwards.summary}"
    probe.expect("still-refused-afterwards", afterwards.status == 200, seen=seen)
