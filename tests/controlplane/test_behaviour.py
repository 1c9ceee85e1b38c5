"""The seam for seeded defects can carry every defect of a control plane that the kill matrix needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from raw_client import RawClient, names_in
from xds_parts import CLUSTER, PROBE, ROUTE, SOON_S, cluster, clusters, merged, routes, world

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import Resource
from conformance.controlplane.server import ControlPlane
from conformance.model.errors import DeadlineExceeded
from conformance.protobuf.listen import UnixListen


@asynccontextmanager
async def misbehaving(behaviour: Behaviour, listen: UnixListen) -> AsyncIterator[tuple[ControlPlane, RawClient]]:
    control_plane = ControlPlane(behaviour)
    await control_plane.start(listen)
    client = RawClient(listen)
    try:
        yield control_plane, client
    finally:
        await client.close()
        await control_plane.stop()


class NeverUpdates(Behaviour):
    """Gives each node its first resources of a type and nothing later."""

    def __init__(self) -> None:
        self.served: set[object] = set()

    def may_send(self, node_id, kind, resources: Mapping[str, Resource]):
        if (node_id, kind) in self.served:
            return None
        self.served.add((node_id, kind))
        return resources


async def test_a_control_plane_that_never_updates_a_node(listen: UnixListen):
    async with misbehaving(NeverUpdates(), listen) as (control_plane, client):
        control_plane.set_resources("node", merged(clusters("a"), PROBE))
        stream = client.whole()
        await stream.ask(CLUSTER)
        await stream.ack(await stream.receive())
        await stream.heard(control_plane)
        version = control_plane.update("node", {(CLUSTER, "a"): cluster("a", connect_timeout="2s")})
        await stream.nothing_is_due()
        with pytest.raises(DeadlineExceeded):
            await control_plane.acknowledged("node", version, SOON_S)


class TellsEverybody(Behaviour):
    def targets(self, node_id, all_nodes):
        return all_nodes


async def test_a_control_plane_that_sends_each_change_to_all_nodes(listen: UnixListen):
    async with misbehaving(TellsEverybody(), listen) as (control_plane, client):
        stream = client.whole("bystander")
        control_plane.set_resources("bystander", clusters("own"))
        await stream.ask(CLUSTER)
        await stream.ack(await stream.receive())
        await stream.heard(control_plane)
        control_plane.set_resources("other", clusters("a"))
        assert names_in(await stream.receive()) == ["own"]
        assert control_plane.status("bystander").types[CLUSTER].responses == 2


class ForgetsWhileDown(Behaviour):
    def receive(self, node_id, change, *, running):
        return (change,) if running else ()


async def test_a_control_plane_that_loses_what_changed_while_it_was_down(listen: UnixListen):
    async with misbehaving(ForgetsWhileDown(), listen) as (control_plane, _):
        control_plane.set_resources("node", clusters("a"))
        await control_plane.stop()
        control_plane.set_resources("node", clusters("a", "b"))
        await control_plane.start(listen)
        client = RawClient(listen)
        stream = client.whole()
        await stream.ask(CLUSTER)
        assert names_in(await stream.receive()) == ["a"]
        await client.close()


class DropsOne(Behaviour):
    def may_send(self, node_id, kind, resources):
        return {name: resource for name, resource in resources.items() if name != "b"}


@pytest.mark.parametrize("protocol", ["whole", "delta"])
async def test_a_control_plane_that_drops_a_resource(listen: UnixListen, protocol: str):
    async with misbehaving(DropsOne(), listen) as (control_plane, client):
        control_plane.set_resources("node", clusters("a", "b", "c"))
        stream = getattr(client, protocol)()
        await stream.ask(CLUSTER)
        assert names_in(await stream.receive()) == ["a", "c"]


class OlderAfterNewer(Behaviour):
    """Follows each change by the one before it."""

    def __init__(self) -> None:
        self.before = None

    def receive(self, node_id, change, *, running):
        before, self.before = self.before, change
        return (change, before) if before else (change,)


async def test_a_control_plane_that_sends_an_older_configuration_after_a_newer(listen: UnixListen):
    async with misbehaving(OlderAfterNewer(), listen) as (control_plane, client):
        control_plane.set_resources("node", world(route=routes(body="old")))
        control_plane.set_resources("node", world(route=routes(body="new")))
        stream = client.whole()
        await stream.ask(ROUTE, ["routes"])
        assert b"old" in (await stream.receive()).resources[0].value
