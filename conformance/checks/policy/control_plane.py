"""The control plane may go away: what it decided last stays in force, and what it decides meanwhile is not lost."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from conformance.checks.catalogue import check
from conformance.checks.policy.change import words
from conformance.probe import BYSTANDER, EvidenceKind, Feature, Probe, WatchedCall

ALLOWED, DENIED = "allowed call while it is down", "denied call while it is down"


def order(calls: list[WatchedCall], caller: int, names: Mapping[str, str]) -> list[str]:
    """By which policies the calls of one caller were decided, in the order of its calls."""
    decided = (names.get(str(call.policy), f"other {call.policy}") for call in calls if call.caller == caller)
    return [name for name, _ in groupby(decided)]


@check(
    id="POLICY-006",
    title="While the control plane is down the last policy stays in force, and nothing gets lost when it comes back",
    proves=["POLICY-R11", "POLICY-R12", "POLICY-R13"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[ALLOWED, DENIED, "policies in the order of their decisions", "traffic"],
    fails={
        "denied-not-refused": "While it is down, what the last policy denies is refused by the rules, as before.",
        "allowed-not-served": "While it is down, what the last policy allows is served, as before.",
        "change-lost": "A change made while the control plane was down, and one made by a successor, come in force.",
        "other-policy-decided": "No call is decided by any policy but the last one and the changes, in their order.",
        "call-lost": "Every call that all policies allow is served, before, during and after each restart.",
    },
    inconclusive={
        "caller-refused": "The caller is served by the last policy before the control plane goes down.",
    },
    remedy="Let the security servers keep their last configuration while no control plane answers, with no "
    "timer that opens or closes them. Let a starting control plane load all policies, the newest "
    "ones, before it answers anybody: an empty or older state takes rules away.",
)
async def outlives_its_control_plane(probe: Probe) -> None:
    """A control plane is one more program that can fail; the mesh must neither stop with it nor fall open (§8.1.20).

    Callers who may call do so without a pause. The control plane goes down; somebody who may call and somebody who may
    not do so; a change is made meanwhile, and the control plane comes back. Then it restarts with nothing changed. Then
    a successor takes over that remembers nothing and is told the same policies anew. In the end a change shows that the
    successor is in charge.
    """
    last = probe.policy().changed()
    await probe.apply(last)
    known = await probe.first_decided_by(last, probe.call)
    seen = known[0].summary if known else "no call was decided by it"
    probe.require("caller-refused", known and known[0].status == 200, seen=seen)
    meanwhile = last.changed(access=(*last.access, probe.everything_for(BYSTANDER)))
    afterwards = meanwhile.changed()

    async with (
        probe.peer_connection(BYSTANDER) as other,
        probe.steady_traffic(probe.connection(), probe.connection()) as traffic,
    ):
        async with probe.control_plane.down():
            await traffic.round()
            allowed, denied = await probe.call(), await probe.call(connection=other)
            await probe.announce(meanwhile)
        arrived = await traffic.decided_by(meanwhile)
        async with probe.control_plane.down():
            await traffic.round()
        await traffic.round()
        async with probe.control_plane.down(successor=True):
            await traffic.round()
        await traffic.round()
        await probe.apply(afterwards)
        followed = await traffic.decided_by(afterwards)
        await traffic.round()

    line = await probe.line(denied)
    calls = traffic.calls()
    names = {last.version: "last", meanwhile.version: "meanwhile", afterwards.version: "afterwards"}
    orders = {caller: order(calls, caller, names) for caller in sorted({call.caller for call in calls})}
    probe.record_exchange(ALLOWED, allowed)
    probe.record_exchange(DENIED, denied, line)
    observed = {"versions": names} | {f"caller {caller}": each for caller, each in orders.items()}
    probe.record("policies in the order of their decisions", EvidenceKind.PROPAGATION, observed)
    probe.record("traffic", EvidenceKind.ACCESS_LOG, traffic.to_json())

    details = str(line.get("details", "")) if line else "nothing in the access log"
    by_rules = denied.status == 403 and details.startswith("rbac_access_denied") and not probe.arrivals(denied.nonce)
    probe.expect("denied-not-refused", by_rules, seen=f"{denied.summary}: {details}")
    probe.expect("allowed-not-served", allowed.status == 200, seen=allowed.summary)
    seen = f"the first: {'in force' if arrived else 'lost'}; the second: {'in force' if followed else 'lost'}"
    probe.expect("change-lost", arrived and followed, seen=seen)
    in_order = all(each == [*names.values()] for each in orders.values())
    probe.expect("other-policy-decided", in_order, seen=f"for each caller in this order: {[*orders.values()]}")
    lost = [call for call in calls if call.exchange.status != 200]
    probe.expect("call-lost", not lost, seen=f"{len(lost)} of {len(calls)} calls: {words(lost)}")
