"""A configuration that a security server rejects: the operator hears of it, and nothing gets worse by it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from conformance.checks.catalogue import check
from conformance.checks.policy.change import refused_by_rules, words
from conformance.probe import BYSTANDER, CALLER, EvidenceKind, Feature, Probe, WatchedCall

REPORT, MEANWHILE, RECOVERY = "report of the policy admin service", "calls meanwhile", "recovery"
REJECTED_UPDATES = r"\.rds\.inbound/witness\.update_rejected$"
ALLOWED = 0
"""The number of the caller whom the last good policy allows; the other one it refuses."""


def as_before(call: WatchedCall) -> bool:
    """It ended as the last good policy says."""
    if call.caller == ALLOWED:
        return call.exchange.status == 200 and call.arrivals == 1
    return refused_by_rules(call)


@check(
    id="POLICY-008",
    title="A configuration that a security server rejects is reported with the reason, and the last good one stays",
    proves=["POLICY-R9", "POLICY-R10"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[REPORT, MEANWHILE, RECOVERY],
    fails={
        "not-reported": "The policy admin service says that this security server, and no other, rejected the change.",
        "no-reason": "The report gives the security server's own words about what it could not read.",
        "last-good-lost": "Meanwhile each call is decided by the last good policy, as before.",
        "not-recovered": "The next good change comes in force, and is reported as applied.",
    },
    inconclusive={
        "callers-unlike-policy": "Before that, one caller is served and the other is refused by the rules.",
        "not-rejected": "The security server counts a rejected update.",
    },
    remedy="Let the control plane note each refusal (NACK) with the security server's name and its error detail, and "
    "the policy admin service show both with the version. Never answer a refusal by a restart, by an "
    "emergency configuration or by giving the security server up: it goes on with the last good one.",
)
async def reports_what_is_rejected(probe: Probe) -> None:
    """Whatever is judged before, a proxy has the last word about its configuration; if its refusal goes unheard,
    the mesh runs for weeks on a policy that everybody believes to be replaced (GovStack §8.1.12, §8.1.20).

    One caller has access, another has not, and both keep calling. The access of the two is exchanged, by a good policy;
    but an overlay of the operator adds a route to it with a pattern that no security server can read. What the policy
    admin service reports is compared with what the security server counts, and all calls must be decided as before.
    Then the overlay is taken away, and the next change must come in force.
    """
    last = probe.policy().changed(access=(probe.everything_for(CALLER),))
    in_force = await probe.put_in_force(last)
    mark = uuid4().hex[:12]
    async with probe.steady_traffic(probe.connection(), probe.peer_connection(BYSTANDER)) as traffic:
        await traffic.round()
        before = await rejected_updates(probe)
        with probe.administration.unacceptable(mark):
            await probe.apply(last.changed(access=(probe.everything_for(BYSTANDER),)))
            version = await probe.administration.version()
            status = await probe.administration.status(version)
            counted = await rejected_updates(probe) - before
            await traffic.round()
        good = last.changed(timeout_s=last.timeout_s - 1)
        propagation = await probe.apply(good)
        recovered = await traffic.decided_by(good)
        state = (await probe.administration.status(await probe.administration.version())).state
        await traffic.round()

    calls = traffic.calls()
    said = {each.proxy: f"{each.state}: {each.reason}".rstrip(": ") for each in status.proxies}
    report: dict[str, Any] = {"state": status.state, "security servers": said, "rejected updates": counted}
    probe.record(REPORT, EvidenceKind.PROPAGATION, report)
    probe.record(MEANWHILE, EvidenceKind.ACCESS_LOG, traffic.to_json())
    seen = f"{'in force' if recovered else 'not in force'}, reported as {state}"
    probe.record(RECOVERY, EvidenceKind.PROPAGATION, {"seen": seen, "rejected": dict(propagation.rejected)})

    # What the first calls of both were like shows that the two differ; the rest is judged below.
    firsts = [next(call for call in calls if call.caller == number) for number in (ALLOWED, ALLOWED + 1)]
    probe.require("callers-unlike-policy", in_force and all(map(as_before, firsts)), seen=words(firsts))
    probe.require("not-rejected", counted, seen=f"{counted} rejected updates")
    rejected = [each.proxy for each in status.proxies if each.state == "rejected"]
    only_this = status.state == "rejected" and rejected == [probe.subject.name]
    probe.expect("not-reported", only_this, seen=f"{status.state}, {said}")
    probe.expect("no-reason", mark in said[probe.subject.name], seen=said[probe.subject.name])
    wrong = [call for call in calls if not as_before(call) or call.policy not in {last.version, good.version}]
    probe.expect("last-good-lost", not wrong, seen=f"{len(wrong)} of {len(calls)} calls: {words(wrong)}")
    probe.expect("not-recovered", recovered and propagation.acknowledged and state == "applied", seen=seen)


async def rejected_updates(probe: Probe) -> int:
    """How many updates of the service's routes the security server has rejected so far."""
    return sum((await probe.statistics(REJECTED_UPDATES)).values())
