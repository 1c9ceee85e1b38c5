from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from networks_of_tests import network

from conformance.model.errors import EnvironmentFault
from conformance.system.calling import transport_from
from conformance.system.deadlines import until
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace, connect_from, system_program
from conformance.system.networks import NAMED_NAMESPACES, Network
from conformance.system.processes import ChildProcess
from conformance.system.survey import Answer, Listening, listening, survey

pytestmark = pytest.mark.usefixtures("network_namespaces")


@asynccontextmanager
async def listener(namespace: NetworkNamespace, host: str, port: int = 0):
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, sock=namespace.listener(host, port))
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_hosts_reach_each_other_and_nobody_outside_reaches_them(guard):
    async with network(guard, "one", "two") as made:
        two = made["two"]
        async with listener(two.namespace, two.address) as port:
            (await connect_from(made["one"].namespace, two.address, port, timeout=5)).close()
            outside = await asyncio.to_thread(addresses_of_this_machine)
            assert two.address not in outside


async def test_nobody_inside_reaches_what_listens_on_the_machine(guard):
    async with network(guard, "one") as made:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionRefusedError):
                await connect_from(made["one"].namespace, "127.0.0.1", port, timeout=5)


async def test_parallel_networks_have_the_same_addresses_and_do_not_meet(guard):
    async with network(guard, "one", "two") as first, network(guard, "one", "two") as second:
        assert first["one"].address == second["one"].address
        async with listener(first["one"].namespace, first["one"].address) as port:
            (await connect_from(first["two"].namespace, first["one"].address, port, timeout=5)).close()
            with pytest.raises(ConnectionRefusedError):
                await connect_from(second["two"].namespace, second["one"].address, port, timeout=5)


async def test_a_host_with_neighbours_answers_them_and_nobody_else(guard):
    async with network(guard, "peer", "proxy", "application", neighbours={"application": ("proxy",)}) as made:
        application = made["application"]
        async with listener(application.namespace, "0.0.0.0") as port:
            target = (application.address, port)
            found = {name: (await survey(made[name].namespace, [target], timeout=5))[target] for name in made.hosts}
        assert found == {"peer": Answer.UNREACHABLE, "proxy": Answer.OPEN, "application": Answer.OPEN}


async def test_a_host_with_neighbours_calls_nobody_else(guard):
    async with network(guard, "peer", "proxy", "application", neighbours={"application": ("proxy",)}) as made:
        peer, proxy = made["peer"], made["proxy"]
        async with listener(peer.namespace, "0.0.0.0") as one, listener(proxy.namespace, "0.0.0.0") as two:
            targets = [(peer.address, one), (proxy.address, two)]
            answers = await survey(made["application"].namespace, targets, timeout=1)
        assert list(answers.values()) == [Answer.UNREACHABLE, Answer.OPEN]


async def test_a_peer_that_adds_routes_of_its_own_gets_no_further(guard):
    async with network(guard, "peer", "proxy", "application", neighbours={"application": ("proxy",)}) as made:
        application, peer = made["application"], made["peer"].namespace
        inside = [system_program("ip"), "-netns", peer.file.name]
        for route in (
            ["route", "add", application.address, "via", made["proxy"].address],
            ["-6", "address", "add", "fe80::1/64", "dev", "eth0"],
        ):
            await asyncio.to_thread(subprocess.run, [*inside, *route], check=True)
        async with listener(application.namespace, "0.0.0.0") as port:
            answers = await survey(peer, [(application.address, port)], timeout=1)
        assert Answer.OPEN not in answers.values()


async def test_a_host_has_no_address_of_ipv6_by_which_it_could_be_reached(guard):
    async with network(guard, "one", "two") as made:
        said = await asyncio.to_thread(
            subprocess.check_output,
            [system_program("ip"), "-netns", made["one"].namespace.file.name, "-6", "address", "show", "dev", "eth0"],
        )
        assert said == b""


async def test_a_survey_tells_open_from_refused_and_from_unreachable(guard):
    async with network(guard, "one", "two") as made:
        two = made["two"]
        async with listener(two.namespace, two.address) as shown, listener(two.namespace, "127.0.0.1") as hidden:
            targets = [(two.address, shown), (two.address, hidden), ("192.0.2.1", 80)]
            answers = await survey(made["one"].namespace, targets, timeout=5)
            assert list(answers.values()) == [Answer.OPEN, Answer.REFUSED, Answer.UNREACHABLE]
            assert listening(two.namespace) == {Listening(two.address, shown), Listening("127.0.0.1", hidden)}
            assert listening(made["one"].namespace) == frozenset()


