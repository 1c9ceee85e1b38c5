from __future__ import annotations

import asyncio
import json
import os
import stat

import httpx
import pytest
from security_server_parts import SelfSufficientSpec

from conformance.envoy.runtime import SecurityServerSpec
from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.system.deadlines import until


async def get(address: tuple[str, int]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://{address[0]}:{address[1]}/")


async def test_a_security_server_serves_and_tells_where(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    host, port = await server.listener_address("inbound", 20)
    assert host == "127.0.0.1"
    assert (await get((host, port))).text == "hello"
    await until(lambda: server.access_log.exists() and server.access_log.read_text(), what="an access log", timeout=5)
    assert server.access_log.read_text() == "200\n"
    os.kill(server.pid, 0)


async def test_the_administration_interface_tells_what_the_proxy_knows(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    address = await server.listener_address("inbound", 20)
    before = await server.admin.stats(r"^http\.inbound\.downstream_rq_2xx$")
    await get(address)
    after = await server.admin.stats(r"^http\.inbound\.downstream_rq_2xx$")
    assert before == {"http.inbound.downstream_rq_2xx": 0}
    assert after == {"http.inbound.downstream_rq_2xx": 1}
    assert all(isinstance(value, int) for value in (await server.admin.stats()).values())
    info = await server.admin.server_info()
    assert (info.version, info.state, info.epoch, info.node) == (processes.version, "LIVE", 0, "one")
    assert await server.admin.ready()
    assert await server.admin.listeners() == {"inbound": address}
    assert [cluster["name"] for cluster in await server.admin.clusters()] == ["xds_cluster"]
    assert await server.admin.certs() == []
    names = {config["@type"].rpartition(".")[2] for config in (await server.admin.config_dump())["configs"]}
    assert {"BootstrapConfigDump", "ListenersConfigDump", "ClustersConfigDump"} <= names
    listeners = await server.admin.config_dump("static_listeners")
    assert listeners["configs"][0]["listener"]["name"] == "inbound"


async def test_a_question_that_the_proxy_refuses_is_an_error_that_says_so(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    with pytest.raises(EnvironmentFault, match="answered with 400"):
        await server.admin.stats("(")


async def test_two_security_servers_never_share_a_port(processes, folder):
    specs = [SelfSufficientSpec(name, folder / name, folder / "xds.sock") for name in ("one", "two", "three")]
    servers = await asyncio.gather(*(processes.start(spec, 20) for spec in specs))
    addresses = [await server.listener_address("inbound", 20) for server in servers]
    assert len(set(addresses)) == 3


async def test_a_port_that_another_one_has_is_refused_and_not_shared(processes, folder):
    first = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    _, port = await first.listener_address("inbound", 20)

    async def start_second() -> None:
        second = await processes.start(SelfSufficientSpec("two", folder / "two", folder / "xds.sock", port=port), 20)
        await second.listener_address("inbound", 20)

    with pytest.raises(EnvironmentFault) as caught:
        await start_second()
    assert "Address already in use" in str(caught.value)


async def test_a_killed_security_server_is_noticed_at_once_and_what_it_said_is_told(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    address = await server.listener_address("inbound", 20)
    os.kill(server.pid, 9)
    with pytest.raises(EnvironmentFault, match="was ended by signal 9"):
        await server.listener_address("no such listener", 20)
    assert await server.died == -9
    assert not server.alive
    with pytest.raises(EnvironmentFault, match="got no answer"):
        await server.admin.stats()
    with pytest.raises(httpx.ConnectError):
        await get(address)


async def test_a_configuration_that_envoy_refuses_is_shown_without_its_private_keys(processes, folder):
    class Broken(SelfSufficientSpec):
        def lay_out(self) -> None:
            super().lay_out()
            rendered = json.loads(self.bootstrap_file.read_text())
            key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
            certificates = [{"private_key": {"inline_string": key}}]
            rendered["static_resources"]["clusters"][0]["transport_socket"] = {
                "name": "tls",
                "typed_config": {"@type": "type.googleapis.com/no.such.Type", "tls_certificates": certificates},
            }
            self.bootstrap_file.write_text(json.dumps(rendered))

    with pytest.raises(EnvironmentFault, match="exited with code 1") as caught:
        await processes.start(Broken("one", folder / "one", folder / "xds.sock"), 20)
    assert "no.such.Type" in str(caught.value)
    assert "MIGHAgEA" not in str(caught.value)


async def test_a_listener_that_never_appears_ends_in_a_deadline_that_says_what_is_there(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    await server.listener_address("inbound", 20)
    with pytest.raises(DeadlineExceeded, match="serves listener outbound") as caught:
        await server.listener_address("outbound", 0.05)
    assert "['inbound']" in str(caught.value)


async def test_a_security_server_starts_without_its_control_plane_and_stops_in_the_ordinary_way(processes, folder):
    server = await processes.start(SecurityServerSpec("one", folder / "one", folder / "xds.sock"), 20)
    assert not await server.admin.ready()
    assert await server.admin.listeners() == {}
    await server.stop()
    assert await server.died == 0


async def test_a_folder_can_be_used_again_after_a_crash(processes, folder):
    spec = SelfSufficientSpec("one", folder / "one", folder / "xds.sock")
    first = await processes.start(spec, 20)
    first.kill()
    await first.died
    second = await processes.start(spec, 20)
    assert (await second.admin.server_info()).node == "one"


async def test_nobody_else_may_read_the_bootstrap_or_ask_the_administration_interface(processes, folder):
    server = await processes.start(SelfSufficientSpec("one", folder / "one", folder / "xds.sock"), 20)
    for path, mode in (
        (server.spec.folder, 0o700),
        (server.spec.bootstrap_file, 0o600),
        (server.spec.admin_socket, 0o600),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode


async def test_a_socket_path_that_is_too_long_is_refused_before_the_start(processes, folder):
    with pytest.raises(EnvironmentFault, match="may have 107 bytes"):
        await processes.start(SecurityServerSpec("one", folder / ("x" * 100), folder / "xds.sock"), 20)


async def test_many_servers_do_not_disturb_each_other(processes, folder):
    specs = [SelfSufficientSpec(f"s{number}", folder / f"s{number}", folder / "xds.sock") for number in range(8)]
    servers = await asyncio.gather(*(processes.start(spec, 30) for spec in specs))
    servers[0].kill()
    await servers[0].died
    assert [server.alive for server in servers] == [False] + [True] * 7
    await processes.close()
    assert not any(server.alive for server in servers)
