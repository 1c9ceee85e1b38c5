"""How calls are shared out among the endpoints of a building block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conformance.checks.catalogue import check
from conformance.checks.discovery.shares import share_test
from conformance.model.policy import Share
from conformance.probe import WITNESS, EvidenceKind, Feature, PathMatch, PathMatchKind, Probe, Route

TURNS = 8
WEIGHTS = (3, 1)
CANARY, CANARY_PERCENT = "canary", 10
IN_FORCE = "Calls are decided by the policy under test."
SERVED = "The caller is served before the change."


def evenly(counts: Mapping[str, int], expected: Mapping[str, int]) -> bool:
    """Each endpoint has its part, give or take the one call with which a turn begins or ends."""
    return counts.keys() <= expected.keys() and all(
        abs(counts.get(name, 0) - wanted) <= 1 for name, wanted in expected.items()
    )


@check(
    id="DISCOVERY-003",
    title="Endpoints take turns, each as often as its weight says",
    proves=["DISCOVERY-R3"],
    needs=[Feature.DISCOVERY],
    evidence=["turns", "weights"],
    fails={
        "turns-not-taken": "Three endpoints of equal weight take turns: of three calls in a row each gets one.",
        "weights-not-kept": f"Two endpoints of the weights {WEIGHTS[0]} and {WEIGHTS[1]} have calls in this "
        "proportion, but for one more or less.",
    },
    inconclusive={"caller-refused": SERVED, "policy-not-in-force": IN_FORCE},
    remedy="Set lb_policy of the cluster to ROUND_ROBIN and load_balancing_weight of each endpoint as declared. "
    "Several workers take turns each for themselves: one worker (--concurrency 1) makes them exact.",
)
async def takes_turns(probe: Probe) -> None:
    """A machine that gets more than its share fails first, and the others stand idle beside it.

    With turns there is nothing to leave to chance, so they are counted exactly: calls go one after the other, and where
    each arrived is seen at the witness. First three endpoints have the same weight, then two have different ones.
    (Envoy docs, "Supported load balancers": weighted round robin.)
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    policy = probe.policy()
    (first,) = policy.endpoints
    async with probe.witness.extra_endpoint("second") as second, probe.witness.extra_endpoint("third") as third:
        equal = policy.changed(endpoints=(first, second.endpoint, third.endpoint))
        in_force = await probe.put_in_force(equal)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {equal.version}")
        order = (await probe.crowd.call("/turns", 3 * TURNS)).endpoints
        probe.record("turns", EvidenceKind.ARRIVALS, {"order": list(order)})
        turns = [set(order[first : first + 3]) for first in range(0, 3 * TURNS, 3)]
        kept = all(turn == {WITNESS, second.name, third.name} for turn in turns)
        probe.expect("turns-not-taken", kept, seen=f"in this order: {', '.join(order)}")

        heavy, light = WEIGHTS
        weighted = policy.changed(endpoints=(replace(first, weight=heavy), replace(second.endpoint, weight=light)))
        in_force = await probe.put_in_force(weighted)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {weighted.version}")
        by_weight = (await probe.crowd.call("/weights", (heavy + light) * TURNS)).by_endpoint
        expected = {WITNESS: heavy * TURNS, second.name: light * TURNS}
        probe.record("weights", EvidenceKind.ARRIVALS, {"expected": expected, "calls by endpoint": by_weight})
        probe.expect("weights-not-kept", evenly(by_weight, expected), seen=f"calls by endpoint: {by_weight}")


@check(
    id="DISCOVERY-004",
    title="A group of endpoints gets the share of the calls that is declared for it",
    proves=["DISCOVERY-R3"],
    needs=[Feature.DISCOVERY],
    evidence=["test", "calls by endpoint"],
    fails={
        "share-not-kept": f"The share of the group is {CANARY_PERCENT} %, by an exact binomial test that is wrong once "
        "in a million runs.",
    },
    inconclusive={"caller-refused": SERVED, "policy-not-in-force": IN_FORCE},
    remedy="Look at weighted_clusters of the service's route: the weights, their sum, and whether each cluster has its "
    "endpoints.",
)
async def keeps_shares(probe: Probe) -> None:
    """A new release is tried on a tenth of the calls; if it is half of them the trial is none any more.

    Which call goes where is left to chance, so a test with stated confidence judges: the sample is large enough that a
    share that is off by ten points is noticed in 999 of 1000 runs, and a right one is called wrong once in a million.
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    test = share_test(CANARY_PERCENT / 100)
    policy = probe.policy()
    split = (Share("", 100 - CANARY_PERCENT), Share(CANARY, CANARY_PERCENT))
    async with probe.witness.extra_endpoint(CANARY) as canary:
        policy = policy.changed(
            endpoints=(*policy.endpoints, replace(canary.endpoint, group=CANARY)),
            routes=(Route(PathMatch(PathMatchKind.PREFIX, "/shared"), split=split),),
        )
        in_force = await probe.put_in_force(policy)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
        arrived = await probe.crowd.call("/shared", test.calls)
    probe.record("test", EvidenceKind.NOTE, test.to_json())
    counts = arrived.by_endpoint
    observed = {"answered": arrived.answered, "calls by endpoint": counts}
    probe.record("calls by endpoint", EvidenceKind.ARRIVALS, observed)
    fits = test.fits(counts.get(CANARY, 0)) and sum(counts.values()) == arrived.answered == test.calls
    seen = f"{arrived.answered} answered, by endpoint {dict(counts)}; {test.fewest} to {test.most} of {test.calls} fit"
    probe.expect("share-not-kept", fits, seen=seen)