async def test_a_survey_of_many_ports_names_every_one_that_is_open(guard):
    async with network(guard, "one", "two") as made:
        two = made["two"]
        async with listener(two.namespace, two.address, 2001), listener(two.namespace, two.address, 2999):
            answers = await survey(
                made["one"].namespace, [(two.address, port) for port in range(2000, 3000)], timeout=20
            )
        assert {target for target, answer in answers.items() if answer is Answer.OPEN} == {
            (two.address, 2001),
            (two.address, 2999),
        }
        assert len(answers) == 1000


async def test_an_http_client_calls_from_inside(guard):
    async with network(guard, "one", "two") as made:
        two = made["two"]
        async with (
            listener(two.namespace, two.address) as port,
            httpx.AsyncClient(transport=transport_from(made["one"].namespace)) as client,
        ):
            assert (await client.get(f"http://{two.address}:{port}/")).text == "hello"
        async with httpx.AsyncClient(transport=transport_from(made["one"].namespace)) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://{two.address}:{port}/")


async def test_a_program_lives_inside_under_its_own_process_id_and_cannot_leave(guard):
    code = """
import ctypes, os, socket, sys
listener = socket.create_server(("0.0.0.0", 8080))
left = ctypes.CDLL(None, use_errno=True).setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000)
print(os.getpid(), left, os.strerror(ctypes.get_errno()), flush=True)
listener.accept()
"""
    async with network(guard, "one", "two") as made:
        two = made["two"]
        command = [sys.executable, "-c", code, str(made["one"].namespace.file)]
        child = await ChildProcess.start(command, name="child", guard=guard, namespace=two.namespace)
        await until(child.tail, what="it says who it is", timeout=20)
        assert child.tail() == f"{child.pid} -1 Operation not permitted"
        assert listening(two.namespace) == {Listening("0.0.0.0", 8080)}
        (await connect_from(made["one"].namespace, two.address, 8080, timeout=5)).close()
        assert await asyncio.shield(child.exited) == 0
        await child.stop()


async def test_the_runner_stays_where_it_is(guard):
    before = networks_of_threads()
    async with network(guard, "one") as made:
        assert made["one"].namespace.within(networks_of_threads) > before
        # Python calls a thread ended a moment before the kernel does.
        await until(lambda: networks_of_threads() == before, what="the thread inside has ended", timeout=20)
    assert len(before) == 1


async def test_a_network_that_was_removed_cannot_be_entered(guard):
    async with network(guard, "one") as made:
        namespace = made["one"].namespace
    with pytest.raises(EnvironmentFault, match="cannot be entered"):
        namespace.tcp_socket()


async def test_a_creation_that_is_broken_off_leaves_nothing(guard):
    creating = asyncio.create_task(Network.create([f"host{number}" for number in range(20)], guard=guard))
    await until(lambda: named_namespaces(guard), what="the creation has begun", timeout=20)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert not named_namespaces(guard)


async def test_closing_the_guard_removes_networks_and_ends_whatever_runs_in_them():
    guard = Guard()
    made = await Network.create(["one"], guard=guard)
    # It has washed the marker of its run off, and is in a group of its own.
    runaway = await asyncio.create_subprocess_exec(
        *made["one"].namespace.command(["sleep", "600"]), env={}, start_new_session=True
    )
    await until(lambda: is_in(runaway.pid, made["one"].namespace), what="it is inside", timeout=20)
    await asyncio.to_thread(guard.close)
    assert await runaway.wait() < 0
    assert not named_namespaces(guard)


def named_namespaces(guard: Guard) -> list[Path]:
    return list(NAMED_NAMESPACES.glob(f"meshmark-{guard.run}-*"))


def is_in(pid: int, namespace: NetworkNamespace) -> bool:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino == namespace.file.stat().st_ino


def networks_of_threads() -> set[Path]:
    networks = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            networks.add((thread / "ns/net").readlink())
    return networks


def addresses_of_this_machine() -> str:
    return subprocess.check_output([system_program("ip"), "address", "show"], text=True)
