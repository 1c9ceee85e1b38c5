from __future__ import annotations

from raw_client import RawClient, names_in
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    PROBE,
    ROUTE,
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

from conformance.controlplane.server import ControlPlane
from conformance.controlplane.status import EventKind


async def test_a_wildcard_subscription_gets_everything_of_the_type_and_nothing_else(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a", "b"), world(listener=listener()), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    response = await stream.receive()
    assert names_in(response) == ["a", "b"]
    assert response.type_url == CLUSTER.type_url
    await stream.ack(response)
    await stream.nothing_is_due()


async def test_an_empty_type_is_answered_so_that_the_proxy_need_not_wait(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    stream = client.whole()
    await stream.ask(LISTENER)
    response = await stream.receive()
    assert response.type_url == LISTENER.type_url
    assert names_in(response) == []
    await stream.ack(response)
    await stream.nothing_is_due()


async def test_an_unknown_node_gets_nothing_until_it_has_resources(control_plane: ControlPlane, client: RawClient):
    stream, other = client.whole("unknown"), client.whole("other")
    await stream.ask(CLUSTER)
    control_plane.set_resources("other", clusters("b"))
    await other.ask(CLUSTER)
    assert names_in(await other.receive()) == ["b"]
    assert control_plane.status("unknown").types[CLUSTER].responses == 0
    control_plane.set_resources("unknown", clusters("a"))
    assert names_in(await stream.receive()) == ["a"]


async def test_a_request_with_a_stale_nonce_is_ignored(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(ENDPOINT, ["a"])
    first = await stream.receive()
    await stream.ack(first, ["a"])
    await stream.heard(control_plane)
    control_plane.update("node", {(ENDPOINT, "a"): endpoints(2, name="a")})
    second = await stream.receive()
    await stream.ask(ENDPOINT, ["a", "b"], nonce=first.nonce, version=first.version_info)
    await stream.nothing_is_due()
    assert control_plane.status("node").types[ENDPOINT].acked is not None
    assert str(control_plane.status("node").types[ENDPOINT].acked) == first.version_info
    await stream.ack(second, ["a", "b"])
    assert names_in(await stream.receive()) == ["b"]


async def test_a_name_asked_for_later_is_answered_under_an_unchanged_version(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(ENDPOINT, ["a"])
    first = await stream.receive()
    await stream.ack(first, ["a", "b"])
    second = await stream.receive()
    assert names_in(second) == ["b"]
    assert second.version_info == first.version_info
    assert second.nonce != first.nonce
    await stream.ack(second, ["a", "b"])
    await stream.nothing_is_due()


async def test_an_unsubscribed_name_is_sent_no_more_and_again_when_resubscribed(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(load_assignments("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(ENDPOINT, ["a", "b"])
    first = await stream.receive()
    await stream.ack(first, ["a"])
    await stream.heard(control_plane)
    control_plane.update("node", {(ENDPOINT, "b"): endpoints(2, name="b")})
    await stream.nothing_is_due()
    await stream.ack(first, ["a", "b"])
    assert names_in(await stream.receive()) == ["b"]


async def test_an_empty_list_after_names_is_no_wildcard(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER, ["a"])
    first = await stream.receive()
    assert names_in(first) == ["a"]
    await stream.ack(first, [])
    await stream.heard(control_plane)
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    await stream.nothing_is_due()


async def test_the_legacy_wildcard_ends_with_the_first_name(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    first = await stream.receive()
    await stream.ack(first, ["*", "a"])
    second = await stream.receive()
    assert names_in(second) == ["a", "b"]
    await stream.ack(second, ["a"])
    await stream.heard(control_plane)
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    await stream.nothing_is_due()
    control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    assert names_in(await stream.receive()) == ["a"]


async def test_of_endpoints_only_those_that_changed_are_sent(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(load_assignments("a", "b", "c"), PROBE))
    stream = client.whole()
    await stream.ask(ENDPOINT, ["a", "b"])
    first = await stream.receive()
    await stream.ack(first, ["a", "b"])
    control_plane.update("node", {(ENDPOINT, "b"): endpoints(2, name="b"), (ENDPOINT, "c"): endpoints(2, name="c")})
    second = await stream.receive()
    assert names_in(second) == ["b"]
    await stream.ack(second, ["a", "b"])
    await stream.nothing_is_due()


async def test_of_clusters_all_are_listed_because_absence_means_removal(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a", "b"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    control_plane.update("node", {(CLUSTER, "b"): cluster("b", connect_timeout="2s")})
    second = await stream.receive()
    assert names_in(second) == ["a", "b"]
    await stream.ack(second)
    control_plane.update("node", {}, {(CLUSTER, "a")})
    assert names_in(await stream.receive()) == ["b"]


async def test_setting_the_same_again_sends_nothing_and_keeps_every_version(
    control_plane: ControlPlane, client: RawClient
):
    everything = merged(clusters("a"), load_assignments("a"), world(listener=listener(), route=routes()), PROBE)
    control_plane.set_resources("node", everything)
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    before = control_plane.status("node").types
    control_plane.set_resources("node", merged(everything))
    await stream.nothing_is_due()
    after = control_plane.status("node").types
    assert [after[kind].current for kind in after] == [before[kind].current for kind in before]


async def test_a_change_that_is_taken_back_before_anybody_saw_it_sends_nothing(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await stream.heard(control_plane)
    version = control_plane.set_resources("node", merged(clusters("a", connect_timeout="9s"), PROBE))
    control_plane.set_resources("node", merged(clusters("a", "b"), PROBE))
    await stream.nothing_is_due()
    await control_plane.acknowledged("node", version, WITHIN_S)


async def test_a_type_that_did_not_change_keeps_its_version(control_plane: ControlPlane):
    control_plane.set_resources("node", merged(clusters("a"), world(route=routes())))
    before = control_plane.status("node").types
    applied = control_plane.set_resources("node", merged(clusters("a"), world(route=routes(body="new"))))
    after = control_plane.status("node").types
    assert set(applied.versions) == {ROUTE}
    assert after[ROUTE].current > before[ROUTE].current
    assert after[CLUSTER].current == before[CLUSTER].current


async def test_a_changed_cluster_brings_its_unchanged_endpoints_again(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a", "b"), load_assignments("a", "b"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await stream.ask(ENDPOINT, ["a", "b"])
    await stream.ack(await stream.receive(), ["a", "b"])
    control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    changed, again = await stream.receive(), await stream.receive()
    assert changed.type_url == CLUSTER.type_url
    assert again.type_url == ENDPOINT.type_url
    assert names_in(again) == ["a"]
    await stream.ack(changed)
    await stream.ack(again, ["a", "b"])
    await stream.nothing_is_due()


async def test_what_is_referred_to_comes_first_and_what_is_removed_goes_last(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("old"), world(listener=listener(), route=routes("old"))))
    stream = client.whole()
    for kind, names in ((CLUSTER, []), (LISTENER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        await stream.ack(await stream.receive(), names)

    control_plane.set_resources("node", merged(clusters("new"), world(listener=listener(), route=routes("new"))))
    both = await stream.receive()
    assert both.type_url == CLUSTER.type_url
    assert names_in(both) == ["new", "old"]
    await stream.ack(both)
    route = await stream.receive()
    assert route.type_url == ROUTE.type_url
    await stream.ack(route, ["routes"])
    final = await stream.receive()
    assert final.type_url == CLUSTER.type_url
    assert names_in(final) == ["new"]
    assert final.version_info != both.version_info


async def test_a_cluster_removed_while_the_proxy_was_away_goes_last_too(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("old"), world(listener=listener(), route=routes("old"))))
    stream = client.whole()
    for kind, names in ((CLUSTER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        response = await stream.receive()
        await stream.ack(response, names)
    stream.end()
    await client.seen(control_plane, EventKind.DISCONNECT)

    control_plane.set_resources("node", merged(clusters("new"), world(listener=listener(), route=routes("new"))))
    stream = client.whole()
    await stream.ask(ROUTE, ["routes"], version="1")
    await stream.receive()
    await stream.ask(CLUSTER, version="1")
    assert names_in(await stream.receive()) == ["new", "old"]


async def test_a_route_waits_until_new_clusters_are_acknowledged(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a"), world(route=routes("a"))))
    stream = client.whole()
    for kind, names in ((CLUSTER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        await stream.ack(await stream.receive(), names)
    control_plane.update("node", {(CLUSTER, "b"): cluster("b"), (ROUTE, "routes"): routes("b")})
    changed = await stream.receive()
    assert control_plane.status("node").types[ROUTE].responses == 1
    await stream.ack(changed)
    assert (await stream.receive()).type_url == ROUTE.type_url


async def test_a_proxy_that_never_answers_for_its_clusters_still_gets_its_routes(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a"), world(route=routes("a"))))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.receive()
    await stream.ask(ROUTE, ["routes"])
    assert (await stream.receive()).type_url == ROUTE.type_url


async def test_a_slow_stream_gets_only_the_newest_version(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(world(route=routes(body="0")), PROBE))
    stream = client.whole()
    await stream.ask(ROUTE, ["routes"])
    first = await stream.receive()
    for number in range(1, 1001):
        control_plane.update("node", {(ROUTE, "routes"): routes(body=str(number))})
    await stream.ack(first, ["routes"])
    last = await stream.receive()
    assert b"1000" in last.resources[0].value
    await stream.ack(last, ["routes"])
    await stream.nothing_is_due()
    assert control_plane.status("node").types[ROUTE].responses == 2


async def test_after_a_rejection_the_same_is_not_sent_again(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    stream = client.whole()
    await stream.ask(CLUSTER)
    first = await stream.receive()
    await stream.ask(CLUSTER, nonce=first.nonce, error="no such thing")
    await stream.nothing_is_due()
    control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    assert names_in(await stream.receive()) == ["a"]


async def test_a_reconnecting_proxy_that_has_the_present_clusters_is_not_sent_them_again(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    first = client.whole()
    await first.ask(CLUSTER)
    response = await first.receive()
    await first.ack(response)
    again = client.whole()
    await again.ask(CLUSTER, version=response.version_info)
    await again.nothing_is_due()


async def test_two_streams_of_one_node_are_both_served(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a"))
    streams = [client.whole(), client.whole()]
    for stream in streams:
        await stream.ask(CLUSTER)
        await stream.ack(await stream.receive())
    control_plane.update("node", {(CLUSTER, "b"): cluster("b")})
    for stream in streams:
        assert names_in(await stream.receive()) == ["a", "b"]
    assert control_plane.status("node").streams == 2


async def test_only_the_node_concerned_gets_a_response(control_plane: ControlPlane, client: RawClient):
    streams = {}
    for node_id in ("one", "two"):
        control_plane.set_resources(node_id, merged(clusters("a"), PROBE))
        streams[node_id] = client.whole(node_id)
        await streams[node_id].ask(CLUSTER)
        await streams[node_id].ack(await streams[node_id].receive())
    control_plane.update("one", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    await streams["one"].receive()
    await streams["two"].nothing_is_due()
    assert control_plane.status("two").types[CLUSTER].responses == 1


async def test_a_stream_without_a_node_id_is_refused(control_plane: ControlPlane, client: RawClient):
    stream = client.whole("")
    await stream.ask(CLUSTER)
    assert (await stream.call.code()).name == "INVALID_ARGUMENT"
