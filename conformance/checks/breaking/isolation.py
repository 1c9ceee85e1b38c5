"""One building block at its limit leaves the others alone."""

from __future__ import annotations

from conformance.checks.breaking.load import load
from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, CircuitBreaker, EvidenceKind, Exchange, Feature, Probe


async def others(probe: Probe) -> dict[str, tuple[Exchange, bool, str]]:
    """Call the subject and the bystander: each call, whether the application was asked, and what was seen."""
    facts = probe.subject
    subject = await probe.call(facts.ready_path, service=facts.name, headers=facts.headers)
    line = await probe.line(subject) or {}
    to, flags = line.get("upstream_host"), line.get("flags")
    passed = bool(to) and "UO" not in str(flags)
    bystander = await probe.call("/aside", service=BYSTANDER)
    arrived = [arrival.endpoint for arrival in probe.arrivals(bystander.nonce)]
    return {
        "subject": (subject, passed, f"{subject.summary}, sent to {to or 'nobody'}, flags {flags}"),
        "bystander": (bystander, BYSTANDER in arrived, f"{bystander.summary}, arrived at {arrived or 'nobody'}"),
    }


@check(
    id="BREAK-002",
    title="A building block that has reached its limit leaves the others alone",
    proves=["BREAK-R7"],
    needs=[Feature.CIRCUIT_BREAKING],
    evidence=["others before", "refused call", "others while the witness is full"],
    fails={
        "others-refused": "While one building block is full the others are called, on the same security server or not.",
    },
    inconclusive={
        "policy-not-in-force": "Calls are decided by the policy with the limit under test.",
        "others-refused-before": "The other building blocks are reached as long as nobody is full.",
        "witness-not-full": "The witness holds as many calls as its limit allows, and one more is refused (flag UO).",
    },
    remedy="Give each building block a cluster of its own with circuit_breakers of its own. Look for what "
    "several services share: one cluster, a connection limit on the listener, a local rate limit, an "
    "overload manager's action.",
)
async def leaves_others_alone(probe: Probe) -> None:
    """Building blocks share security servers. The trouble of one must not become the trouble of all.

    The witness holds all that its limit lets through, and one more call overflows. Meanwhile the subject, behind the
    same security server, and the bystander, behind another, are called. What they answer is their own affair: judged is
    whether they were asked. (Envoy documentation, "Circuit breaking".)
    """
    policy = probe.policy().changed(circuit_breaker=CircuitBreaker(requests=1), retry=None)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
    before = await others(probe)
    probe.record("others before", EvidenceKind.NOTE, {name: seen for name, (_, _, seen) in before.items()})
    reached = all(passed for _, passed, _ in before.values())
    probe.require("others-refused-before", reached, seen="; ".join(seen for _, _, seen in before.values()))

    async with load(probe) as under_way:
        held = await under_way.hold(1)
        refused = await probe.call("/beyond")
        line = await probe.line(refused) or {}
        probe.record_exchange("refused call", refused, line)
        full = held == probe.witness.held == 1 and line.get("flags") == "UO"
        seen = f"{held} calls held; one more: {refused.summary}, flags {line.get('flags')}"
        probe.require("witness-not-full", full, seen=seen)
        meanwhile = await others(probe)
        still_full = probe.witness.held == 1
        await under_way.let_go()
    observed = {name: seen for name, (_, _, seen) in meanwhile.items()}
    probe.record("others while the witness is full", EvidenceKind.NOTE, observed)
    probe.require("witness-not-full", still_full, seen="the witness answered meanwhile")
    for name, (_, passed, seen) in meanwhile.items():
        probe.expect("others-refused", passed, seen=f"{name}: {seen}")
