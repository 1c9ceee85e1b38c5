"""Access taken away and access granted: both count from the next call on, and nothing is restarted for it."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.policy.change import change_under_traffic, refused_by_rules
from conformance.probe import BYSTANDER, CALLER, Feature, Probe

EVIDENCE = ["change", "first call decided by the change", "traffic", "life of the security server", "other caller"]
NOT_ENFORCED = "The security server comes to decide calls by the changed policy."
RESTARTED = "The security server lives on: same process, same restart epoch, a growing uptime."


@check(
    id="POLICY-001",
    title="A caller whose access is taken away is refused from then on, without a restart",
    proves=["POLICY-R1"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=EVIDENCE,
    fails={
        "not-enforced": NOT_ENFORCED,
        "still-let-through": "No call that the changed policy decided reaches the application.",
        "restarted": RESTARTED,
        "wrong-refusal": "Each of these calls is refused with 403 by the access rules, and the access log says so.",
    },
    inconclusive={
        "callers-refused": "Before the change both callers have a rule and both are served.",
        "other-caller-refused": "The other caller, whose rule stays, is still served after the change.",
    },
    remedy="See whether the security server was sent the policy without the rule and took it over "
    "(update_rejected in its statistics, a NACK at the control plane). Then look for a rule that "
    "still matches this caller, and for access rules kept in bootstrap or listener, which need a "
    "restart.",
)
async def takes_access_away(probe: Probe) -> None:
    """A decision to shut somebody out must hold at once; nobody may have to stop a service for it (GovStack §8.1.5).

    Two callers have access. While one of them keeps calling, its rule is removed; the other's stays. Each policy has a
    version that the access log repeats on every line, so it is known which calls the changed policy decided: they must
    be refused by the access rules, and none of them may reach the application.
    """
    both = probe.policy().changed(access=(probe.everything_for(CALLER), probe.everything_for(BYSTANDER)))
    await probe.apply(both)
    async with probe.peer_connection(BYSTANDER) as others:
        served = await probe.first_decided_by(both, probe.call)
        other = await probe.call(connection=others)
        seen = f"{served[0].summary if served else 'the policy did not come in force'}; {other.summary}"
        probe.require("callers-refused", served and served[0].status == other.status == 200, seen=seen)

        without = both.changed(access=(probe.everything_for(BYSTANDER),))
        change = await change_under_traffic(probe, without, probe.connection(), probe.connection())
        other = await probe.call(connection=others)
        probe.record_exchange("other caller", other)

    probe.expect("not-enforced", change.in_force, seen=change.seen)
    probe.expect("still-let-through", not any(call.arrivals for call in change.decided), seen=change.seen)
    probe.expect("restarted", change.after.continues(change.before), seen=f"{change.before}, then {change.after}")
    probe.expect("wrong-refusal", all(refused_by_rules(call) for call in change.decided), seen=change.seen)
    probe.require("other-caller-refused", other.status == 200, seen=other.summary)


@check(
    id="POLICY-002",
    title="A caller who is granted access is served from then on, without a restart",
    proves=["POLICY-R2"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=EVIDENCE,
    fails={
        "not-enforced": NOT_ENFORCED,
        "restarted": RESTARTED,
        "still-refused": "Each call of the caller that the changed policy decided is served by the application.",
    },
    inconclusive={
        "known-caller-refused": "Another caller, who has a rule all the time, is served before the change.",
        "not-refused-before": "Before the change the caller has no rule and is refused.",
    },
    remedy="See whether the security server was sent the policy with the new rule and took it over "
    "(update_rejected in its statistics, a NACK at the control plane). Then compare the identity in "
    "the rule with the one in the caller's certificate, and look for a deployment that restarts for a "
    "change.",
)
async def grants_access(probe: Probe) -> None:
    """A building block that was admitted must be able to work at once, without anybody else having to stop (§8.1.5).

    A caller without a rule keeps calling and is refused; another one is served, so the service is there. Then the
    caller is given a rule. Every call decided by the changed policy, as the access log tells, must be served.
    """
    without = probe.policy().changed(access=(probe.everything_for(BYSTANDER),))
    await probe.apply(without)
    refused = await probe.first_decided_by(without, probe.call)
    seen = refused[0].summary if refused else "the policy did not come in force"
    probe.require("not-refused-before", refused and refused[0].status == 403, seen=seen)
    async with probe.peer_connection(BYSTANDER) as others:
        other = await probe.call(connection=others)
    probe.record_exchange("other caller", other)
    probe.require("known-caller-refused", other.status == 200, seen=other.summary)

    granted = without.changed(access=(probe.everything_for(CALLER), *without.access))
    change = await change_under_traffic(probe, granted, probe.connection(), probe.connection())

    probe.expect("not-enforced", change.in_force, seen=change.seen)
    probe.expect("restarted", change.after.continues(change.before), seen=f"{change.before}, then {change.after}")
    served = all(call.exchange.status == 200 and call.arrivals for call in change.decided)
    probe.expect("still-refused", served, seen=change.seen)
