from __future__ import annotations

from raw_client import RawClient, names_in
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    PROBE,
    ROUTE,
    cluster,
    clusters,
    endpoints,
    listener,
    load_assignments,
    merged,
    routes,
    world,
)

from conformance.controlplane.server import ControlPlane
from conformance.protobuf.listen import UnixListen


def versions_in(response) -> dict[str, str]:
    return {resource.name: resource.version for resource in response.resources}


async def test_a_wildcard_subscription_gets_everything_and_then_only_what_changed(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.delta()
    await stream.ask(CLUSTER)
    first = await stream.receive()
    assert names_in(first) == ["a", "b"]
    await stream.ack(first)
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    second = await stream.receive()
    assert names_in(second) == ["b"]
    assert list(second.removed_resources) == []
    await stream.ack(second)
    control_plane.update("node", {}, {(CLUSTER, "a")})
    third = await stream.receive()
    assert names_in(third) == []
    assert list(third.removed_resources) == ["a"]
    await stream.ack(third)
    await stream.nothing_is_due()


async def test_an_empty_type_is_answered_so_that_the_proxy_need_not_wait(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    stream = client.delta()
    await stream.ask(LISTENER)
    response = await stream.receive()
    assert response.type_url == LISTENER.type_url
    await stream.ack(response)
    await stream.nothing_is_due()


async def test_on_reconnect_only_differences_are_sent(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a", "b", "c"), PROBE))
    stream = client.delta()
    await stream.ask(CLUSTER)
    held = versions_in(await stream.receive())
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")}, {(CLUSTER, "c")})

    again = client.delta()
    await again.ask(CLUSTER, initial=held)
    response = await again.receive()
    assert names_in(response) == ["b"]
    assert list(response.removed_resources) == ["c"]
    await again.ack(response)
    await again.nothing_is_due()


async def test_on_reconnect_with_everything_nothing_is_sent_even_by_a_control_plane_that_lost_its_state(
    control_plane: ControlPlane, client: RawClient, listen: UnixListen
):
    everything = merged(clusters("a", "b"), load_assignments("a"), PROBE)
    control_plane.set_resources("node", everything)
    stream = client.delta()
    await stream.ask(CLUSTER)
    held_clusters = versions_in(await stream.receive())
    await stream.ask(ENDPOINT, ["a"])
    held_endpoints = versions_in(await stream.receive())
    await control_plane.stop()

    successor = ControlPlane()
    version = successor.set_resources("node", everything)
    await successor.start(listen)
    newcomer = RawClient(listen)
    again = newcomer.delta()
    await again.ask(CLUSTER, initial=held_clusters)
    await again.ask(ENDPOINT, ["a"], initial=held_endpoints)
    await again.nothing_is_due()
    assert version.versions[CLUSTER] > control_plane.status("node").types[CLUSTER].current
    await newcomer.close()
    await successor.stop()


async def test_a_name_that_does_not_exist_is_said_to_be_removed_and_sent_when_it_appears(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(load_assignments("a"), PROBE))
    stream = client.delta()
    await stream.ask(ENDPOINT, ["a", "missing"])
    first = await stream.receive()
    assert names_in(first) == ["a"]
    assert list(first.removed_resources) == ["missing"]
    await stream.ack(first)
    control_plane.update("node", {(ENDPOINT, "missing"): endpoints(1, name="missing")})
    assert names_in(await stream.receive()) == ["missing"]


async def test_a_name_subscribed_to_again_is_sent_again(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.delta()
    await stream.ask(ENDPOINT, ["a", "b"])
    await stream.ack(await stream.receive())
    await stream.ask(ENDPOINT, ["a"])
    assert names_in(await stream.receive()) == ["a"]


async def test_an_unsubscribed_name_is_sent_no_more(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.delta()
    await stream.ask(ENDPOINT, ["a", "b"])
    await stream.ack(await stream.receive())
    await stream.ask(ENDPOINT, unsubscribe=["b", "never subscribed"])
    await stream.heard(control_plane)
    control_plane.update("node", {(ENDPOINT, "b"): endpoints(2, name="b")})
    await stream.nothing_is_due()


async def test_a_stale_nonce_does_not_void_a_subscription(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.delta()
    await stream.ask(ENDPOINT, ["a"])
    await stream.ack(await stream.receive())
    await stream.ask(ENDPOINT, ["b"], nonce="long ago")
    assert names_in(await stream.receive()) == ["b"]


async def test_a_name_after_the_legacy_wildcard_adds_to_it_and_the_wildcard_can_be_given_up(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await stream.ask(CLUSTER, ["a"])
    await stream.ack(await stream.receive())
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    still = await stream.receive()
    assert names_in(still) == ["b"]
    await stream.ack(still)
    await stream.ask(CLUSTER, unsubscribe=["*"])
    await stream.heard(control_plane)
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="3s")})
    await stream.nothing_is_due()


async def test_giving_up_a_name_that_the_wildcard_covers_is_answered(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    stream = client.delta()
    await stream.ask(CLUSTER, ["*", "a", "missing"])
    await stream.ack(await stream.receive())
    await stream.ask(CLUSTER, unsubscribe=["a", "missing"])
    response = await stream.receive()
    assert names_in(response) == ["a"]
    assert list(response.removed_resources) == ["missing"]


async def test_a_removed_cluster_goes_after_the_route_that_used_it(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("old"), world(route=routes("old"))))
    stream = client.delta()
    for kind, names in ((CLUSTER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        await stream.ack(await stream.receive())
    control_plane.set_resources("node", merged(clusters("new"), world(route=routes("new"))))
    added = await stream.receive()
    assert (names_in(added), list(added.removed_resources)) == (["new"], [])
    await stream.ack(added)
    route = await stream.receive()
    assert route.type_url == ROUTE.type_url
    await stream.ack(route)
    removed = await stream.receive()
    assert (names_in(removed), list(removed.removed_resources)) == ([], ["old"])


async def test_both_protocols_serve_the_same_resources(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a"), world(listener=listener())))
    whole, delta = client.whole(), client.delta()
    await whole.ask(CLUSTER)
    await delta.ask(CLUSTER)
    one, other = await whole.receive(), await delta.receive()
    assert one.resources[0] == other.resources[0].resource
    assert one.version_info == other.system_version_info
