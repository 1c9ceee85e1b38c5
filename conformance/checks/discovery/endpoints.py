"""Endpoints that come and go while calls are under way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from conformance.checks.catalogue import check
from conformance.probe import WITNESS, Answer, EvidenceKind, Exchange, Feature, Probe, SteadyTraffic, WatchedCall

CALLERS = 2
ROUNDS = 6
"""Enough to come by each of two endpoints more than once."""
UNDER_WAY = 6
"""So many calls at once come by each of two endpoints."""
LONGER = 120.0
"""Seconds: no time limit of the service ends a call that is held."""


def used(probe: Probe, exchanges: Iterable[Exchange]) -> dict[str, int]:
    """Which endpoint was called how often."""
    return dict(Counter(arrival.endpoint for exchange in exchanges for arrival in probe.arrivals(exchange.nonce)))


def lost(calls: Iterable[WatchedCall]) -> list[str]:
    """The calls that were not answered with 200, in words."""
    return [f"{call.exchange.summary} {call.details}".rstrip() for call in calls if call.exchange.status != 200]


async def call_patiently(probe: Probe) -> Exchange:
    """A call that may be held until a change is in force, however long that takes."""
    patience = probe.timeouts.acknowledged + probe.timeouts.enforced + probe.timeouts.request
    async with probe.connection(patience=patience) as connection:
        return await probe.call("/under-way", method="POST", connection=connection)


async def comes_by(probe: Probe, traffic: SteadyTraffic, endpoint: str) -> bool:
    """Wait until a call of the traffic comes to an endpoint; False: none did in time."""

    async def called() -> bool:
        await traffic.round()
        return endpoint in used(probe, (call.exchange for call in traffic.calls()))

    return bool(await probe.eventually(called, what=f"the endpoint {endpoint} is called"))


@check(
    id="DISCOVERY-001",
    title="An endpoint that is added while calls are under way is called, beside the one that was there",
    proves=["DISCOVERY-R1"],
    needs=[Feature.DISCOVERY],
    evidence=["traffic", "calls by endpoint"],
    fails={
        "call-lost": "No call is lost while the endpoint is added.",
        "added-endpoint-not-called": "The added endpoint is sent calls.",
        "first-endpoint-forsaken": "The endpoint that was there before is still sent calls.",
    },
    inconclusive={
        "caller-refused": "The caller is served before the change.",
        "change-not-in-force": "Calls come to be decided by the policy with the second endpoint.",
    },
    remedy="Endpoints must come by endpoint discovery (EDS), as a change of the service's endpoints and of nothing "
    "else; look whether the change was acknowledged, and in `/clusters` whether the host is there and healthy.",
)
async def calls_what_is_added(probe: Probe) -> None:
    """Who adds a machine because one is not enough must see it work at once, and must stop nothing for it.

    Two callers call the witness without a pause. Meanwhile a second endpoint enters the service's policy; which of the
    two a call has reached is seen at the witness itself.
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    async with probe.witness.extra_endpoint("added") as added:
        policy = probe.policy().changed(endpoints=(*probe.policy().endpoints, added.endpoint))
        async with probe.steady_traffic(*(probe.connection() for _ in range(CALLERS))) as traffic:
            await probe.apply(policy)
            in_force = await traffic.decided_by(policy)
            called = in_force and await comes_by(probe, traffic, added.name)
            before = len(traffic.calls())
            for _ in range(ROUNDS):
                await traffic.round()
        later = used(probe, (call.exchange for call in traffic.calls()[before:]))
    probe.record("traffic", EvidenceKind.ARRIVALS, traffic.to_json())
    probe.record("calls by endpoint", EvidenceKind.ARRIVALS, {"once the added one was called": later})

    probe.require("change-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
    failed = lost(traffic.calls())
    probe.expect("call-lost", not failed, seen=f"{len(failed)} of {len(traffic.calls())} calls: {failed[:3]}")
    probe.expect("added-endpoint-not-called", called, seen=f"calls by endpoint: {later}")
    probe.expect("first-endpoint-forsaken", WITNESS in later, seen=f"calls by endpoint: {later}")


@check(
    id="DISCOVERY-002",
    title="An endpoint that is removed gets no new call, and the call that is under way there is answered",
    proves=["DISCOVERY-R2"],
    needs=[Feature.DISCOVERY],
    evidence=["call under way", "traffic", "calls by endpoint"],
    fails={
        "call-under-way-lost": "The call that was under way at the removed endpoint is answered by it, once it can.",
        "removed-endpoint-called": "No call that the changed policy decided reaches the removed endpoint.",
        "call-lost": "No call is lost while the endpoint is removed.",
    },
    inconclusive={
        "endpoint-not-called": "Before the change the endpoint is sent calls, and holds one.",
        "change-not-in-force": "Calls come to be decided by the policy without the endpoint.",
    },
    remedy="Take endpoints away by endpoint discovery (EDS): connections to them are then drained, not closed. Look "
    "for restarts, for clusters that are removed and made anew, and for health that outweighs removal "
    "(ignore_health_on_host_removal).",
)
async def spares_what_is_removed(probe: Probe) -> None:
    """A machine is taken away for maintenance in the middle of the day, and nobody may lose an answer over it.

    The witness stands behind two endpoints, and one of them holds a call. While callers go on calling, that endpoint
    leaves the service's policy. Then the held call is let go: its answer has to come.
    """
    before = probe.policy()
    async with probe.witness.extra_endpoint("leaving") as leaving:
        both = before.changed(endpoints=(*before.endpoints, leaving.endpoint), timeout_s=LONGER)
        in_force = await probe.put_in_force(both)
        probe.require("change-not-in-force", in_force, seen=f"no call was decided by policy {both.version}")
        leaving.answer = Answer(hold=True)
        calls = [asyncio.create_task(call_patiently(probe)) for _ in range(UNDER_WAY)]

        def settled() -> bool:
            return probe.witness.held + sum(call.done() for call in calls) == len(calls)

        try:
            await probe.eventually(settled, what="each call is answered or held")
            held = probe.witness.held
            leaving.answer = None
            probe.require("endpoint-not-called", 0 < held < len(calls), seen=f"{held} of {len(calls)} calls are held")
            without = both.changed(endpoints=before.endpoints)
            async with probe.steady_traffic(*(probe.connection() for _ in range(CALLERS))) as traffic:
                await probe.apply(without)
                in_force = await traffic.decided_by(without)
                probe.witness.release()
                for _ in range(ROUNDS):
                    await traffic.round()
        finally:
            probe.witness.release()
            ended = await asyncio.gather(*calls)
    under_way = {"calls": len(ended), "held": held, "answers": dict(Counter(call.summary[:3] for call in ended))}
    probe.record("call under way", EvidenceKind.ARRIVALS, under_way)
    decided = traffic.calls(without)
    by_endpoint = used(probe, (call.exchange for call in decided))
    probe.record("traffic", EvidenceKind.ARRIVALS, traffic.to_json())
    probe.record("calls by endpoint", EvidenceKind.ARRIVALS, {"decided without the endpoint": by_endpoint})

    unanswered = [call.summary for call in ended if call.status != 200]
    probe.expect("call-under-way-lost", not unanswered, seen=f"{len(unanswered)} of {held} held: {unanswered[:3]}")
    probe.require("change-not-in-force", in_force, seen=f"no call was decided by policy {without.version}")
    probe.expect("removed-endpoint-called", leaving.name not in by_endpoint, seen=f"calls by endpoint: {by_endpoint}")
    failed = lost(traffic.calls())
    probe.expect("call-lost", not failed, seen=f"{len(failed)} of {len(traffic.calls())} calls: {failed[:3]}")
