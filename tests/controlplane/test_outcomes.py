"""Whoever follows outcomes hears once of each thing that was set what became of it, and need not ask."""

from __future__ import annotations

import asyncio
import time

from raw_client import RawClient
from xds_parts import CLUSTER, ENDPOINT, ROUTE, WITHIN_S, cluster, clusters, endpoints, load_assignments, merged, world
from xds_parts import routes as a_route

from conformance.controlplane.outcomes import FOLLOWED_APART, Outcome, Outcomes, OutcomeState
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.status import EventKind

APPLIED, REJECTED = OutcomeState.APPLIED, OutcomeState.REJECTED


def timeout_of(seconds: int, name: str = "a"):
    return {(CLUSTER, name): cluster(name, connect_timeout=f"{seconds}s")}


async def following(outcomes: Outcomes) -> Outcome:
    return await asyncio.wait_for(anext(outcomes), WITHIN_S)


async def test_what_is_accepted_and_what_is_refused_is_told_with_number_time_and_reason(
    control_plane: ControlPlane, client: RawClient
):
    begun = time.time()
    with control_plane.outcomes() as outcomes:
        first = control_plane.set_resources("node", clusters("a", "b"))
        stream = client.delta()
        await stream.ask(CLUSTER)
        await stream.ack(await stream.receive())
        assert await following(outcomes) == Outcome("node", (first.number,), APPLIED, ANY_TIME)

        bad = control_plane.update("node", timeout_of(9))
        await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="nine is too long")
        told = await following(outcomes)
        assert (told.node_id, told.numbers, told.state, told.type) == ("node", (bad.number,), REJECTED, CLUSTER)
        assert told.rejection is not None
        assert told.rejection.detail == "nine is too long"
        assert begun <= told.at <= time.time()

        good = control_plane.update("node", timeout_of(2, "b"))
        await stream.ack(await stream.receive())
        assert await following(outcomes) == Outcome("node", (good.number,), APPLIED, ANY_TIME)


async def test_what_was_refused_and_then_set_anew_stays_refused(control_plane: ControlPlane, client: RawClient):
    with control_plane.outcomes() as outcomes:
        bad = control_plane.set_resources("node", clusters("a"))
        stream = client.delta()
        await stream.ask(CLUSTER)
        await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no good")
        assert (await following(outcomes)).numbers == (bad.number,)
        mended = control_plane.update("node", timeout_of(2))
        await stream.ack(await stream.receive())
        told = await following(outcomes)
        assert (told.numbers, told.state) == ((mended.number,), APPLIED)


async def test_what_was_refused_and_is_accepted_by_the_proxy_that_comes_back_is_applied_after_all(
    control_plane: ControlPlane, client: RawClient
):
    with control_plane.outcomes() as outcomes:
        version = control_plane.set_resources("node", clusters("a"))
        stream = client.delta()
        await stream.ask(CLUSTER)
        await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no memory left")
        assert (await following(outcomes)).state is REJECTED
        stream.end()
        await client.seen(control_plane, EventKind.DISCONNECT)
        again = client.delta()
        await again.ask(CLUSTER)
        await again.ack(await again.receive())
        told = await following(outcomes)
        assert (told.numbers, told.state) == ((version.number,), APPLIED)


async def test_parts_of_a_version_may_be_answered_in_any_order(control_plane: ControlPlane, client: RawClient):
    with control_plane.outcomes() as outcomes:
        both = control_plane.set_resources("node", merged(clusters("a"), load_assignments("a")))
        stream = client.whole()
        await stream.ask(CLUSTER)
        of_clusters = await stream.receive()
        await stream.ask(ENDPOINT, ["a"])
        await stream.ack(await stream.receive(), ["a"])
        later = control_plane.update("node", {(ENDPOINT, "a"): endpoints(2, name="a")})
        await stream.ack(await stream.receive(), ["a"])
        assert (await following(outcomes)).numbers == (later.number,)
        await stream.ack(of_clusters)
        assert (await following(outcomes)).numbers == (both.number,)


async def test_a_change_that_needs_no_answer_has_its_outcome_at_once(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await stream.heard(control_plane)
    with control_plane.outcomes() as outcomes:
        same = control_plane.set_resources("node", clusters("a"))
        assert (await following(outcomes)).numbers == (same.number,)
        nobody_asks = control_plane.update("node", {(ROUTE, "routes"): a_route()})
        assert (await following(outcomes)).numbers == (nobody_asks.number,)


async def test_a_silent_proxy_is_pending_and_hundreds_of_changes_are_told_together_when_it_speaks(
    control_plane: ControlPlane, client: RawClient
):
    with control_plane.outcomes() as outcomes:
        stream = client.delta()
        await stream.ask(CLUSTER)
        told = [control_plane.set_resources("node", clusters("a")).number]
        silent = await stream.receive()
        told += [control_plane.update("node", timeout_of(number)).number for number in range(2, 10 * FOLLOWED_APART)]
        assert outcomes.unread == 0
        await stream.ack(silent)
        await stream.ack(await stream.receive())
        heard: list[int] = []
        while len(heard) < len(told):
            heard += (await following(outcomes)).numbers
        assert heard == told


async def test_who_does_not_read_misses_nothing_and_costs_one_entry_for_each_node(
    control_plane: ControlPlane, client: RawClient
):
    with control_plane.outcomes() as outcomes:
        stream = client.whole()
        await stream.ask(CLUSTER)
        numbers = []
        for seconds in range(1, 20):
            version = control_plane.update("node", timeout_of(seconds))
            await stream.ack(await stream.receive())
            await control_plane.acknowledged("node", version, WITHIN_S)
            numbers.append(version.number)
        assert (await following(outcomes)).numbers == tuple(numbers)


async def test_nothing_is_kept_for_nobody(control_plane: ControlPlane, client: RawClient):
    with control_plane.outcomes() as outcomes:
        pass
    version = control_plane.set_resources("node", merged(clusters("a"), world(route=a_route())))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await control_plane.acknowledged("node", version, WITHIN_S)
    assert outcomes.unread == 0


class _AnyTime(float):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, float)

    __hash__ = float.__hash__


ANY_TIME = _AnyTime()
