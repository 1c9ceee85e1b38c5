"""What a proxy refused counts as refused until it accepts a response that holds it, whatever else it accepts."""

from __future__ import annotations

import asyncio

import pytest
from raw_client import RawClient, names_in
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    ROUTE,
    SOON_S,
    WITHIN_S,
    cluster,
    clusters,
    endpoints,
    load_assignments,
    merged,
    routes,
    world,
)

from conformance.controlplane.exchange import Dialect
from conformance.controlplane.resources import ResourceType, encode
from conformance.controlplane.server import ControlPlane, Rejected
from conformance.controlplane.snapshot import Version, new_epoch
from conformance.controlplane.status import EventKind
from conformance.controlplane.subscription import Subscription
from conformance.model.errors import DeadlineExceeded
from conformance.system.deadlines import until

PROTOCOLS = pytest.mark.parametrize("protocol", ["whole", "delta"])


def refused(control_plane: ControlPlane, kind: ResourceType) -> set[str]:
    return set(control_plane.status("node").types[kind].refused)


async def test_an_acknowledgement_of_something_else_does_not_end_a_refusal(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", clusters("a", "b"))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    bad = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="9s")})
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="nine is too long")
    good = control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    await stream.ack(await stream.receive())

    await control_plane.acknowledged("node", good, WITHIN_S)
    with pytest.raises(Rejected, match="nine is too long"):
        await control_plane.acknowledged("node", bad, WITHIN_S)
    status = control_plane.status("node").types[CLUSTER]
    assert status.rejection is not None
    assert (status.rejection.version, status.refused) == (bad.versions[CLUSTER], {"a"})

    mended = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="3s")})
    response = await stream.receive()
    with pytest.raises(DeadlineExceeded):
        await control_plane.acknowledged("node", mended, SOON_S)
    await stream.ack(response)
    await control_plane.acknowledged("node", mended, WITHIN_S)
    assert control_plane.status("node").types[CLUSTER].rejection is None


@PROTOCOLS
async def test_the_same_holds_for_types_of_which_only_what_changed_is_sent(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    control_plane.set_resources("node", load_assignments("a", "b"))
    stream = getattr(client, protocol)()
    names = [["a", "b"]] if protocol == "whole" else []
    await stream.ask(ENDPOINT, ["a", "b"])
    await stream.ack(await stream.receive(), *names)
    control_plane.update("node", {(ENDPOINT, "a"): endpoints(2, name="a")})
    await stream.ask(ENDPOINT, *names, nonce=(await stream.receive()).nonce, error="no good")
    control_plane.update("node", {(ENDPOINT, "b"): endpoints(2, name="b")})
    response = await stream.receive()
    assert names_in(response) == ["b"]
    await stream.ack(response, *names)
    await stream.heard(control_plane)
    assert refused(control_plane, ENDPOINT) == {"a"}


async def test_of_what_was_sent_together_only_what_is_refused_by_itself_counts_as_refused(
    control_plane: ControlPlane, client: RawClient
):
    names = ("a", "b", "bad", "c", "d")
    first = control_plane.set_resources("node", clusters(*names))
    stream = client.delta()
    await stream.ask(CLUSTER)
    alone = []
    while refused(control_plane, CLUSTER) != {"bad"}:
        response = await stream.receive()
        held = names_in(response)
        alone += [held] if len(held) == 1 else []
        if "bad" in held:
            await stream.ask(CLUSTER, nonce=response.nonce, error="no good")
        else:
            await stream.ack(response)
        await stream.heard(control_plane)
    assert ["bad"] in alone
    with pytest.raises(Rejected, match="no good"):
        await control_plane.acknowledged("node", first, WITHIN_S)
    # The others are accepted, as far as they have not been yet.
    good = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="3s")})
    sent_again: list[str] = []

    async def accept_everything() -> None:
        while True:
            response = await stream.receive()
            sent_again.extend(names_in(response))
            await stream.ack(response)

    accepting = asyncio.ensure_future(accept_everything())
    await control_plane.acknowledged("node", good, WITHIN_S)
    accepting.cancel()
    assert "bad" not in sent_again
    assert refused(control_plane, CLUSTER) == {"bad"}


