"""A security server joins the mesh: it serves nobody before it knows by which policy."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.policy.change import words
from conformance.probe import BYSTANDER, CALLER, EvidenceKind, Feature, Probe

ALLOWED, REFUSED = "calls of the caller with access", "calls of the caller without access"


@check(
    id="POLICY-014",
    title="A security server that joins serves nobody before its policy is in force",
    proves=["POLICY-R16"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[ALLOWED, REFUSED],
    fails={
        "served-without-policy": "No call reaches the application but those that the policy has let through.",
    },
    inconclusive={
        "never-served": "In the end the caller with access is served, by the policy that the access log names.",
    },
    remedy="Let a security server start with no listener of its own, and get it from the control plane together with "
    "routes and rules (bootstrap without static listeners). Where there are no rules yet, refuse: no rule that "
    "lets everybody through for the time of the start.",
)
async def waits_for_its_policy(probe: Probe) -> None:
    """New security servers are started at any hour, and attackers wait for nothing else: a door that stands open until
    somebody brings the lock is an open door (govstack-cfr-security#req-3).

    The mesh gets one more security server, before an application of its own, at a port that is known beforehand. Two
    members knock at it without a pause from before it is started, each time over a new connection: one to whom its
    policy gives access, one to whom it does not. Whatever arrives at the application must be a call of the first one,
    decided by the policy, as the access log says.
    """
    async with probe.joining.while_knocking(CALLER, BYSTANDER) as joined:
        policy = joined.policy
    calls = [[call for call in joined.calls if call.caller == number] for number in (0, 1)]
    for name, each, before in zip((ALLOWED, REFUSED), calls, joined.before, strict=True):
        answered = [call for call in each if call.exchange.status is not None]
        observed = {"before the start": before, "unanswered": len(each) - len(answered), "answered": words(answered)}
        decided = len([call for call in answered if call.policy == policy.version])
        arrived = sum(call.arrivals for call in each)
        probe.record(name, EvidenceKind.ARRIVALS, observed | {"decided by the policy": decided, "arrived": arrived})

    allowed, refused = calls
    served = [call for call in allowed if call.exchange.status == 200 and call.policy == policy.version]
    probe.require("never-served", served, seen=words(allowed[-1:]))
    wrong = [call for call in refused if call.arrivals] + [
        call for call in allowed if call.arrivals and call.policy != policy.version
    ]
    probe.expect("served-without-policy", not wrong, seen=f"{len(wrong)} of {len(joined.calls)} calls: {words(wrong)}")
