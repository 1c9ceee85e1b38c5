from __future__ import annotations

import asyncio
import ssl
from functools import partial

import httpx
import pytest
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    EXTENSION_CONFIG,
    LISTENER,
    ROUTE,
    SECRET,
    WITHIN_S,
    Mesh,
    Traffic,
    cluster,
    clusters,
    endpoints,
    listener,
    load_assignments,
    merged,
    policy,
    routes,
    tls_secret,
    world,
)

from conformance.controlplane.server import ControlPlane, Rejected
from conformance.envoy.runtime import SecurityServer
from conformance.pki.trust_domain import TrustDomain
from conformance.system.deadlines import until

pytestmark = pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])

# Envoy gives up waiting for endpoints after 15 s, and uses the cluster without them.
WARM_WITHIN_S = 8.0

HELLO = world(listener=listener(), route=routes())


def twice_the_same_domain(name="routes"):
    bad = routes(body="never", name=name)
    bad["virtual_hosts"].append({**bad["virtual_hosts"][0], "name": "another"})
    return bad


async def is_warm(proxy: SecurityServer) -> bool:
    """Whether the one change of a cluster is in force."""
    return await proxy.admin.stats("warming_clusters|cluster_modified") == {
        "cluster_manager.cluster_modified": 1,
        "cluster_manager.warming_clusters": 0,
    }


async def test_a_change_of_each_type_is_acknowledged_and_enforced(mesh: Mesh, api_type):
    first, second = await mesh.building_block("first"), await mesh.building_block("second")
    everything = merged(
        world(listener=listener(policy=True), route=routes("orders"), cluster=cluster()),
        world(endpoint=endpoints(first.port), extension_config=policy("ALLOW")),
    )
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", everything)
    await mesh.answers(proxy, "first")

    await mesh.apply("node", merged(everything, world(endpoint=endpoints(second.port))))
    await mesh.answers(proxy, "second")
    await mesh.apply("node", merged(everything, world(extension_config=policy("DENY"))))
    await mesh.answers(proxy, "RBAC: access denied", status=403)
    await mesh.apply("node", everything)
    await mesh.answers(proxy, "first")
    await mesh.apply("node", merged(everything, world(route=routes(body="from the route"))))
    await mesh.answers(proxy, "from the route")
    status = mesh.control_plane.status("node")
    assert {kind for kind, each in status.types.items() if each.subscribed} == {
        *(LISTENER, ROUTE, CLUSTER, ENDPOINT, EXTENSION_CONFIG)
    }


async def test_an_acknowledgement_can_be_awaited_before_the_proxy_runs(mesh: Mesh, api_type):
    everything = merged(HELLO, clusters("orders"), load_assignments("orders"))
    version = mesh.control_plane.set_resources("node", everything)
    waiting = asyncio.create_task(mesh.control_plane.acknowledged("node", version, WITHIN_S))
    await mesh.proxy("node", api_type)
    acknowledgement = await waiting
    assert acknowledgement.acked == version.versions


async def test_a_rejection_is_surfaced_and_the_last_good_configuration_stays(mesh: Mesh, api_type):
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", HELLO)
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    with pytest.raises(Rejected, match="rejected ROUTE") as caught:
        await mesh.apply("node", merged(HELLO, world(route=twice_the_same_domain())))
    assert "single wildcard domain" in caught.value.rejection.detail
    refused = mesh.control_plane.status("node").types[ROUTE]
    assert refused.rejection is not None
    assert refused.acked is not None
    assert refused.acked < refused.rejection.version
    await traffic.grown()
    assert set(await traffic.stop()) == {"hello"}

    await mesh.apply("node", merged(HELLO, world(route=routes(body="mended"))))
    await mesh.answers(proxy, "mended")
    assert mesh.control_plane.status("node").types[ROUTE].rejection is None


async def test_what_was_sent_together_with_something_bad_is_in_force_all_the_same(mesh: Mesh, api_type):
    names = [f"routes-{number}" for number in range(5)]
    listeners = {LISTENER: {name: listener(route=name) | {"name": name} for name in names}}
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", merged(listeners, {ROUTE: {name: routes(body="before", name=name) for name in names}}))
    addresses = await proxy.admin.listeners()

    async def answers() -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False) as http:
            return {name: (await http.get("http://{}:{}/".format(*addresses[name]))).text for name in names}

    async def answer_with(wanted: dict[str, str]) -> bool:
        return await answers() == wanted

    for bad in names:
        before = await answers()
        text = f"all but {bad}"
        changed = {name: routes(body=text, name=name) for name in names} | {bad: twice_the_same_domain(bad)}
        with pytest.raises(Rejected, match="single wildcard domain"):
            await mesh.apply("node", merged(listeners, {ROUTE: changed}))
        wanted = dict.fromkeys(names, text) | {bad: before[bad]}
        await until(partial(answer_with, wanted), what="all changes but one are in force", timeout=WITHIN_S)
        assert mesh.control_plane.status("node").types[ROUTE].refused == {bad}
        await mesh.apply("node", merged(listeners, {ROUTE: changed | {bad: routes(body=text, name=bad)}}))
        await until(partial(answer_with, dict.fromkeys(names, text)), what="all are in force", timeout=WITHIN_S)


