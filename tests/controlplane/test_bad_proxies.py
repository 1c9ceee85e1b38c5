"""Proxies that are silent, refuse everything, come back all the time, or send nonsense: nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import grpc
import grpc.aio
import pytest
from raw_client import REQUEST, SERVICE, RawClient, RawStream, names_in
from xds_parts import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    PROBE,
    ROUTE,
    SECRET,
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

from conformance.controlplane import node as node_module
from conformance.controlplane import stream as stream_module
from conformance.controlplane.outcomes import OutcomeState
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.status import EventKind
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until

PROTOCOLS = pytest.mark.parametrize("protocol", ["whole", "delta"])
CHANGES = 1_000
# What a garbage collection leaves of caches and counters; one change is larger than a thousand times 100 bytes.
GROWTH_ALLOWED_BYTES = 200_000


def timeout_of(number: int):
    return {(CLUSTER, "a"): cluster("a", connect_timeout=f"{number + 1}s")}


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@PROTOCOLS
async def test_a_proxy_that_never_answers_stays_pending_holds_up_nobody_and_costs_no_memory(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    for name in ("silent", "honest"):
        control_plane.set_resources(name, clusters("a"))
    silent, honest = getattr(client, protocol)("silent"), getattr(client, protocol)("honest")
    await silent.ask(CLUSTER)
    await silent.receive()
    await honest.ask(CLUSTER)
    await honest.ack(await honest.receive())
    with control_plane.outcomes() as outcomes:

        async def change(numbers: range) -> None:
            for number in numbers:
                control_plane.update("silent", timeout_of(number))
            version = control_plane.update("honest", timeout_of(numbers.stop))
            await honest.ack(await honest.receive())
            await control_plane.acknowledged("honest", version, WITHIN_S)

        await change(range(1, 1 + CHANGES))
        tracemalloc.start()
        try:
            before = traced()
            await change(range(1 + CHANGES, 1 + 2 * CHANGES))
            grown = traced() - before
        finally:
            tracemalloc.stop()
        assert grown < GROWTH_ALLOWED_BYTES
        told = await asyncio.wait_for(anext(outcomes), WITHIN_S)
        assert (told.node_id, told.state) == ("honest", OutcomeState.APPLIED)
        assert outcomes.unread == 0
    status = control_plane.status("silent").types[CLUSTER]
    assert (status.acked, status.rejection) == (None, None)
    # It is given the newest state again once patience has run out, not each of them.
    assert status.responses < CHANGES / 50


@PROTOCOLS
async def test_a_proxy_that_refuses_everything_gets_one_response_for_each_change(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    stream = getattr(client, protocol)()
    await stream.ask(CLUSTER)
    for number in range(1, 101):
        await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error=f"no, for the {number}th time")
        control_plane.update("node", timeout_of(number))
    await stream.ask(CLUSTER, nonce=(await stream.receive()).nonce, error="no, for the last time")
    await stream.nothing_is_due()
    status = control_plane.status("node").types[CLUSTER]
    assert status.responses == 101
    assert status.rejection is not None
    assert (status.rejection.detail, status.acked) == ("no, for the last time", None)


async def test_a_proxy_that_comes_back_a_thousand_times_leaves_nothing_behind(
    control_plane: ControlPlane, client: RawClient
):
    control_plane.set_resources("known", clusters("a"))
    before = len(asyncio.all_tasks())
    for number in range(1_000):
        stream: RawStream = client.delta("known" if number % 2 else "stranger")
        await stream.ask(CLUSTER)
        if number % 2:
            await stream.receive()
        stream.end()
    await until(
        lambda: control_plane.node_ids == ("known",) and not control_plane.status("known").streams,
        what="all streams have ended",
        timeout=WITHIN_S,
    )
    await until(lambda: len(asyncio.all_tasks()) <= before, what="all tasks have ended", timeout=WITHIN_S)
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is stream_module.Stream]
    assert len([each for each in gc.get_objects() if type(each) is node_module.Node]) == 1


@PROTOCOLS
async def test_a_hundred_thousand_subscriptions_are_served_and_forgotten(
    control_plane: ControlPlane, client: RawClient, protocol: str
):
    names = [f"service-{number}" for number in range(100_000)]
    control_plane.set_resources("node", merged(load_assignments(names[0], names[-1]), PROBE))
    stream = getattr(client, protocol)()
    await stream.ask(ENDPOINT, names)
    response = await stream.receive()
    assert names_in(response) == sorted((names[0], names[-1]))
    assert len(getattr(response, "removed_resources", names[1:-1])) == len(names) - 2
    await (stream.ack(response, names) if protocol == "whole" else stream.ack(response))
    control_plane.update("node", {(ENDPOINT, names[7]): endpoints(1, name=names[7])})
    assert names_in(await stream.receive()) == [names[7]]
    stream.end()
    await client.seen(control_plane, EventKind.DISCONNECT)


@PROTOCOLS
async def test_nonsense_in_a_request_is_ignored_or_ends_that_stream_only(
    control_plane: ControlPlane, client: RawClient, listen: UnixListen, protocol: str
):
    control_plane.set_resources("node", merged(clusters("a"), PROBE))
    honest = getattr(client, protocol)()
    await honest.ask(CLUSTER)
    await honest.ack(await honest.receive())

    odd = getattr(client, protocol)("odd")
    control_plane.set_resources("odd", merged(clusters("a"), PROBE))
    await odd.ask(CLUSTER, nonce="never sent", error="refused before it came")
    first = await odd.receive()
    await odd.ask(CLUSTER, nonce="\0" * 1000 + "\U0010ffff")
    await odd.ask(CLUSTER, nonce=first.nonce, error="\0 \x1b[31m" + "x" * 100_000)
    await odd.ask(ENDPOINT, ["", "*", "\0", "no such thing"])
    await odd.ask(CLUSTER, nonce=first.nonce, error="twice")
    await odd.ask_for_probe()
    while names_in(await odd.receive()) != ["probe"]:
        pass
    rejection = control_plane.status("odd").types[CLUSTER].rejection
    assert rejection is not None
    assert len(rejection.detail) < 10_000

    method = {"whole": "StreamAggregatedResources", "delta": "DeltaAggregatedResources"}[protocol]
    async with grpc.aio.insecure_channel(f"unix:{listen.path}") as channel:
        for garbage in (
            b"\xff" * 64,
            b"\x0a\xff\xff\xff\xff\x7f",
            REQUEST(type_url="no such type").SerializeToString(),
        ):
            call = channel.stream_stream(SERVICE + method)()
            await call.write(garbage)
            assert await asyncio.wait_for(call.code(), WITHIN_S) is not grpc.StatusCode.OK
    control_plane.update("node", timeout_of(2))
    assert names_in(await honest.receive()) == ["a"]
    assert set(control_plane.node_ids) == {"node", "odd"}


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_a_jump_of_the_clock_neither_hurries_nor_delays_a_push(
    control_plane: ControlPlane, client: RawClient, monkeypatch: pytest.MonkeyPatch, jump_s: float
):
    token = {"name": "token", "generic_secret": {"secret": {"inline_string": "hush"}}}
    control_plane.set_resources(
        "node", merged(clusters("a"), world(listener=listener(), route=routes("a"), secret=token))
    )
    stream = client.whole()
    for kind, names in ((CLUSTER, []), (LISTENER, []), (ROUTE, ["routes"])):
        await stream.ask(kind, names)
        await stream.ack(await stream.receive(), names)
    version = control_plane.update("node", {(CLUSTER, "b"): cluster("b"), (ROUTE, "routes"): routes("b")})
    changed = await stream.receive()
    true_time = stream_module.time.time
    monkeypatch.setattr(stream_module.time, "time", lambda: true_time() + jump_s)
    # A secret waits for nothing, and comes after what is due by then: the route still waits for the cluster.
    await stream.ask(SECRET, ["token"])
    assert names_in(await stream.receive()) == ["token"]
    await stream.ack(changed)
    await stream.ack(await stream.receive(), ["routes"])
    await control_plane.acknowledged("node", version, WITHIN_S)
    assert control_plane.history("node")[-1].at == pytest.approx(true_time() + jump_s, abs=60)


@PROTOCOLS
async def test_a_successor_whose_clock_is_a_day_behind_is_followed(
    control_plane: ControlPlane,
    client: RawClient,
    listen: UnixListen,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
):
    control_plane.set_resources("node", clusters("a"))
    stream = getattr(client, protocol)()
    await stream.ask(CLUSTER)
    held = await stream.receive()
    await stream.ack(held)
    await control_plane.stop()

    from conformance.controlplane import snapshot  # noqa: PLC0415 -- its clock is what this test is about

    monkeypatch.setattr(snapshot, "_latest_epoch", 0)
    true_time = snapshot.time.time_ns
    monkeypatch.setattr(snapshot.time, "time_ns", lambda: true_time() - 86_400_000_000_000)
    successor = ControlPlane()
    version = successor.set_resources("node", clusters("a", connect_timeout="2s"))
    assert version.versions[CLUSTER] < control_plane.status("node").types[CLUSTER].current
    await successor.start(listen)
    newcomer = RawClient(listen)
    again = getattr(newcomer, protocol)()
    if protocol == "whole":
        await again.ask(CLUSTER, version=held.version_info)
    else:
        await again.ask(CLUSTER, initial={each.name: each.version for each in held.resources})
    response = await again.receive()
    assert names_in(response) == ["a"]
    await again.ack(response)
    await successor.acknowledged("node", version, WITHIN_S)
    await newcomer.close()
    await successor.stop()
