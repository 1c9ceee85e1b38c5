from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from security_server_parts import SelfSufficientSpec

from conformance.envoy.runtime import SecurityServerSpec
from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.system.deadlines import until


async def get(address: tuple[str, int]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://{address[0]}:{address[1]}/")


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def command_lines() -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                found.append((process / "cmdline").read_text())
    return found


async def test_a_security_server_serves_and_tells_where(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    host, port = await server.listener_address("inbound", 20)
    assert host == "127.0.0.1"
    assert (await get((host, port))).text == "hello"
    await until(lambda: server.access_log.exists() and server.access_log.read_text(), what="an access log", timeout=5)
    assert server.access_log.read_text() == "200\n"
    os.kill(server.pid, 0)


async def test_the_administration_interface_tells_what_the_proxy_knows(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    address = await server.listener_address("inbound", 20)
    before = await server.admin.stats(r"^http\.inbound\.downstream_rq_2xx$")
    await get(address)
    after = await server.admin.stats(r"^http\.inbound\.downstream_rq_2xx$")
    assert before == {"http.inbound.downstream_rq_2xx": 0}
    assert after == {"http.inbound.downstream_rq_2xx": 1}
    assert all(isinstance(value, int) for value in (await server.admin.stats()).values())
    info = await server.admin.server_info()
    assert (info.version, info.state, info.epoch, info.node) == (runtime.version, "LIVE", 0, "one")
    assert await server.admin.ready()
    assert await server.admin.listeners() == {"inbound": address}
    assert [cluster["name"] for cluster in await server.admin.clusters()] == ["xds_cluster"]
    assert await server.admin.certs() == []
    names = {config["@type"].rpartition(".")[2] for config in (await server.admin.config_dump())["configs"]}
    assert {"BootstrapConfigDump", "ListenersConfigDump", "ClustersConfigDump"} <= names
    listeners = await server.admin.config_dump("static_listeners")
    assert listeners["configs"][0]["listener"]["name"] == "inbound"


async def test_a_question_that_the_proxy_refuses_is_an_error_that_says_so(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    with pytest.raises(EnvironmentFault, match="answered with 400"):
        await server.admin.stats("(")


async def test_two_security_servers_never_share_a_port(runtime, folder, xds):
    specs = [SelfSufficientSpec(name, folder / name, xds) for name in ("one", "two", "three")]
    servers = await asyncio.gather(*(runtime.start(spec, 20) for spec in specs))
    addresses = [await server.listener_address("inbound", 20) for server in servers]
    assert len(set(addresses)) == 3


async def test_a_port_that_another_one_has_is_refused_and_not_shared(runtime, folder, xds):
    first = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    _, port = await first.listener_address("inbound", 20)

    async def start_second() -> None:
        second = await runtime.start(SelfSufficientSpec("two", folder / "two", xds, port=port), 20)
        await second.listener_address("inbound", 20)

    with pytest.raises(EnvironmentFault) as caught:
        await start_second()
    assert "Address already in use" in str(caught.value)


async def test_a_killed_security_server_is_noticed_at_once_and_what_it_said_is_told(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
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


async def test_a_configuration_that_envoy_refuses_is_shown_without_its_private_keys(runtime, folder, xds):
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
        await runtime.start(Broken("one", folder / "one", xds), 20)
    assert "no.such.Type" in str(caught.value)
    assert "MIGHAgEA" not in str(caught.value)


async def test_a_listener_that_never_appears_ends_in_a_deadline_that_says_what_is_there(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    await server.listener_address("inbound", 20)
    with pytest.raises(DeadlineExceeded, match="serves listener outbound") as caught:
        await server.listener_address("outbound", 0.05)
    assert "['inbound']" in str(caught.value)


async def test_a_security_server_starts_without_its_control_plane_and_stops_in_the_ordinary_way(runtime, folder, xds):
    server = await runtime.start(SecurityServerSpec("one", folder / "one", xds), 20)
    assert not await server.admin.ready()
    assert await server.admin.listeners() == {}
    await server.stop()
    assert await server.died == 0


async def test_a_folder_can_be_used_again_after_a_crash(runtime, folder, xds):
    spec = SelfSufficientSpec("one", folder / "one", xds)
    first = await runtime.start(spec, 20)
    first.kill()
    await first.died
    second = await runtime.start(spec, 20)
    assert (await second.admin.server_info()).node == "one"


async def test_nobody_else_may_read_the_bootstrap_or_ask_the_administration_interface(runtime, folder, xds):
    server = await runtime.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    for path, mode in (
        (server.spec.folder, 0o700),
        (server.spec.bootstrap_file, 0o600),
        (server.spec.admin_socket, 0o600),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode


async def test_the_folder_and_the_sockets_of_a_container_belong_to_an_unprivileged_user(
    containers, folder, xds, engine
):
    server = await containers.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    await server.listener_address("inbound", 20)
    expected = 101 if os.geteuid() == 0 else os.geteuid()
    assert {path.stat().st_uid for path in (server.spec.folder, server.spec.admin_socket, xds.parent)} == {expected}
    status = status_of(server.pid)
    assert set(status["Uid"].split()) == {str(expected)}
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


async def test_a_container_is_read_only_without_capabilities_and_carries_the_label_of_its_run(
    containers, folder, xds, engine, guard
):
    await containers.start(SelfSufficientSpec("one", folder / "one", xds), 20)
    [container] = engine.containers.list(filters={"label": guard.label})
    settings = container.attrs["HostConfig"]
    assert settings["ReadonlyRootfs"]
    assert settings["CapDrop"] == ["ALL"]
    assert not settings["CapAdd"]
    assert not settings["Privileged"]
    assert settings["SecurityOpt"] == ["no-new-privileges"]
    assert container.attrs["Config"]["User"].partition(":")[0] not in ("", "0", "root")
    mounted = {mount["Source"]: mount["Destination"] for mount in container.attrs["Mounts"]}
    assert mounted == {str(path): str(path) for path in (folder / "one", xds.parent)}
    await containers.close()
    assert engine.containers.list(all=True, filters={"label": guard.label}) == []


async def test_the_rendered_configuration_does_not_depend_on_the_kind_of_runtime(containers, processes, folder, xds):
    spec = SelfSufficientSpec("one", folder / "one", xds)
    rendered = []
    for runtime in (containers, processes):
        server = await runtime.start(spec, 20)
        rendered.append(spec.bootstrap_file.read_text())
        await server.stop()
    assert rendered[0] == rendered[1]


async def test_a_start_that_is_cancelled_leaves_nothing(runtime, folder, xds, engine, guard):
    starting = asyncio.create_task(runtime.start(SecurityServerSpec("one", folder / "one", xds), 20))
    await until((folder / "one" / "bootstrap.json").exists, what="the start has begun", timeout=20)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert engine.containers.list(all=True, filters={"label": guard.label}) == []
    assert not any(str(folder) in arguments for arguments in command_lines())


async def test_a_socket_path_that_is_too_long_is_refused_before_the_start(runtime, folder, xds):
    with pytest.raises(EnvironmentFault, match="may have 107 bytes"):
        await runtime.start(SecurityServerSpec("one", folder / ("x" * 100), xds), 20)


async def test_many_servers_do_not_disturb_each_other(runtime, folder, xds):
    specs = [SelfSufficientSpec(f"s{number}", folder / f"s{number}", xds) for number in range(8)]
    servers = await asyncio.gather(*(runtime.start(spec, 30) for spec in specs))
    servers[0].kill()
    await servers[0].died
    assert [server.alive for server in servers] == [False] + [True] * 7
    await runtime.close()
    assert not any(server.alive for server in servers)
