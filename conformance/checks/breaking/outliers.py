"""Outlier detection: an endpoint that fails is left out, the others go on, and it comes back when it is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from conformance.checks.breaking.load import counted
from conformance.checks.catalogue import check
from conformance.model.policy import ServicePolicy
from conformance.probe import Answer, EvidenceKind, Exchange, Feature, OutlierDetection, Probe, WitnessEndpoint

FAILURES = 3
LASTING = OutlierDetection(consecutive_failures=FAILURES, interval_s=0.1, base_ejection_s=60.0, most_ejected_percent=50)
"""An ejection that outlives the check, so that it does not matter how fast the calls are that are judged during it."""
PASSING = replace(LASTING, base_ejection_s=0.2)
EJECTED = "outlier_detection.ejections_active"
EJECTIONS = "outlier_detection.ejections_enforced_total"
ROUND = 4
"""Calls that come by each of two endpoints twice."""
MOST_CALLS = 20 * FAILURES


def endpoints_of(probe: Probe, exchanges: Sequence[Exchange]) -> dict[str, int]:
    """Which endpoint was called how often."""
    return Counter(arrival.endpoint for exchange in exchanges for arrival in probe.arrivals(exchange.nonce))


async def a_round(probe: Probe, path: str) -> list[Exchange]:
    """Call once round."""
    return [await probe.call(path) for _ in range(ROUND)]


async def both_called(
    probe: Probe, policy: ServicePolicy, second: WitnessEndpoint, declared: OutlierDetection
) -> dict[str, int]:
    """Put a second endpoint beside the first and call both while they are well; gives the calls by endpoint."""
    endpoints = (*policy.endpoints, second.endpoint)
    policy = policy.changed(endpoints=endpoints, retry=None, outlier_detection=declared)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
    well = await a_round(probe, "/both-well")
    used = endpoints_of(probe, well)
    answered = all(exchange.status == 200 for exchange in well)
    probe.require("endpoints-not-both-used", len(used) == 2 and answered, seen=f"calls by endpoint: {used}")
    return used


async def fall_sick(probe: Probe, sick: WitnessEndpoint) -> tuple[int, bool]:
    """Call until the endpoint has failed as often as declared, or is called no more; gives failures, and if ejected."""
    before = await counted(probe, EJECTIONS)
    sick.answer = Answer(500)
    failures = 0
    for _ in range(MOST_CALLS):
        if failures == FAILURES:
            break
        failures += endpoints_of(probe, [await probe.call("/perhaps-fails")]).get(sick.name, 0)

    async def ejected() -> bool:
        return await counted(probe, EJECTIONS) > before

    return failures, bool(await probe.eventually(ejected, what="the sick endpoint is ejected"))


@check(
    id="BREAK-003",
    title="An endpoint that fails is left out, the healthy one goes on, and it comes back when it is well",
    proves=["BREAK-R8", "BREAK-R9", "BREAK-R11"],
    needs=[Feature.CIRCUIT_BREAKING],
    evidence=["both endpoints well", "ejection", "calls while ejected", "calls after recovery"],
    fails={
        "not-ejected-as-declared": "An endpoint is ejected after as many failures in a row as declared, not before.",
        "ejected-endpoint-called": "While an endpoint is ejected no call is sent to it.",
        "healthy-endpoint-not-serving": "While one endpoint is ejected the healthy one answers all calls.",
        "never-readmitted": "After its ejection time the endpoint, well again, is sent calls again.",
    },
    inconclusive={
        "policy-not-in-force": "Calls are decided by the policy with two endpoints and outlier detection.",
        "endpoints-not-both-used": "As long as both endpoints are well both are sent calls, and answer them.",
    },
    remedy="In outlier_detection of the cluster set consecutive_5xx, base_ejection_time and "
    "max_ejection_time as declared, enforcing_consecutive_5xx to 100 and max_ejection_percent high "
    "enough for one endpoint, and healthy_panic_threshold to 0, or calls go to ejected endpoints.",
)
async def leaves_out_what_fails(probe: Probe) -> None:
    """A sick endpoint that is still sent its share of calls makes everybody sick a little. Left alone, it can recover.

    The witness stands behind two endpoints. One begins to answer 500 and is ejected, under a policy whose ejections
    outlast the check: so the calls judged during it need not hurry. Then the same happens to another endpoint under a
    policy whose ejections are short: it recovers, and has to be called again. (Envoy docs, "Outlier detection".)
    """
    policy = probe.policy()
    async with probe.witness.extra_endpoint("sick") as sick:
        used = await both_called(probe, policy, sick, LASTING)
        probe.record("both endpoints well", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        failures, ejected = await fall_sick(probe, sick)
        probe.record("ejection", EvidenceKind.STATISTICS, {"failures": failures, "ejected": ejected})
        seen = f"{failures} failures, {FAILURES} declared; ejected: {ejected}"
        probe.expect("not-ejected-as-declared", ejected and failures == FAILURES, seen=seen)

        meanwhile = await a_round(probe, "/while-ejected")
        used = endpoints_of(probe, meanwhile)
        answers = [exchange.status for exchange in meanwhile]
        observed = {"calls by endpoint": used, "answers": answers}
        probe.record("calls while ejected", EvidenceKind.ARRIVALS, observed)
        probe.expect("ejected-endpoint-called", sick.name not in used, seen=f"calls by endpoint: {used}")
        served = all(status == 200 for status in answers)
        probe.expect("healthy-endpoint-not-serving", served, seen=f"answers {answers}")

    async with probe.witness.extra_endpoint("recovering") as recovering:
        await both_called(probe, policy, recovering, PASSING)
        failures, ejected = await fall_sick(probe, recovering)
        seen = f"{failures} failures, {FAILURES} declared; ejected: {ejected}"
        probe.expect("not-ejected-as-declared", ejected, seen=seen)
        recovering.answer = None

        async def readmitted() -> bool:
            called = recovering.name in endpoints_of(probe, await a_round(probe, "/recovered"))
            return called and await counted(probe, EJECTED) == 0

        back = bool(await probe.eventually(readmitted, what="the recovered endpoint is called again"))
        probe.record("calls after recovery", EvidenceKind.ARRIVALS, {"recovered endpoint called": back})
        probe.expect("never-readmitted", back, seen=f"called again: {back}")
