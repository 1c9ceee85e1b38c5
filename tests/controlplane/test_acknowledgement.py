from __future__ import annotations

import asyncio

import pytest
from raw_client import RawClient
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    PROBE,
    ROUTE,
    SECRET,
    SOON_S,
    WITHIN_S,
    cluster,
    clusters,
    endpoints,
    listener,
    load_assignments,
    merged,
    routes,
    world,
)

from conformance.controlplane.server import ControlPlane, Rejected
from conformance.controlplane.status import EventKind
from conformance.model.errors import DeadlineExceeded
from conformance.system.deadlines import until


async def test_only_the_answer_to_the_response_counts(control_plane: ControlPlane, client: RawClient):
    version = control_plane.set_resources("node", clusters("a"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    response = await stream.receive()
    with pytest.raises(DeadlineExceeded) as caught:
        await control_plane.acknowledged("node", version, SOON_S)
    assert "last acknowledged none" in str(caught.value)
    await stream.ack(response)
    acknowledgement = await control_plane.acknowledged("node", version, WITHIN_S)
    assert acknowledgement.acked == version.versions


async def test_a_later_version_acknowledges_the_earlier_one(control_plane: ControlPlane, client: RawClient):
    first = control_plane.set_resources("node", clusters("a"))
    control_plane.update("node", {(CLUSTER, "b"): cluster("b")})
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    acknowledgement = await control_plane.acknowledged("node", first, WITHIN_S)
    acked = acknowledgement.acked[CLUSTER]
    assert acked is not None
    assert acked > first.versions[CLUSTER]


async def test_every_stream_of_the_node_has_to_answer(control_plane: ControlPlane, client: RawClient):
    version = control_plane.set_resources("node", clusters("a"))
    streams = [client.whole(), client.delta()]
    responses = []
    for stream in streams:
        await stream.ask(CLUSTER)
        responses.append(await stream.receive())
    await streams[0].ack(responses[0])
    with pytest.raises(DeadlineExceeded):
        await control_plane.acknowledged("node", version, SOON_S)
    await streams[1].ack(responses[1])
    await control_plane.acknowledged("node", version, WITHIN_S)


async def test_a_node_that_is_not_connected_is_waited_for(control_plane: ControlPlane):
    version = control_plane.set_resources("node", clusters("a"))
    with pytest.raises(DeadlineExceeded, match="did not acknowledge") as caught:
        await control_plane.acknowledged("node", version, SOON_S)
    assert "not connected" in str(caught.value)


async def test_a_type_that_the_proxy_will_ask_for_is_waited_for(control_plane: ControlPlane, client: RawClient):
    everything = merged(world(listener=listener(), route=routes()))
    version = control_plane.set_resources("node", everything)
    stream = client.whole()
    await stream.ask(LISTENER)
    await stream.ack(await stream.receive())
    with pytest.raises(DeadlineExceeded) as caught:
        await control_plane.acknowledged("node", version, SOON_S)
    assert "ROUTE: not subscribed to yet" in str(caught.value)
    waiting = asyncio.create_task(control_plane.acknowledged("node", version, WITHIN_S))
    await stream.ask(ROUTE, ["routes"])
    await stream.ack(await stream.receive(), ["routes"])
    await waiting


async def test_a_resource_that_nothing_refers_to_is_not_waited_for(control_plane: ControlPlane, client: RawClient):
    version = control_plane.set_resources("node", merged(clusters("a"), load_assignments("unused")))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await control_plane.acknowledged("node", version, WITHIN_S)


async def test_a_change_outside_of_what_a_stream_asked_for_is_not_waited_for(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", load_assignments("a", "b"))
    stream = client.whole()
    await stream.ask(ENDPOINT, ["a"])
    await stream.ack(await stream.receive(), ["a"])
    version = control_plane.update("node", {(ENDPOINT, "b"): endpoints(2, name="b")})
    await control_plane.acknowledged("node", version, WITHIN_S)


async def test_setting_the_same_again_waits_for_what_is_not_acknowledged_yet(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", clusters("a"))
    again = control_plane.set_resources("node", clusters("a"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    response = await stream.receive()
    with pytest.raises(DeadlineExceeded):
        await control_plane.acknowledged("node", again, SOON_S)
    await stream.ack(response)
    await control_plane.acknowledged("node", again, WITHIN_S)


@pytest.mark.parametrize("protocol", ["whole", "delta"])
async def test_a_rejection_is_raised_with_its_reason_and_without_private_material(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    secret = {"name": "token", "generic_secret": {"secret": {"inline_string": "hush hush"}}}
    version = control_plane.set_resources("node", {**clusters("a"), SECRET: {"token": secret}})
    stream = getattr(client, protocol)()
    await stream.ask(CLUSTER)
    response = await stream.receive()
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----"
    await stream.ask(CLUSTER, nonce=response.nonce, error=f"no good: hush hush, {key}")
    with pytest.raises(Rejected, match="rejected CLUSTER") as caught:
        await control_plane.acknowledged("node", version, WITHIN_S)
    assert caught.value.type is CLUSTER
    assert caught.value.rejection.version == version.versions[CLUSTER]
    assert caught.value.rejection.code == 13
    assert "no good" in str(caught.value)
    history = repr(control_plane.history("node")) + repr(control_plane.status("node"))
    for leak in ("hush", "MIGH"):
        assert leak not in str(caught.value) + history


async def test_a_rejection_ends_with_the_next_accepted_version(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    bad = await stream.receive()
    await stream.ask(CLUSTER, nonce=bad.nonce, error="no good")
    await stream.heard(control_plane)
    refused = control_plane.status("node").types[CLUSTER].rejection
    assert refused is not None
    assert (refused.detail, str(refused.version)) == ("no good", bad.version_info)
    version = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    await stream.ack(await stream.receive())
    await control_plane.acknowledged("node", version, WITHIN_S)
    assert control_plane.status("node").types[CLUSTER].rejection is None


async def test_history_and_counters_tell_what_happened(control_plane: ControlPlane, client: RawClient):
    version = control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    response = await stream.receive()
    await stream.ack(response)
    await stream.heard(control_plane)
    status = control_plane.status("node")
    of_clusters = status.types[CLUSTER]
    assert (of_clusters.responses, of_clusters.resources, of_clusters.bytes) == (1, 2, response.ByteSize())
    assert of_clusters.sent == of_clusters.acked == of_clusters.current == version.versions[CLUSTER]
    assert (status.streams, status.known, of_clusters.subscribed) == (1, True, True)
    assert status.connected_since is not None
    stream.end()
    await client.seen(control_plane, EventKind.DISCONNECT)
    events = control_plane.history("node")
    assert [event.kind.value for event in events] == ["connect", "request", "response", "request", "ack", "disconnect"]
    assert [event.version for event in events if event.kind is EventKind.ACK] == [version.versions[CLUSTER]]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert control_plane.status("node").connected_since is None


async def test_an_unknown_node_leaves_nothing_behind(control_plane: ControlPlane, client: RawClient):
    stream = client.whole("stranger")
    await stream.ask(CLUSTER)
    await stream.heard(control_plane)
    assert "stranger" in control_plane.node_ids
    stream.end()
    await until(lambda: "stranger" not in control_plane.node_ids, what="it is forgotten", timeout=WITHIN_S)
    assert control_plane.status("never heard of").streams == 0
    assert control_plane.node_ids == ()


async def test_a_listing_that_still_holds_what_was_removed_acknowledges_nothing(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("old"), world(route=routes("old"))))
    stream = client.whole()
    for kind, names in ((CLUSTER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        await stream.ack(await stream.receive(), names)
    await stream.heard(control_plane)
    version = control_plane.set_resources("node", merged(clusters("new"), world(route=routes("new"))))
    await stream.ack(await stream.receive())
    await stream.ack(await stream.receive(), ["routes"])
    final = await stream.receive()
    with pytest.raises(DeadlineExceeded) as caught:
        await control_plane.acknowledged("node", version, SOON_S)
    assert "CLUSTER" in str(caught.value)
    assert "ROUTE" not in str(caught.value)
    await stream.ack(final)
    await control_plane.acknowledged("node", version, WITHIN_S)


async def test_a_proxy_that_comes_back_with_everything_has_acknowledged_it_by_saying_so(
    control_plane: ControlPlane, client: RawClient
):
    version = control_plane.set_resources("node", clusters("a"))
    waiting = asyncio.create_task(control_plane.acknowledged("node", version, 1_000 * WITHIN_S))
    first = client.delta("another")
    control_plane.set_resources("another", clusters("a"))
    await first.ask(CLUSTER)
    held = {resource.name: resource.version for resource in (await first.receive()).resources}
    again = client.delta()
    await again.ask(LISTENER)
    await again.ack(await again.receive())
    await again.heard(control_plane)
    await again.ask(CLUSTER, initial=held)
    await asyncio.wait_for(waiting, WITHIN_S)
    assert control_plane.status("node").types[CLUSTER].responses == 0
