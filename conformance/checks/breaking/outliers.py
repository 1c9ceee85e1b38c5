"""Outlier detection: an endpoint that fails is left out, the others go on, and it comes back when it is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conformance.checks.breaking.load import counted
from conformance.checks.catalogue import check
from conformance.probe import Answer, EvidenceKind, Exchange, Feature, OutlierDetection, Probe, WitnessEndpoint

DECLARED = OutlierDetection(consecutive_failures=3, interval_s=0.1, base_ejection_s=0.3, most_ejected_percent=50)
EJECTED = "outlier_detection.ejections_active"
EJECTIONS = "outlier_detection.ejections_enforced_total"
ROUND = 4
"""Calls that come by each of two endpoints twice."""
MOST_CALLS = 20 * DECLARED.consecutive_failures


def endpoints_of(probe: Probe, exchanges: Sequence[Exchange]) -> dict[str, int]:
    """Which endpoint was called how often."""
    return Counter(arrival.endpoint for exchange in exchanges for arrival in probe.arrivals(exchange.nonce))


async def a_round(probe: Probe, path: str) -> list[Exchange]:
    """Call once round."""
    return [await probe.call(path) for _ in range(ROUND)]


async def fail_as_often_as_declared(probe: Probe, failing: WitnessEndpoint) -> int:
    """Call until the failing endpoint has failed as often as declared, or is called no more; gives its failures."""
    failures = 0
    for _ in range(MOST_CALLS):
        if failures == DECLARED.consecutive_failures:
            break
        exchange = await probe.call("/perhaps-fails")
        failures += endpoints_of(probe, [exchange]).get(failing.name, 0)
    return failures


async def round_within_one_ejection(probe: Probe) -> list[Exchange]:
    """A round during which one and the same ejection was in force from before its first call until after its last."""

    async def tried() -> list[Exchange] | None:
        before = await counted(probe, EJECTED), await counted(probe, EJECTIONS)
        exchanges = await a_round(probe, "/while-ejected")
        after = await counted(probe, EJECTED), await counted(probe, EJECTIONS)
        return exchanges if before == after and before[0] == 1 else None

    return await probe.eventually(tried, what="a round of calls within one ejection") or []


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

    The witness stands behind two endpoints. One begins to answer 500, is left out, recovers, and comes back. Calls are
    counted by the endpoint that they reached; those during an ejection are judged only if the statistics say that the
    same ejection was in force before and after them. (Envoy documentation, "Outlier detection".)
    """
    async with probe.extra_endpoint() as failing:
        policy = probe.policy()
        policy = policy.changed(endpoints=(*policy.endpoints, failing.endpoint), retry=None, outlier_detection=DECLARED)
        in_force = await probe.put_in_force(policy)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
        well = await a_round(probe, "/both-well")
        used = endpoints_of(probe, well)
        probe.record("both endpoints well", EvidenceKind.ARRIVALS, {"calls by endpoint": used})
        answered = all(exchange.status == 200 for exchange in well)
        probe.require("endpoints-not-both-used", len(used) == 2 and answered, seen=f"calls by endpoint: {used}")

        failing.answer = Answer(500)
        failures = await fail_as_often_as_declared(probe, failing)

        async def ejected() -> bool:
            return await counted(probe, EJECTED) == 1

        in_time = bool(await probe.eventually(ejected, what="the failing endpoint is ejected"))
        probe.record("ejection", EvidenceKind.STATISTICS, {"failures": failures, "ejected": in_time})
        as_declared = in_time and failures == DECLARED.consecutive_failures
        seen = f"{failures} failures, {DECLARED.consecutive_failures} declared; ejected: {in_time}"
        probe.expect("not-ejected-as-declared", as_declared, seen=seen)

        meanwhile = await round_within_one_ejection(probe)
        used = endpoints_of(probe, meanwhile)
        answers = [exchange.status for exchange in meanwhile]
        observed = {"calls by endpoint": used, "answers": answers}
        probe.record("calls while ejected", EvidenceKind.ARRIVALS, observed)
        probe.expect("ejected-endpoint-called", failing.name not in used, seen=f"calls by endpoint: {used}")
        served = len(answers) == ROUND and all(status == 200 for status in answers)
        probe.expect("healthy-endpoint-not-serving", served, seen=f"answers {answers}")

        failing.answer = None

        async def readmitted() -> bool:
            return failing.name in endpoints_of(probe, await a_round(probe, "/recovered"))

        back = bool(await probe.eventually(readmitted, what="the recovered endpoint is called again"))
        probe.record("calls after recovery", EvidenceKind.ARRIVALS, {"recovered endpoint called": back})
        probe.expect("never-readmitted", back, seen=f"called again: {back}")
