"""The whole rule set of a service changes at once: no call slips through in between, and none is refused in between."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.checks.catalogue import check
from conformance.checks.policy.change import kept_out, refused_by_rules, words
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.probe import (
    BYSTANDER,
    CALLER,
    AccessRule,
    EvidenceKind,
    Feature,
    PathMatch,
    PathMatchKind,
    Probe,
    Route,
    WatchedCall,
)

CHANGES = 8
CALLERS_OF_EACH = 2
STEADY = PathMatch(PathMatchKind.PREFIX, "/steady")
"""Where the traffic goes, by POST."""
OTHER = PathMatch(PathMatchKind.PREFIX, "/other")
ALWAYS_ALLOWED, ALWAYS_REFUSED = "calls that every policy allows", "calls that every policy refuses"


def rule_sets(probe: Probe, extra: Endpoint) -> Iterator[ServicePolicy]:
    """One policy after the other: all rules, routes and endpoints are replaced. Each lets the caller post to /steady
    and the bystander not; but what the bystander may do instead is always something near it.
    """
    policy = probe.policy()
    me, other = probe.identity(CALLER), probe.identity(BYSTANDER)
    first, second = policy.endpoints, (extra,)
    sets = (
        {
            "access": (AccessRule(other, methods=("GET",), paths=(STEADY,)), AccessRule(me)),
            "routes": (Route(STEADY, timeout_s=5.0),),
            "endpoints": second,
        },
        {
            "access": (AccessRule(other, methods=("POST",), paths=(OTHER,)), AccessRule(me, methods=("POST",))),
            "routes": (Route(OTHER, methods=("GET",)), Route(STEADY, methods=("POST",))),
            "endpoints": first,
        },
        {
            "access": (AccessRule(me, paths=(STEADY,)), AccessRule(other, paths=(OTHER,))),
            "routes": (),
            "endpoints": second,
        },
        {
            "access": (AccessRule(me, methods=("POST",)), AccessRule(other, methods=("GET",))),
            "routes": (Route(STEADY, timeout_s=7.0), Route(OTHER)),
            "endpoints": first,
        },
    )
    for number in range(CHANGES):
        policy = policy.changed(**sets[number % len(sets)])
        yield policy


@check(
    id="POLICY-009",
    title="While whole rule sets are exchanged no call slips through, and none is refused that both of them allow",
    proves=["POLICY-R6", "POLICY-R7"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=["rule sets", ALWAYS_ALLOWED, ALWAYS_REFUSED],
    fails={
        "denied-not-refused": "Each call that every policy refuses is refused by the rules, and none is forwarded.",
        "allowed-not-served": "Each call that every policy allows is served, exactly once.",
    },
    inconclusive={
        "callers-unlike-policy": "Before the changes one caller is served, and the other is refused by the rules.",
        "change-not-in-force": "Each rule set comes to decide calls, and the last one decides calls of both kinds.",
    },
    remedy="Exchange all rules of a service in one step, in one resource, with the routes that they guard; never take "
    "rules away before the new ones are there, or open a service for the time of a change. New endpoints and "
    "clusters come before the routes that name them, old ones go after.",
)
async def leaves_no_gap(probe: Probe) -> None:
    """A gap of a millisecond is enough for a program that tries all day (govstack-cfr-security#req-3); and a mesh that
    refuses everybody for a moment at each change will not be changed when it should be.

    Two applications with access post without a pause to one path, and two without access try the same. Meanwhile all
    rules, routes and endpoints of the service are exchanged eight times. Every policy agrees about these two, and
    about hardly anything else: the same caller may get the path or post elsewhere, in rules of changing order. By
    access log and arrivals, each call must end as all policies say.
    """
    begin = probe.policy().changed(access=(probe.everything_for(CALLER),))
    begun = await probe.put_in_force(begin)
    in_force: list[ServicePolicy] = []
    connections = [probe.connection() for _ in range(CALLERS_OF_EACH)]
    connections += [probe.peer_connection(BYSTANDER) for _ in range(CALLERS_OF_EACH)]
    async with probe.witness.extra_endpoint() as extra, probe.steady_traffic(*connections) as traffic:
        await traffic.round()
        for policy in rule_sets(probe, extra.endpoint):
            await probe.apply(policy)
            if not await traffic.decided_by(policy):
                break
            in_force.append(policy)
        for _ in range(2):
            await traffic.round()
    calls = traffic.calls()
    allowed = [call for call in calls if call.caller < CALLERS_OF_EACH]
    refused = [call for call in calls if call.caller >= CALLERS_OF_EACH]
    made = {"made": CHANGES, "in force": len(in_force), "versions": [policy.version for policy in in_force]}
    probe.record("rule sets", EvidenceKind.PROPAGATION, made)
    for name, each in ((ALWAYS_ALLOWED, allowed), (ALWAYS_REFUSED, refused)):
        arrived = sum(call.arrivals for call in each)
        probe.record(name, EvidenceKind.ARRIVALS, {"calls": words(each), "arrived": arrived})

    known = served(allowed[0]) and refused_by_rules(refused[0])
    probe.require("callers-unlike-policy", begun and known, seen=words([allowed[0], refused[0]]))
    last = in_force[-1].version if in_force else ""
    both = all(any(call.policy == last for call in each) for each in (allowed, refused))
    seen = f"{len(in_force)} of {CHANGES} rule sets did; both kinds of calls by the last one: {both}"
    probe.require("change-not-in-force", len(in_force) == CHANGES and both, seen=seen)
    slipped = [call for call in refused if not kept_out(call)]
    probe.expect("denied-not-refused", not slipped, seen=f"{len(slipped)} of {len(refused)} calls: {words(slipped)}")
    lost = [call for call in allowed if not served(call)]
    probe.expect("allowed-not-served", not lost, seen=f"{len(lost)} of {len(allowed)} calls: {words(lost)}")


def served(call: WatchedCall) -> bool:
    """By the application, once."""
    return call.exchange.status == 200 and call.arrivals == 1
