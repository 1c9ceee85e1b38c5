"""The authentication service decides by the same policies as the security servers, and no later."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, EvidenceKind, Exchange, Feature, Probe

ASKED = r"^http\.inbound\.ext_authz\.(ok|denied|error)$"
BEFORE, AFTER, QUESTIONS = "caller before the change", "other caller after the change", "questions"


@check(
    id="POLICY-013",
    title="The authentication service decides by a changed policy as soon as the security servers do",
    proves=["POLICY-R19"],
    needs=[Feature.POLICY, Feature.AUTHENTICATION_SERVICE],
    evidence=[BEFORE, AFTER, QUESTIONS],
    fails={
        "not-followed": "A call that the changed policy allows is let through by the authentication service, too.",
    },
    inconclusive={
        "caller-refused": "Before the change, the authentication service lets the caller through.",
        "change-not-in-force": "The security server comes to decide calls by the changed policy.",
        "not-asked": "The security server asks the authentication service about these calls.",
    },
    remedy="Let the authentication service follow the same store of policies as the control plane, by the same "
    "notification, not by a schedule or a copy of its own. See which version it names in its decision log.",
)
async def follows_policies(probe: Probe) -> None:
    """Two lines of defence that disagree are an outage: one opens a way, the other keeps it shut for want of news.

    The authentication service is asked about the calls of a service, and lets through whoever has had access all along.
    Then somebody else gets access, by one change at the policy admin service. Security server and authentication
    service know the rules each from that one change; so as soon as the first decides by it, the second must let the
    call through.
    """
    known = probe.policy().changed(authentication=True)
    await probe.put_in_force(known)
    before, served_before = await questions(probe), await probe.call()
    probe.record_exchange(BEFORE, served_before, await probe.line(served_before))

    both = known.changed(access=(*known.access, probe.everything_for(BYSTANDER)))
    async with probe.peer_connection(BYSTANDER) as door:

        async def call() -> Exchange:
            return await probe.call(connection=door)

        async def served() -> Exchange | None:
            exchange = await call()
            return exchange if exchange.status == 200 else None

        await probe.apply(both)
        decided = await probe.first_decided_by(both, call)
        what, limit = "the other caller is served", probe.timeouts.enforced
        allowed: Exchange | None = await probe.eventually(served, what=what, timeout=limit)
        last = allowed or await call()
    line = await probe.line(last) or {}
    probe.record_exchange(AFTER, last, line)
    asked = await questions(probe) - before
    probe.record(QUESTIONS, EvidenceKind.STATISTICS, {"asked": asked})

    probe.require("caller-refused", served_before.status == 200, seen=served_before.summary)
    probe.require("change-not-in-force", decided, seen="not in force" if decided is None else "in force")
    probe.require("not-asked", asked, seen=f"{asked} questions")
    probe.expect("not-followed", allowed, seen=f"{last.summary}: {line.get('details')}")


async def questions(probe: Probe) -> int:
    """How often the subject's security server has asked so far."""
    return sum((await probe.statistics(ASKED)).values())