async def test_traffic_survives_a_stopped_control_plane_and_changes_made_meanwhile_arrive(mesh: Mesh, api_type):
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", HELLO)
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    await mesh.control_plane.stop()
    version = mesh.control_plane.set_resources("node", merged(HELLO, world(route=routes(body="changed meanwhile"))))
    await traffic.grown()
    assert set(traffic.answers) == {"hello"}
    await mesh.control_plane.start(mesh.listen)
    await mesh.control_plane.acknowledged("node", version, WITHIN_S)
    await mesh.answers(proxy, "changed meanwhile")
    assert set(await traffic.stop()) == {"hello", "changed meanwhile"}


async def test_a_control_plane_without_memory_takes_over_and_nothing_flaps(mesh: Mesh, api_type):
    block = await mesh.building_block("block")
    everything = merged(
        world(listener=listener(policy=True), route=routes("orders"), cluster=cluster()),
        world(endpoint=endpoints(block.port), extension_config=policy("ALLOW")),
    )
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", everything)
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    flaps = "listener_(modified|removed|added)|cluster_(modified|removed|added)|config_reload|total_filter_chains"
    before = await proxy.admin.stats(flaps)
    await mesh.control_plane.stop()

    successor = ControlPlane()
    version = successor.set_resources("node", everything)
    await successor.start(mesh.listen)
    await successor.acknowledged("node", version, WITHIN_S)
    assert await proxy.admin.stats(flaps) == before
    if api_type == "DELTA_GRPC":
        assert sum(each.resources for each in successor.status("node").types.values()) == 0
    changed = successor.set_resources("node", merged(everything, world(route=routes(body="successor"))))
    await successor.acknowledged("node", changed, WITHIN_S)
    await mesh.answers(proxy, "successor")
    await traffic.grown()
    assert set(await traffic.stop()) == {"block", "successor"}
    await successor.stop()


async def test_only_the_proxy_concerned_is_sent_anything(mesh: Mesh, api_type):
    for name in ("one", "two"):
        await mesh.proxy(name, api_type)
        await mesh.apply(name, HELLO)
    before = mesh.control_plane.status("two").types
    await mesh.apply("one", merged(HELLO, world(route=routes(body="changed"))))
    assert mesh.control_plane.status("two").types == before
    assert mesh.control_plane.status("one").types[ROUTE].responses == 2
    assert mesh.control_plane.status("one").types[LISTENER].responses == 1


async def test_clusters_are_swapped_under_traffic_without_losing_a_request(mesh: Mesh, api_type):
    blocks = {name: await mesh.building_block(name) for name in ("blue", "green")}

    def only(name: str):
        return merged(
            world(listener=listener(), route=routes(name), cluster=cluster(name)),
            world(endpoint=endpoints(blocks[name].port, name=name)),
        )

    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", only("blue"))
    await mesh.answers(proxy, "blue")
    traffic = Traffic(mesh, proxy)
    for _ in range(10):
        for name in ("green", "blue"):
            await mesh.apply("node", only(name))
            await traffic.grown(5)
            assert traffic.answers[-1] == name
    assert set(await traffic.stop()) == {"blue", "green"}
    names = {status["name"] for status in await proxy.admin.clusters()}
    assert names == {"blue", "xds_cluster"}


async def test_a_cluster_swapped_while_the_control_plane_was_down_loses_no_request(mesh: Mesh, api_type):
    blocks = {name: await mesh.building_block(name) for name in ("blue", "green")}

    def only(name: str):
        return merged(
            world(listener=listener(), route=routes(name), cluster=cluster(name)),
            world(endpoint=endpoints(blocks[name].port, name=name)),
        )

    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", only("blue"))
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    await mesh.control_plane.stop()
    version = mesh.control_plane.set_resources("node", only("green"))
    await mesh.control_plane.start(mesh.listen)
    await mesh.control_plane.acknowledged("node", version, WITHIN_S)
    await traffic.grown()
    assert set(await traffic.stop()) == {"blue", "green"}


