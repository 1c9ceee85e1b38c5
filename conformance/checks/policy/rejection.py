"""A configuration that a security server rejects: the operator hears of it, and nothing gets worse by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from conformance.checks.catalogue import check
from conformance.checks.policy.change import words
from conformance.probe import (
    CALLER,
    AccessRule,
    EvidenceKind,
    Exchange,
    Feature,
    LogLine,
    PathMatch,
    PathMatchKind,
    Probe,
)

REPORT, MEANWHILE, RECOVERY = "report of the policy admin service", "calls meanwhile", "recovery"
REJECTED_UPDATES = r"\.rds\.inbound/witness\.update_rejected$"
OTHER = "/other"
"""Where the caller may not go; the traffic goes elsewhere."""


@dataclass(frozen=True)
class Denied:
    """A call that the last good policy refuses, and what the subject's security server said about it."""

    exchange: Exchange
    line: LogLine
    arrivals: int

    @property
    def by_rules(self) -> bool:
        """The access rules refused it, and nobody else."""
        details = str(self.line.get("details", ""))
        return self.exchange.status == 403 and details.startswith("rbac_access_denied") and not self.arrivals


async def denied(probe: Probe) -> Denied:
    """One such call."""
    exchange = await probe.call(OTHER)
    return Denied(exchange, await probe.line(exchange) or {}, len(probe.arrivals(exchange.nonce)))


def access_to(probe: Probe, path: str) -> AccessRule:
    """The caller may go there and nowhere else."""
    return AccessRule(probe.identity(CALLER), paths=(PathMatch(PathMatchKind.EXACT, path),))


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
        "caller-unlike-policy": "Before that, the caller is served at one path and refused by the rules at the other.",
        "not-rejected": "The security server counts a rejected update.",
    },
    remedy="Let the control plane note each refusal (NACK) with the security server's name and its error detail, and "
    "the policy admin service show both with the version. Never answer a refusal by a restart, by an "
    "emergency configuration or by giving the security server up: it goes on with the last good one.",
)
async def reports_what_is_rejected(probe: Probe) -> None:
    """Whatever is judged before, a proxy has the last word about its configuration; if its refusal goes unheard,
    the mesh runs for weeks on a policy that everybody believes to be replaced (GovStack §8.1.12, §8.1.20).

    A caller has access to one path and not to another; it keeps calling the first and tries the second. The two are
    exchanged, by a good policy; but an overlay of the operator adds a route to it with a pattern that no security
    server can read. What the policy admin service reports is compared with what the security server counts, and all
    calls must be decided as before. Then the overlay is taken away, and the next change must come in force.
    """
    last = probe.policy().changed(access=(access_to(probe, "/steady"),))
    in_force = await probe.put_in_force(last)
    mark = uuid4().hex[:12]
    async with probe.steady_traffic(probe.connection(), probe.connection()) as traffic:
        await traffic.round()
        first = await denied(probe)
        before = await rejected_updates(probe)
        with probe.administration.unacceptable(mark):
            await probe.apply(last.changed(access=(access_to(probe, OTHER),)))
            version = await probe.administration.version()
            status = await probe.administration.status(version)
            counted = await rejected_updates(probe) - before
            await traffic.round()
            meanwhile = await denied(probe)
        good = last.changed(timeout_s=last.timeout_s - 1)
        propagation = await probe.apply(good)
        recovered = await traffic.decided_by(good)
        state = (await probe.administration.status(await probe.administration.version())).state
        await traffic.round()

    calls = traffic.calls()
    said = {each.proxy: f"{each.state}: {each.reason}".rstrip(": ") for each in status.proxies}
    report: dict[str, Any] = {"state": status.state, "security servers": said, "rejected updates": counted}
    probe.record(REPORT, EvidenceKind.PROPAGATION, report)
    refused = {"refused call": dict(meanwhile.line), **meanwhile.exchange.to_json()}
    probe.record(MEANWHILE, EvidenceKind.ACCESS_LOG, {"traffic": traffic.to_json(), **refused})
    seen = f"{'in force' if recovered else 'not in force'}, reported as {state}"
    probe.record(RECOVERY, EvidenceKind.PROPAGATION, {"seen": seen, "rejected": dict(propagation.rejected)})

    known = calls[0].exchange.status == 200 and first.by_rules
    seen_before = f"{words(calls[:1])}; {first.exchange.summary}"
    probe.require("caller-unlike-policy", in_force and known, seen=seen_before)
    probe.require("not-rejected", counted, seen=f"{counted} rejected updates")
    rejected = [each.proxy for each in status.proxies if each.state == "rejected"]
    only_this = status.state == "rejected" and rejected == [probe.subject.name]
    probe.expect("not-reported", only_this, seen=f"{status.state}, {said}")
    probe.expect("no-reason", mark in said[probe.subject.name], seen=said[probe.subject.name])
    lost = [call for call in calls if call.exchange.status != 200 or call.policy not in {last.version, good.version}]
    as_before = meanwhile.by_rules and meanwhile.line.get("policy") == last.version
    details = meanwhile.line.get("details", "nothing in the access log")
    lasting = (
        f"{len(lost)} of {len(calls)} calls: {words(lost)}; the refused call: {meanwhile.exchange.summary} {details}"
    )
    probe.expect("last-good-lost", not lost and as_before, seen=lasting)
    probe.expect("not-recovered", recovered and propagation.acknowledged and state == "applied", seen=seen)


async def rejected_updates(probe: Probe) -> int:
    """How many updates of the service's routes the security server has rejected so far."""
    return sum((await probe.statistics(REJECTED_UPDATES)).values())
