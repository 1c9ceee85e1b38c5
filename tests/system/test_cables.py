"""Real cables between hosts: who is at their ends, who is not, and what somebody sees who listens in on the network."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from networks_of_tests import network

from conformance.model.errors import EnvironmentFault
from conformance.system.guard import Guard
from conformance.system.location import HERE, Location
from conformance.system.namespaces import connect_from, system_program
from conformance.system.networks import Network
from conformance.system.survey import Answer, survey

pytestmark = pytest.mark.usefixtures("network_namespaces")


def behind_a_proxy(guard: Guard):
    return network(guard, "proxy", "application", "peer", cables=[("proxy", "application")], unplugged=["application"])


@asynccontextmanager
async def listeners(made: Network) -> AsyncIterator[dict[str, tuple[str, int]]]:
    proxy, application = made["proxy"], made["application"]
    opened = {
        "door": proxy.namespace.listener(proxy.address),
        "for the application": proxy.namespace.listener(proxy.cables["application"]),
        "application": application.namespace.listener(application.cables["proxy"]),
    }
    with ExitStack() as exits:
        yield {name: exits.enter_context(each).getsockname() for name, each in opened.items()}


async def test_a_host_on_a_cable_reaches_who_is_at_the_other_end_and_nobody_else(guard):
    async with behind_a_proxy(guard) as made, listeners(made) as targets:
        seen = await survey(made["application"].namespace, targets.values(), timeout=5)
        assert seen.pop(targets["door"]) is Answer.UNREACHABLE
        assert set(seen.values()) == {Answer.OPEN}
        assert set((await survey(made["proxy"].namespace, targets.values(), timeout=5)).values()) == {Answer.OPEN}
        assert made["application"].address == ""


async def test_nobody_else_gets_to_either_end_of_a_cable_even_with_a_route(guard):
    async with behind_a_proxy(guard) as made, listeners(made) as targets:
        peer = made["peer"].namespace
        ends = [targets["for the application"], targets["application"]]
        assert set((await survey(peer, ends, timeout=5)).values()) == {Answer.UNREACHABLE}
        route = ["route", "add", "10.98.0.0/16", "via", made["proxy"].address]
        command = [system_program("ip"), "-netns", peer.file.name, *route]
        await asyncio.to_thread(subprocess.run, command, check=True)
        assert set((await survey(peer, ends, timeout=0.5)).values()) == {Answer.SILENT}
        assert await survey(peer, [targets["door"]], timeout=5) == {targets["door"]: Answer.OPEN}


async def test_who_listens_in_sees_what_hosts_say_to_each_other_and_not_what_is_said_on_a_cable(guard):
    async with behind_a_proxy(guard) as made, listeners(made) as targets:
        with made.wire.listened_in() as capture:
            for who, name, said in (
                ("peer", "door", b"in public"),
                ("application", "for the application", b"in private"),
            ):
                connected = await connect_from(made[who].namespace, *targets[name], timeout=5)
                connected.setblocking(True)
                connected.sendall(said)
                source = connected.getsockname()
                connected.close()
                if who == "peer":
                    public = source, targets[name]
            assert capture.streams() == {public: b"in public"}
            assert capture.lost == 0


async def test_what_is_larger_than_any_frame_is_seen_whole(guard):
    async with network(guard, "one", "two") as made:
        two = Location(made["two"].address, made["two"].namespace)
        whole = bytes(range(256)) * 4096
        with two.listener() as listener, made.wire.listened_in() as capture:
            listener.setblocking(True)
            here = Location(namespace=made["one"].namespace)
            sender = await here.connect(*listener.getsockname(), timeout=5)
            receiver, _ = listener.accept()
            received = bytearray()
            left = memoryview(whole)
            while left:
                left = left[sender.send(left[:65536]) :]
                while len(received) < len(whole) - len(left):
                    received += receiver.recv(1024 * 1024)
            assert capture.streams()[sender.getsockname(), listener.getsockname()] == whole
            for each in (sender, receiver):
                each.close()


async def test_the_wire_of_a_network_that_is_gone_cannot_be_listened_in_on(guard):
    async with network(guard, "one") as made:
        wire = made.wire
    with pytest.raises(EnvironmentFault, match="cannot be entered"), wire.listened_in():
        pass


async def test_the_runners_own_loopback_is_a_location_like_any_other():
    with HERE.listener() as listener:
        connected = await HERE.connect(*listener.getsockname(), timeout=5)
        assert connected.gettimeout() == 5
        connected.close()
