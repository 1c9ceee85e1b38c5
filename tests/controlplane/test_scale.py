"""What does not change costs nothing: no bytes to whom it does not concern, no memory for what is past."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from raw_client import RawClient
from xds_parts import CLUSTER, ENDPOINT, ROUTE, WITHIN_S, cluster, clusters, endpoints, load_assignments, merged, routes

from conformance.controlplane.resources import encode
from conformance.controlplane.server import ControlPlane

PROXIES = 30
CHANGES = 600
GROWTH_ALLOWED_BYTES = 200_000
SERVICES = [f"service-{number}" for number in range(200)]


def bytes_sent(control_plane: ControlPlane) -> dict[str, int]:
    return {
        node: sum(each.bytes for each in control_plane.status(node).types.values()) for node in control_plane.node_ids
    }


@pytest.mark.parametrize("protocol", ["whole", "delta"])
async def test_a_change_that_concerns_one_proxy_of_many_sends_bytes_to_one(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    for number in range(PROXIES):
        node = f"node-{number}"
        control_plane.set_resources(node, merged(clusters("a"), load_assignments("a")))
        stream = getattr(client, protocol)(node)
        await stream.ask(CLUSTER)
        await stream.ack(await stream.receive())
        await stream.ask(ENDPOINT, ["a"])
        await stream.ack(await stream.receive(), *([["a"]] if protocol == "whole" else []))
    before = bytes_sent(control_plane)
    control_plane.update("node-7", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
    # The last proxy hears of a change of its own; whatever was due to others has been sent by then.
    last = control_plane.update(node, {(ENDPOINT, "a"): endpoints(2, name="a")})
    await stream.ack(await stream.receive(), *([["a"]] if protocol == "whole" else []))
    await control_plane.acknowledged(node, last, WITHIN_S)
    after = bytes_sent(control_plane)
    assert {name for name in after if after[name] != before[name]} == {"node-7", node}


async def test_one_endpoint_of_many_clusters_costs_the_bytes_of_one(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", merged(clusters(*SERVICES), load_assignments(*SERVICES)))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    await stream.ask(ENDPOINT, SERVICES)
    whole = await stream.receive()
    await stream.ack(whole)
    control_plane.update("node", {(ENDPOINT, SERVICES[7]): endpoints(2, name=SERVICES[7])})
    assert (await stream.receive()).ByteSize() < whole.ByteSize() / len(SERVICES) * 2


async def test_a_resource_may_be_encoded_once_for_many_nodes(control_plane: ControlPlane):
    key = (ROUTE, "routes")
    once = encode(*key, routes(body="the same for all"))
    assert encode(*key, routes(body="the same for all")) is once
    first = control_plane.update("one", {key: once})
    again = control_plane.update("one", {key: routes(body="the same for all")})
    assert again.versions[ROUTE] == first.versions[ROUTE]


async def test_memory_does_not_grow_with_changes(control_plane: ControlPlane):
    for number in range(PROXIES):
        control_plane.set_resources(f"node-{number}", merged(clusters(*SERVICES), load_assignments(*SERVICES)))

    def change() -> int:
        for number in range(CHANGES):
            changed = endpoints(number + 1, name=SERVICES[number % 3])
            control_plane.update(f"node-{number % PROXIES}", {(ENDPOINT, SERVICES[number % 3]): changed})
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        change()
        first = change()
        grown = change() - first
    finally:
        tracemalloc.stop()
    assert grown < GROWTH_ALLOWED_BYTES
