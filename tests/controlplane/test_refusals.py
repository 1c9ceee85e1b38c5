"""What a proxy refused counts as refused until it accepts a response that holds it, whatever else it accepts."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from raw_client import DELTA_RESPONSE, RESPONSE, STATUS, RawClient, names_in
from test_subscription_machine import Conversation
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
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane, Rejected
from conformance.controlplane.status import EventKind
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


async def test_the_removal_of_what_was_refused_ends_it_once_it_is_acknowledged(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("node", clusters("a", "bad"))
    stream = client.delta()
    await stream.ask(CLUSTER)
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no good")
    await stream.heard(control_plane)
    assert refused(control_plane, CLUSTER) == {"a", "bad"}
    removal = control_plane.update("node", {}, {(CLUSTER, "bad")})
    response = await stream.receive()
    assert list(response.removed_resources) == ["bad"]
    assert refused(control_plane, CLUSTER) == {"a", "bad"}
    await stream.ack(response)
    await control_plane.acknowledged("node", removal, WITHIN_S)
    assert refused(control_plane, CLUSTER) == {"a"}


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


class Refusals(Conversation):
    """A proxy that refuses now and then, and answers at once. Compared with what the protocol's rules make of it."""

    def __init__(self) -> None:
        self.expected: dict[ResourceType, set[str]] = {kind: set() for kind in ResourceType}
        super().__init__()

    def digests(self, kind: ResourceType) -> dict[str, str]:
        return {name: each.digest for name, each in self.node.snapshot.resources[kind].items()}

    @rule(refuse=st.booleans())
    def deliver(self, refuse: bool = False) -> None:
        encoded = self.stream.due_response()
        if encoded is None:
            return
        delta = self.dialect is Dialect.DELTA
        response = (DELTA_RESPONSE if delta else RESPONSE).FromString(encoded)
        kind = next(kind for kind in ResourceType if kind.type_url == response.type_url)
        names = {*names_in(response), *(response.removed_resources if delta else ())}
        if refuse:
            answer = self.proxy.refuse(encoded)
            answer.error_detail.CopyFrom(STATUS(code=13, message="no good"))
            # A listing takes away what it does not hold.
            self.expected[kind] |= names | (self.proxy.held[kind].keys() if kind.listed_whole and not delta else set())
        else:
            self.proxy.accept(encoded)
            answer = self.proxy.acknowledge()
            self.expected[kind] -= self.expected[kind] if kind.listed_whole and not delta else names
        self.stream.receive(answer)

    @rule(names=st.sets(st.sampled_from(("a", "b", "c"))))
    def ask_for_endpoints(self, names: set[str]) -> None:
        self.expected[ENDPOINT] &= names
        super().ask_for_endpoints(names)

    @rule(names=st.sets(st.sampled_from(("routes", "more")), min_size=1))
    def ask_for_routes(self, names: set[str]) -> None:
        self.expected[ROUTE] &= names
        super().ask_for_routes(names)

    @rule(between=st.just(value=False))
    def reconnect(self, between: bool) -> None:
        super().reconnect(between)
        for kind, expected in self.expected.items():
            available, held = self.digests(kind), self.proxy.resource_versions[kind]
            if self.dialect is Dialect.DELTA:
                self.expected[kind] = {name for name in expected if held.get(name) != available.get(name)}
            elif kind.listed_whole and self.proxy.versions.get(kind) == str(self.node.snapshot.versions[kind]):
                expected.clear()

    @rule()
    def settle(self) -> None:
        """Once it accepts everything, nothing is refused any more but what is not sent again."""
        for _ in range(30):
            self.deliver()
        assert self.stream.due_response() is None

    @invariant()
    def refusals_are_known(self) -> None:
        for kind, status in self.node.status().types.items():
            # What is not there any more need not be heard of again.
            present = self.node.snapshot.resources[kind].keys()
            assert status.refused & present == self.expected[kind] & present, kind
            assert (status.rejection is not None) == bool(status.refused)


class DeltaRefusals(Refusals):
    dialect = Dialect.DELTA


Refusals.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)
DeltaRefusals.TestCase.settings = Refusals.TestCase.settings
TestStateOfTheWorldRefusals = Refusals.TestCase
TestDeltaRefusals = DeltaRefusals.TestCase