async def test_a_changed_cluster_gets_warm_and_keeps_serving(mesh: Mesh, api_type):
    block = await mesh.building_block("block")
    everything = merged(world(listener=listener(), route=routes("orders")), world(endpoint=endpoints(block.port)))
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", merged(everything, clusters("orders")))
    await mesh.answers(proxy, "block")
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    await mesh.apply("node", merged(everything, clusters("orders", connect_timeout="3s")))
    await until(lambda: is_warm(proxy), what="the changed cluster is warm", timeout=WARM_WITHIN_S)
    await traffic.grown()
    assert set(await traffic.stop()) == {"block"}


async def test_a_cluster_that_changed_while_the_control_plane_was_down_gets_warm(mesh: Mesh, api_type):
    block = await mesh.building_block("block")
    everything = merged(world(listener=listener(), route=routes("orders")), world(endpoint=endpoints(block.port)))
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", merged(everything, clusters("orders")))
    await mesh.answers(proxy, "block")
    await mesh.control_plane.stop()
    version = mesh.control_plane.set_resources("node", merged(everything, clusters("orders", connect_timeout="3s")))
    await mesh.control_plane.start(mesh.listen)
    await mesh.control_plane.acknowledged("node", version, WITHIN_S)
    await until(lambda: is_warm(proxy), what="the changed cluster is warm", timeout=WARM_WITHIN_S)
    await mesh.answers(proxy, "block")


@pytest.mark.parametrize("changed_when", ["before the proxy is back", "after it is back"])
async def test_a_cluster_that_a_successor_changes_gets_warm(mesh: Mesh, api_type, changed_when):
    block = await mesh.building_block("block")
    everything = merged(world(listener=listener(), route=routes("orders")), world(endpoint=endpoints(block.port)))
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", merged(everything, clusters("orders")))
    await mesh.answers(proxy, "block")
    await mesh.control_plane.stop()

    successor = ControlPlane()
    same = successor.set_resources("node", merged(everything, clusters("orders")))
    await successor.start(mesh.listen)
    if changed_when == "after it is back":
        await successor.acknowledged("node", same, WITHIN_S)
    changed = successor.set_resources("node", merged(everything, clusters("orders", connect_timeout="3s")))
    await successor.acknowledged("node", changed, WITHIN_S)
    await until(lambda: is_warm(proxy), what="the changed cluster is warm", timeout=WARM_WITHIN_S)
    await mesh.answers(proxy, "block")
    await successor.stop()


async def test_a_burst_of_1000_changes_converges_on_the_last(mesh: Mesh, api_type):
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", HELLO)
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    for number in range(1, 1001):
        version = mesh.control_plane.update("node", {(ROUTE, "routes"): routes(body=f"change {number}")})
        if number % 50 == 0:
            await asyncio.sleep(0)
    await mesh.control_plane.acknowledged("node", version, WITHIN_S)
    await mesh.answers(proxy, "change 1000")
    seen = [int(answer.split()[-1]) for answer in await traffic.stop() if answer != "hello"]
    assert seen == sorted(seen)


async def test_a_route_that_comes_after_its_listener_is_served_when_it_comes(mesh: Mesh, api_type):
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", world(listener=listener()))
    version = mesh.control_plane.update("node", {(ROUTE, "routes"): routes(body="at last")})
    await mesh.control_plane.acknowledged("node", version, WITHIN_S)
    await mesh.answers(proxy, "at last")


async def test_a_certificate_that_comes_after_its_listener_and_is_rotated_under_traffic(mesh: Mesh, api_type):
    trust = TrustDomain()
    first, second = trust.issue("building-block/orders"), trust.issue("building-block/orders")
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", world(listener=listener(secret="identity"), route=routes()))

    async def rotated_to(credential) -> None:
        version = mesh.control_plane.update("node", {(SECRET, "identity"): tls_secret("identity", credential)})
        await mesh.control_plane.acknowledged("node", version, WITHIN_S)
        await until(lambda: shows(credential), what="the new certificate is shown", timeout=WITHIN_S)

    async def shows(credential) -> bool:
        host, port = await proxy.listener_address("inbound", WITHIN_S)
        context = credential.client_context(trust.bundle_pem)
        try:
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        except (ssl.SSLError, ConnectionError):
            return False  # No certificate has come yet.
        shown = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        await writer.wait_closed()
        return int(shown["serialNumber"], 16) == credential.serial

    await rotated_to(first)
    traffic = Traffic(mesh, proxy, first.client_context(trust.bundle_pem))
    await traffic.grown()
    await rotated_to(second)
    await traffic.grown()
    assert set(await traffic.stop()) == {"hello"}


async def test_a_removed_listener_stops_listening(mesh: Mesh, api_type):
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", HELLO)
    await mesh.answers(proxy, "hello")
    await mesh.apply("node", {})

    async def gone() -> bool:
        return not await proxy.admin.listeners()

    await until(gone, what="no listener is left", timeout=WITHIN_S)
