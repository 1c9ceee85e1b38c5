"""Policies have a history: the last of many changes counts, an earlier one can come back, a deleted one is gone."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, CALLER, EvidenceKind, Exchange, Feature, LogLine, Probe, WatchedCall

BURST = 30


@check(
    id="POLICY-010",
    title="Of many changes in quick succession, the last one counts in the end",
    proves=["POLICY-R14"],
    needs=[Feature.POLICY],
    evidence=["burst", "traffic"],
    fails={
        "last-not-enforced": "The last change comes to decide calls, and after it no other one does.",
    },
    inconclusive={
        "caller-refused": "Before the changes the caller is served, by a policy that the access log names.",
    },
    remedy="Look for a place between policy admin service and security server that drops changes when they come "
    "quickly, or that can put them in another order: a limit, a queue that is full, a retry, two paths of "
    "different length. Those in the middle may be left out, the last one never.",
)
async def converges_on_the_last(probe: Probe) -> None:
    """An operator's script makes thirty changes in a second, and nobody looks at each: what counts is where it ends.

    While callers call, thirty changes of one service are sent one after the other, each with a version of its own that
    the access log repeats, and nobody waits for any of them. Then the last one has to decide calls and go on to do so.
    """
    known = await probe.call()
    policy = (await probe.line(known) or {}).get("policy")
    probe.require("caller-refused", known.status == 200 and policy, seen=f"{known.summary}, decided by {policy}")
    policies = [probe.policy().changed(timeout_s=20.0 + number) for number in range(BURST)]
    last = policies[-1]
    async with probe.steady_traffic(probe.connection(), probe.connection()) as traffic:
        version = await probe.administration.burst(*policies)
        propagation = await probe.administration.settled(version)
        arrived = await traffic.decided_by(last)
        await traffic.round()
    calls = traffic.calls()
    numbers = {policy.version: number for number, policy in enumerate(policies, start=1)}
    decided = sorted({numbers[call.policy] for call in calls if call.policy in numbers})
    probe.record(
        "burst",
        EvidenceKind.PROPAGATION,
        {"changes": BURST, "that decided calls": decided, "unacknowledged": dict(propagation.unacknowledged)},
    )
    probe.record("traffic", EvidenceKind.ACCESS_LOG, traffic.to_json())

    after = undone(calls, last.version)
    seen = f"of {BURST} changes these decided calls: {decided}; {len(after)} calls after the last by another one"
    probe.expect("last-not-enforced", arrived and not after, seen=seen)


def undone(calls: Sequence[WatchedCall], last: str) -> list[WatchedCall]:
    """Calls that another policy decided although the last one had decided an earlier call of the same caller."""
    by_last: set[int] = set()
    found = []
    for call in calls:
        if call.policy == last:
            by_last.add(call.caller)
        elif call.caller in by_last:
            found.append(call)
    return found


@check(
    id="POLICY-011",
    title="After a rollback the earlier policy decides again, as it did",
    proves=["POLICY-R15"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=["versions", "by the earlier policy", "by the later policy", "after the rollback"],
    fails={
        "not-rolled-back": "After the rollback calls are decided by the earlier policy again.",
        "other-decision": "The earlier policy lets through and refuses the same calls as before.",
    },
    inconclusive={
        "policies-alike": "Before that, each of the two policies lets another one of two callers be served.",
    },
    remedy="See whether the policy admin service made a new version with the documents of the earlier one, and whether "
    "the security server was sent it: an earlier revision must not be taken for an outdated one. A rollback "
    "brings back the whole document, its access rules too.",
)
async def goes_back(probe: Probe) -> None:
    """Whoever has made a mistake must get back to where things were in order, without writing it all anew.

    Two callers exchange their access by a change: one had it, the other gets it. Then the policy admin service is told
    to go back to the version before. The access log must name the earlier policy again, and both callers must be
    treated as they were.
    """
    earlier = probe.policy().changed(access=(probe.everything_for(CALLER),))
    later = earlier.changed(access=(probe.everything_for(BYSTANDER),))

    async def decisions(name: str) -> list[str]:
        calls = []
        for caller in (CALLER, BYSTANDER):
            async with probe.peer_connection(caller) as fresh:
                calls.append(await probe.call(connection=fresh))
        lines = [await probe.line(call) for call in calls]
        found = [decision(*each) for each in zip(calls, lines, strict=True)]
        policies = [(line or {}).get("policy") for line in lines]
        shown = {"callers": [CALLER, BYSTANDER], "decisions": found, "policies": policies}
        probe.record(name, EvidenceKind.ACCESS_LOG, shown)
        return found

    await probe.apply(earlier)
    known = await probe.first_decided_by(earlier, probe.call)
    good = await probe.administration.version()
    first = await decisions("by the earlier policy")
    await probe.apply(later)
    changed = await probe.first_decided_by(later, probe.call)
    second = await decisions("by the later policy")
    seen = f"first {first}, then {second}"
    apart = first == second[::-1] != second and first[0].startswith("200")
    probe.require("policies-alike", known and changed and apart, seen=seen)

    propagation = await probe.administration.roll_back(good)
    back = await probe.first_decided_by(earlier, probe.call)
    third = await decisions("after the rollback")
    probe.record(
        "versions",
        EvidenceKind.PROPAGATION,
        {"back to": good, "made": await probe.administration.version(), "concerned": list(propagation.servers)},
    )
    probe.expect("not-rolled-back", back is not None, seen=f"{third}, by the earlier policy: {back is not None}")
    probe.expect("other-decision", third == first, seen=f"before {first}, after the rollback {third}")


def decision(exchange: Exchange, line: LogLine | None) -> str:
    """What became of a call, and why."""
    return f"{exchange.status} {(line or {}).get('details', '')}"
