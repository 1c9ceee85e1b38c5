"""Make before break, as it shows on the wire: what is needed comes first, and what was needed goes last."""

from __future__ import annotations

import pytest
from raw_client import RawClient, RawStream, names_in
from xds_parts import (
    ADS,
    CLUSTER,
    ENDPOINT,
    LISTENER,
    PROBE,
    ROUTE,
    SECRET,
    Mesh,
    Resources,
    Traffic,
    clusters,
    endpoints,
    listener,
    merged,
    routes,
    world,
)

from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane, Rejected

PROTOCOLS = pytest.mark.parametrize("protocol", ["whole", "delta"])
SCOPED_ROUTE = ResourceType.SCOPED_ROUTE
NAMES = {ENDPOINT: ["orders"], SECRET: ["token"], ROUTE: ["routes"]}
OF_URL = {kind.type_url: kind for kind in ResourceType}


def everything(name: str, number: int) -> Resources:
    """Resources of each type: the cluster and the scope are called `name`, the others stay and change."""
    scoped = {"name": name, "route_configuration_name": "routes", "key": {"fragments": [{"string_key": name}]}}
    secret = {"name": "token", "generic_secret": {"secret": {"inline_string": name}}}
    discovery = {"eds_config": ADS, "service_name": "orders"}
    return merged(
        clusters(name, eds_cluster_config=discovery),
        world(endpoint=endpoints(number), secret=secret, listener=listener(per_connection_buffer_limit_bytes=number)),
        world(scoped_route=scoped, route=routes(name)),
    )


async def accept(stream: RawStream, protocol: str, response) -> None:
    names = [NAMES.get(OF_URL[response.type_url], [])] if protocol == "whole" else []
    await stream.ack(response, *names)


@PROTOCOLS
async def test_all_types_come_in_the_order_in_which_they_need_each_other(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    control_plane.set_resources("node", everything("old", 1))
    stream = getattr(client, protocol)()
    for kind in (CLUSTER, ENDPOINT, SECRET, LISTENER, SCOPED_ROUTE, ROUTE):
        await stream.ask(kind, NAMES.get(kind, []))
        await accept(stream, protocol, await stream.receive())

    control_plane.set_resources("node", everything("new", 2))
    came: list[tuple[ResourceType, tuple[str, ...], tuple[str, ...]]] = []
    has: dict[ResourceType, set[str]] = {kind: {"old"} for kind in (CLUSTER, SCOPED_ROUTE)}
    final = {CLUSTER: {"new"}, SCOPED_ROUTE: {"new"}}
    while has != final or len(came) < 6:
        response = await stream.receive()
        kind, present = OF_URL[response.type_url], set(names_in(response))
        before = has.get(kind, set())
        gone = set(response.removed_resources) if protocol == "delta" else before - present
        if kind in has:
            has[kind] = (has[kind] | present) - gone
        came.append((kind, tuple(sorted(present)), tuple(sorted(gone))))
        await accept(stream, protocol, response)
    first_of: dict[ResourceType, int] = {}
    for at, (kind, _, _) in enumerate(came):
        first_of.setdefault(kind, at)
    assert list(first_of) == [CLUSTER, ENDPOINT, SECRET, LISTENER, SCOPED_ROUTE, ROUTE]
    removal = {kind: next(at for at, each in enumerate(came) if each[0] is kind and "old" in each[2]) for kind in has}
    assert removal[CLUSTER] > first_of[ROUTE]
    assert removal[CLUSTER] > first_of[LISTENER]
    assert removal[SCOPED_ROUTE] > first_of[LISTENER]


@PROTOCOLS
async def test_what_a_refused_route_may_still_need_stays_until_the_route_is_accepted(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    control_plane.set_resources("node", merged(clusters("old"), world(route=routes("old"))))
    stream = getattr(client, protocol)()
    for kind in (CLUSTER, ROUTE):
        await stream.ask(kind, NAMES.get(kind, []))
        await accept(stream, protocol, await stream.receive())
    control_plane.set_resources("node", merged(clusters("new"), world(route=routes("new")), PROBE))
    await accept(stream, protocol, await stream.receive())
    refused = await stream.receive()
    assert refused.type_url == ROUTE.type_url
    await stream.ask(ROUTE, NAMES[ROUTE] if protocol == "whole" else [], nonce=refused.nonce, error="no good")
    await stream.nothing_is_due()

    control_plane.update("node", {(ROUTE, "routes"): {**routes("new"), "validate_clusters": False}})
    await accept(stream, protocol, await stream.receive())
    removal = await stream.receive()
    assert removal.type_url == CLUSTER.type_url
    assert names_in(removal) == (["new"] if protocol == "whole" else [])


@pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])
async def test_a_refused_route_goes_on_with_its_old_cluster_under_traffic(mesh: Mesh, api_type):
    blocks = {name: await mesh.building_block(name) for name in ("blue", "green")}

    def only(name: str, **more) -> Resources:
        assignment = endpoints(blocks[name].port, name=name)
        return merged(clusters(name), world(listener=listener(), route={**routes(name), **more}, endpoint=assignment))

    host = routes("green")["virtual_hosts"][0]
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", only("blue"))
    traffic = Traffic(mesh, proxy)
    await traffic.grown()
    with pytest.raises(Rejected):
        await mesh.apply("node", only("green", virtual_hosts=[host, {**host, "name": "twice the same domain"}]))
    await traffic.grown()
    assert set(traffic.answers) == {"blue"}
    await mesh.apply("node", only("green"))
    await traffic.grown()
    assert set(await traffic.stop()) == {"blue", "green"}
    assert {each["name"] for each in await proxy.admin.clusters()} == {"green", "xds_cluster"}