async def test_a_refusal_that_comes_after_a_later_response_is_heard(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a", "b"))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    bad = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="9s")})
    slow = await stream.receive()
    good = control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    # The control plane does not wait for ever.
    later = await stream.receive()
    assert names_in(later) == ["b"]
    await stream.ask(CLUSTER, nonce=slow.nonce, error="no good")
    await stream.ack(later)
    await control_plane.acknowledged("node", good, WITHIN_S)
    with pytest.raises(Rejected, match="no good"):
        await control_plane.acknowledged("node", bad, WITHIN_S)
    assert refused(control_plane, CLUSTER) == {"a"}


async def test_who_accepts_a_later_response_has_not_accepted_what_was_refused_together_before(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", clusters("a", "b", "c"))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    both = {(CLUSTER, name): cluster(name, connect_timeout="9s") for name in ("a", "c")}
    bad = asyncio.ensure_future(control_plane.acknowledged("node", control_plane.update("node", both), WITHIN_S))
    slow = await stream.receive()
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    later = await stream.receive()
    await stream.ask(CLUSTER, nonce=slow.nonce, error="no good")
    await stream.ack(later)
    again = await stream.receive()
    assert names_in(again) == ["a"]
    await asyncio.wait([bad], timeout=SOON_S)
    assert not bad.done()
    await stream.ask(CLUSTER, nonce=again.nonce, error="nine is too long")
    with pytest.raises(Rejected, match="nine is too long"):
        await bad


def test_what_a_forgotten_response_held_is_sent_again():
    """A client that answers nothing for long: its answer to the oldest response would not be understood any more."""
    epoch = new_epoch()
    subscription = Subscription(CLUSTER, Dialect.DELTA)
    available = {f"c{number}": encode(CLUSTER, f"c{number}", cluster(f"c{number}")) for number in range(20)}
    subscription.ask_delta([], [], {}, {})
    for number, (name, resource) in enumerate(available.items()):
        subscription.note_change(name, None, resource)
        batch = subscription.take(available, hold_removals=False)
        assert batch is not None
        assert list(batch.resources) == [name]
        subscription.sent(str(number), Version(epoch, number), 0.0, batch)
    assert subscription.answered("0", (13, "no good"), 0.0) is None
    assert subscription.answered("19", None, 0.0) == Version(epoch, 19)
    assert not subscription.has_reached(Version(epoch, 0))
    again: list[str] = []
    number = 20
    while (batch := subscription.take(available, hold_removals=False)) is not None:
        again += batch.resources
        subscription.sent(str(number), Version(epoch, number), 0.0, batch)
        subscription.answered(str(number), (13, "no good") if "c0" in batch.resources else None, 0.0)
        number += 1
    assert "c0" in again
    assert subscription.refused.keys() == {"c0"}


async def test_the_removal_of_what_was_refused_ends_it_once_it_is_acknowledged(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", clusters("bad"))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no good")
    await stream.heard(control_plane)
    assert refused(control_plane, CLUSTER) == {"bad"}
    removal = control_plane.update("node", {}, {(CLUSTER, "bad")})
    response = await stream.receive()
    assert list(response.removed_resources) == ["bad"]
    assert refused(control_plane, CLUSTER) == {"bad"}
    await stream.ack(response)
    await control_plane.acknowledged("node", removal, WITHIN_S)
    assert refused(control_plane, CLUSTER) == set()


async def test_a_listing_of_everything_ends_every_refusal(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a", "b"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no good")
    await stream.heard(control_plane)
    assert refused(control_plane, CLUSTER) == {"a", "b"}
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    await stream.ack(await stream.receive())
    await stream.heard(control_plane)
    assert refused(control_plane, CLUSTER) == set()


async def test_a_refusal_outlives_the_stream_until_the_proxy_says_that_it_has_the_resource(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a"), world(route=routes("a"))))
    stream = client.delta()
    await stream.ask(CLUSTER)
    held = {resource.name: resource.version for resource in (await stream.receive()).resources}
    await stream.ask(CLUSTER, nonce="1")
    bad = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="9s")})
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no good")
    await stream.heard(control_plane)
    stream.end()
    await client.seen(control_plane, EventKind.DISCONNECT)
    assert refused(control_plane, CLUSTER) == {"a"}

    again = client.delta()
    await again.ask(ROUTE, ["routes"])
    await again.receive()
    assert refused(control_plane, CLUSTER) == {"a"}
    await again.ask(CLUSTER, initial=held)
    await again.receive()
    assert refused(control_plane, CLUSTER) == {"a"}
    control_plane.update("node", {(CLUSTER, "a"): cluster("a")})
    again.end()

    healed = client.delta()
    await healed.ask(CLUSTER, initial=held)
    await until(lambda: refused(control_plane, CLUSTER) == set(), what="nothing is refused", timeout=WITHIN_S)
    await control_plane.acknowledged("node", bad, WITHIN_S)
