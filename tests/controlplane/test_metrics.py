"""What a monitoring system is told about the control plane: who is connected, what was sent, what was said to it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from raw_client import RawClient
from xds_parts import CLUSTER, clusters

from conformance.controlplane.server import ControlPlane
from conformance.system.deadlines import until

PREFIX = "meshmark_controlplane_"


def counted(control_plane: ControlPlane) -> dict[str, float]:
    """Samples by name and labels, without those that tell a time."""
    families = text_string_to_metric_families(control_plane.metrics().decode())
    return {
        " ".join([sample.name.removeprefix(PREFIX), *sorted(sample.labels.values())]): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


async def test_pushes_and_answers_are_counted_over_all_nodes(control_plane: ControlPlane, client: RawClient):
    assert counted(control_plane) == {"connected_proxies": 0, "refused_streams_total": 0}
    sizes = 0
    for node, names in (("one", "a"), ("two", "bc")):
        control_plane.set_resources(node, clusters(*names))
        stream = client.whole(node)
        await stream.ask(CLUSTER)
        response = await stream.receive()
        sizes += response.ByteSize()
        if node == "one":
            await stream.ack(response)
        else:
            await stream.ask(CLUSTER, nonce=response.nonce, error="not like this")
    await until(
        lambda: "answers_total cluster rejected" in counted(control_plane), what="the last answer is in", timeout=30
    )
    assert counted(control_plane) == {
        "connected_proxies": 2,
        "pushes_total cluster": 2,
        "pushed_resources_total cluster": 3,
        "pushed_bytes_total cluster": sizes,
        "answers_total acknowledged cluster": 1,
        "answers_total cluster rejected": 1,
        "refused_streams_total": 0,
    }


async def test_whoever_leaves_is_not_connected_any_more_and_counts_stay(control_plane: ControlPlane, client: RawClient):
    control_plane.set_resources("node", clusters("a"))
    stream = client.whole()
    await stream.ask(CLUSTER)
    await stream.ack(await stream.receive())
    stream.end()
    await until(
        lambda: counted(control_plane)["connected_proxies"] == 0, what="the node is seen to be gone", timeout=30
    )
    assert counted(control_plane)["pushes_total cluster"] == 1
