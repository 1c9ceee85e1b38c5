"""Endpoints that are asked how they are: who is not well is left out, and somebody else takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.checks.catalogue import check
from conformance.model.policy import Endpoint, HealthCheck
from conformance.probe import Answer, EvidenceKind, Feature, Probe

HEALTH = HealthCheck(path="/health", interval_s=0.1, timeout_s=1.0, unhealthy_after=3, healthy_after=1)
"""Who says that it is sick is out at once; who is only slow for some seconds, because the machine is busy, stays in."""
HEALTHY = "cluster.application-witness.membership_healthy"
ROUND = 8
"""Calls that come by each of two endpoints several times."""
IN_FORCE = "Calls are decided by the policy with two endpoints and a health check."


async def put_in_force(probe: Probe, endpoints: Sequence[Endpoint]) -> None:
    """A policy with these endpoints, and each of them is asked how it is."""
    policy = probe.policy().changed(endpoints=tuple(endpoints), health_check=HEALTH, retry=None)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")


async def healthy(probe: Probe) -> int:
    """How many endpoints the subject's security server holds for healthy."""
    return sum((await probe.statistics(f"^{HEALTHY}$")).values())


async def called(probe: Probe, path: str) -> dict[str, int]:
    """Call a while; gives how often each endpoint was reached."""
    return dict((await probe.crowd.call(path, ROUND)).by_endpoint)


async def become(probe: Probe, path: str, *wanted: str) -> tuple[bool, dict[str, int]]:
    """Wait until exactly these endpoints are healthy and are called; gives whether so, and the calls seen last."""
    seen: dict[str, int] = {}

    async def so() -> bool:
        nonlocal seen
        if await healthy(probe) < len(wanted):
            return False
        seen = await called(probe, path)
        return seen.keys() == {*wanted}

    found = bool(await probe.eventually(so, what=f"{', '.join(wanted)} are called"))
    return found, seen


@check(
    id="DISCOVERY-005",
    title="An endpoint that fails its health check is left out, and comes back when it is well",
    proves=["DISCOVERY-R4"],
    needs=[Feature.DISCOVERY],
    evidence=["both well", "one sick", "calls while one is sick", "well again"],
    fails={
        "not-taken-out": "The endpoint whose health check fails is no longer held for healthy.",
        "sick-endpoint-called": "While it is out, all calls go to the endpoint that is well, and are answered.",
        "never-taken-back": "The endpoint is held for healthy and called again when its health check succeeds.",
    },
    inconclusive={
        "caller-refused": "The caller is served before the change.",
        "policy-not-in-force": IN_FORCE,
        "endpoints-not-both-used": "As long as both endpoints are well both are called.",
    },
    remedy="Give the cluster health_checks with the path, interval and thresholds as declared, and "
    "healthy_panic_threshold 0, or calls go to sick endpoints; `/clusters` shows failed_active_hc.",
)
async def leaves_out_what_is_sick(probe: Probe) -> None:
    """An endpoint can be asked before a caller meets it: then nobody has to fail for others to learn that it is sick.

    Two endpoints are asked by the subject's security server how they are, ten times a second. One begins to answer
    503. It must leave, by the security server's own count and by where calls go; and come back. (Envoy docs, "Health
    checking".)
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    async with probe.witness.extra_endpoint("steady") as steady, probe.witness.extra_endpoint("sick") as sick:
        await put_in_force(probe, (steady.endpoint, sick.endpoint))
        both, used = await become(probe, "/both-well", steady.name, sick.name)
        probe.record("both well", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        probe.require("endpoints-not-both-used", both, seen=f"calls by endpoint: {used}")

        sick.answer = Answer(503)

        async def one_left() -> bool:
            return await healthy(probe) == 1

        out = bool(await probe.eventually(one_left, what="one endpoint is held for healthy"))
        probe.record("one sick", EvidenceKind.STATISTICS, {HEALTHY: await healthy(probe)})
        probe.expect("not-taken-out", out, seen=f"{await healthy(probe)} of 2 held for healthy")
        meanwhile = await probe.crowd.call("/one-sick", ROUND)
        used = dict(meanwhile.by_endpoint)
        observed = {"calls by endpoint": used, "answered": meanwhile.answered}
        probe.record("calls while one is sick", EvidenceKind.ARRIVALS, observed)
        probe.expect("sick-endpoint-called", used == {steady.name: ROUND}, seen=f"calls by endpoint: {used}")

        sick.answer = None
        back, used = await become(probe, "/well-again", steady.name, sick.name)
        probe.record("well again", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        probe.expect("never-taken-back", back, seen=f"{await healthy(probe)} held for healthy; calls: {used}")


@check(
    id="DISCOVERY-006",
    title="When the endpoints of the first priority fail those of the second take over, and give back",
    proves=["DISCOVERY-R5"],
    needs=[Feature.DISCOVERY, Feature.FAILOVER],
    evidence=["first well", "first sick", "first well again"],
    fails={
        "second-called-too-early": "As long as the first priority is well, the second gets no call.",
        "second-did-not-take-over": "When the first priority fails, all calls go to the second.",
        "first-not-back": "When the first priority is well again, all calls go to it again.",
    },
    inconclusive={
        "caller-refused": "The caller is served before the change.",
        "policy-not-in-force": IN_FORCE,
        "first-not-called": "In the beginning the endpoint of the first priority is called.",
    },
    remedy="Give each priority a group of its own in the endpoints of the cluster (LocalityLbEndpoints.priority, "
    "without gaps), and let health checks or outlier detection tell who is well.",
)
async def fails_over(probe: Probe) -> None:
    """A second site is there for the day on which the first one fails, and for no other: it may be far away, or small.

    Two endpoints have different priorities. The first begins to answer its health check with 503, then is well again.
    Where the calls went is seen at the witness. (Envoy docs, "Priority levels".)
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    async with probe.witness.extra_endpoint("first") as first, probe.witness.extra_endpoint("second") as second:
        await put_in_force(probe, (first.endpoint, replace(second.endpoint, priority=1)))

        async def both_well() -> bool:
            return await healthy(probe) == 2

        all_well = bool(await probe.eventually(both_well, what="both endpoints are held for healthy"))
        used = await called(probe, "/first-well")
        probe.record("first well", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        seen = f"both held for healthy: {all_well}; calls by endpoint: {used}"
        probe.require("first-not-called", first.name in used, seen=seen)
        probe.expect("second-called-too-early", second.name not in used, seen=f"calls by endpoint: {used}")

        first.answer = Answer(503)
        over, used = await become(probe, "/first-sick", second.name)
        probe.record("first sick", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        probe.expect("second-did-not-take-over", over, seen=f"calls by endpoint: {used}")

        first.answer = None
        back, used = await become(probe, "/first-well-again", first.name)
        probe.record("first well again", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        probe.expect("first-not-back", back, seen=f"calls by endpoint: {used}")
