"""The policy of a service is deleted as a whole: the service is closed, as if nobody had ever heard of it."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.model.policy import ServicePolicy
from conformance.probe import CALLER, WITNESS, EvidenceKind, Exchange, Feature, Probe

DELETED, AGAIN = "deletion", "call afterwards"
AT_THE_DOOR, FROM_THE_CALLER = "call at the door", "call from the caller"


@check(
    id="POLICY-012",
    title="A service whose policy is deleted is closed to everybody, and open again once it has a new one",
    proves=["POLICY-R18"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[DELETED, AT_THE_DOOR, FROM_THE_CALLER, AGAIN],
    fails={
        "still-let-through": "After the deletion no call reaches the application, by whichever way it comes.",
        "wrong-refusal": "At the door the rules refuse it (default deny); the caller's own side knows no such service.",
        "not-served-again": "With a new policy the service is served again.",
    },
    inconclusive={
        "caller-refused": "Before that, the caller is served through its own security server and at the door.",
    },
    remedy="Let the deletion of a policy take away its routes and rules at all security servers, not only the building "
    "block's address; and let the absence of rules mean a refusal. A deleted service may come back under the "
    "same name: keep nothing that stands against it.",
)
async def closes_what_is_deleted(probe: Probe) -> None:
    """A service is given up, and its policy is deleted; if its last rules live on at a security server, they let
    callers through whom nobody answers for any more (govstack-cfr-security#req-3).

    A caller is served by both ways: through its own security server, and over a connection that it keeps to the door of
    the subject's. The policy is deleted at the policy admin service. Both ways must be closed, each for the reason that
    belongs there, and nothing may arrive. Then the service gets a policy again, and must be served.
    """
    policy = probe.policy()
    async with probe.peer_connection(CALLER) as door:
        before = await probe.call(connection=door), await probe.call()
        seen = "; ".join(each.summary for each in before)
        probe.require("caller-refused", all(each.status == 200 for each in before), seen=seen)

        propagation = await probe.registry.withdraw(WITNESS)

        async def closed() -> tuple[Exchange, Exchange] | None:
            calls = await probe.call(connection=door), await probe.call()
            return None if any(probe.arrivals(each.nonce) for each in calls) else calls

        closing: tuple[Exchange, Exchange] | None = await probe.eventually(
            closed, what="the service is closed", timeout=probe.timeouts.enforced
        )
        direct, through = closing or (await probe.call(connection=door), await probe.call())
    shown = {"concerned": list(propagation.servers), "unacknowledged": dict(propagation.unacknowledged)}
    probe.record(DELETED, EvidenceKind.PROPAGATION, shown)
    at_door, at_caller = await probe.line(direct) or {}, await probe.line(through, CALLER) or {}
    probe.record_exchange(AT_THE_DOOR, direct, at_door)
    probe.record_exchange(FROM_THE_CALLER, through, at_caller)

    again = await created(probe, policy.changed())
    probe.record_exchange(AGAIN, again)
    arrived = [each for each in (direct, through) if probe.arrivals(each.nonce)]
    seen = f"at the door {direct.summary}, from the caller {through.summary}"
    probe.expect("still-let-through", not arrived, seen=seen)
    reasons = f"at the door {at_door.get('details')}, at the caller's {at_caller.get('details')}"
    by_rules = direct.status == 403 and str(at_door.get("details")).startswith("rbac_access_denied")
    unknown = through.status == 404 and at_caller.get("details") == "route_not_found"
    probe.expect("wrong-refusal", by_rules and unknown, seen=f"{seen}: {reasons}")
    probe.expect("not-served-again", again.status == 200 and probe.arrivals(again.nonce), seen=again.summary)


async def created(probe: Probe, policy: ServicePolicy) -> Exchange:
    """The first call that is served after the service has a policy again, or the last one that is not."""
    await probe.registry.register(policy, provider=policy.provider)

    async def served() -> Exchange | None:
        exchange = await probe.call()
        return exchange if exchange.status == 200 else None

    what, limit = "the service is served again", probe.timeouts.enforced
    found: Exchange | None = await probe.eventually(served, what=what, timeout=limit)
    return found or await probe.call()
