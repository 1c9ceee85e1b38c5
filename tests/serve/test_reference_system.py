"""The services as processes, real security servers, one PostgreSQL: what an installation relies on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from serve_parts import PATIENCE_S, ReferenceSystem, Served

from conformance.model.policies import Kind
from conformance.model.verdict import now
from conformance.policy.client import ANY, PolicyAdminClient
from conformance.policy.store import ProxyReport, ProxyState, Write
from conformance.policy.store.opening import open_store
from conformance.system.deadlines import until

ECHO = (Kind.SERVICE, "echo")


@dataclass
class Installed:
    """Everything, and the caller's call passes."""

    system: ReferenceSystem
    client: PolicyAdminClient
    authentication: Served
    one: Served
    two: Served

    async def state(self, version: int) -> dict[str, tuple[str, str]]:
        """What became of a version at each security server, and who says so; waits for answers."""
        status = await self.client.status(version, wait_s=PATIENCE_S)
        return {each.proxy: (each.state.value, each.control_plane) for each in status.proxies}


@pytest.fixture
async def installed(system: ReferenceSystem) -> AsyncIterator[Installed]:
    admin, authentication = await asyncio.gather(system.admin(), system.authentication())
    async with system.client(admin) as client:
        first = [Write((Kind(each["kind"]), each["name"]), each) for each in system.first_policies()]
        await client.commit(first, note="the installation begins")
        one, two = await asyncio.gather(
            system.control_plane("one", authentication), system.control_plane("two", authentication)
        )
        # The caller knows one control plane, the registry both.
        await asyncio.gather(
            system.security_server("caller", one),
            system.security_server("registry", two, one),
        )
        await system.until_answered(200)
        yield Installed(system, client, authentication, one, two)


async def change_echo(installed: Installed, **more: object) -> int:
    document = installed.system.service(**more)
    return (await installed.client.put(ECHO, document, expected=ANY, note="a change")).version


async def test_a_call_passes_and_a_change_made_at_the_admin_service_is_enforced(installed: Installed) -> None:
    answer = await installed.system.call("/echo/hello")
    assert answer.status_code == 200
    assert "GET /hello" in answer.text
    version = await change_echo(installed, access=[])
    states = await installed.state(version)
    assert states["registry"][0] == "applied"
    refused = await installed.system.until_answered(403)
    assert refused.text
    await change_echo(installed)
    await installed.system.until_answered(200)
    # Each security server has answered, to the control plane that it is connected to, and nobody claims otherwise.
    states = {each.proxy: each for each in await installed.client.proxies()}
    assert states.keys() == {"caller", "registry"}
    assert states["caller"].control_plane == "one"
    await until(
        lambda: _settled(installed), what="every security server has applied what concerns it", timeout=PATIENCE_S
    )
    # Another control plane has claimed more than there is, and is gone.
    second = installed.system.service("second")
    version = (await installed.client.put((Kind.SERVICE, "second"), second, note="nobody calls it")).version
    assert (await installed.state(version)).keys() == {"registry"}
    store = await open_store(installed.system.store)
    await store.report([ProxyReport(version, "caller", ProxyState.PENDING, now(), control_plane="gone")])
    await store.close()
    await until(
        lambda: _state_is(installed, version, "caller", ("applied", "one")),
        what="the claim is answered by the control plane that the caller is connected to",
        timeout=PATIENCE_S,
    )
    lines = [json.loads(line) for line in installed.authentication.process.tail(200).splitlines() if line[:1] == "{"]
    assert {line["service"] for line in lines} == {"echo"}
    metrics = await installed.one.metrics()
    assert "meshmark_controlplane_members 2.0" in metrics
    assert f"meshmark_controlplane_policies_version {version:.1f}" in metrics
    assert "meshmark_authn_decisions_total" in await installed.authentication.metrics()


async def _settled(installed: Installed) -> bool:
    return all(each.state is ProxyState.APPLIED for each in await installed.client.proxies())


async def test_a_control_plane_that_is_killed_is_not_missed(installed: Installed) -> None:
    installed.one.process.kill()
    await installed.one.process.exited
    assert (await installed.system.call()).status_code == 200
    # What concerns the provider arrives by the other control plane.
    wider = installed.system.member("caller", calls=["echo", "second"])
    caller = (Kind.MEMBER, "caller")
    writes = [
        Write((Kind.SERVICE, "second"), installed.system.service("second")),
        Write(caller, wider, await _changed_in(installed, caller)),
    ]
    version = (await installed.client.commit(writes, note="while one is away")).version
    await until(
        lambda: _state_is(installed, version, "registry", ("applied", "two")),
        what="the registry has applied it by control plane two",
        timeout=PATIENCE_S,
    )
    # Nobody can speak for the caller: it is known to be concerned, and no more.
    assert (await installed.client.status(version)).state == ProxyState.PENDING
    successor = await installed.system.control_plane("one", installed.authentication, port=installed.one.port)
    await installed.system.until_answered(200, "/second/")
    assert await installed.state(version) == {"caller": ("applied", "one"), "registry": ("applied", "two")}
    # And the other one: the registry knows both.
    installed.two.process.kill()
    await installed.two.process.exited
    version = await change_echo(installed, access=[])
    await installed.system.until_answered(403)
    assert (await installed.state(version))["registry"] == ("applied", "one")
    os.kill(successor.process.pid, signal.SIGTERM)
    assert await successor.process.exited == 0
    assert "Traceback" not in successor.process.tail(200)


async def _state_is(installed: Installed, version: int, server: str, state: tuple[str, str]) -> bool:
    status = await installed.client.status(version)
    return any((each.proxy, (each.state.value, each.control_plane)) == (server, state) for each in status.proxies)


async def test_without_the_authentication_service_nobody_gets_through(installed: Installed) -> None:
    installed.authentication.process.kill()
    await installed.authentication.process.exited
    await installed.system.until_answered(403)
    await installed.system.authentication(port=installed.authentication.port)
    await installed.system.until_answered(200)


async def test_the_authentication_service_can_follow_the_admin_service_instead_of_the_store(
    system: ReferenceSystem,
) -> None:
    admin = await system.admin()
    system.store = ""
    authentication = await system.authentication("--policies-from", f"https://{admin.address}")
    async with system.client(admin) as client:
        first = [Write((Kind(each["kind"]), each["name"]), each) for each in system.first_policies()]
        version = (await client.commit(first, note="the installation begins")).version

    async def known() -> bool:
        return f"meshmark_authn_policies_version {version:.1f}" in await authentication.metrics()

    await until(known, what="the first policies are known", timeout=PATIENCE_S)
    os.kill(authentication.process.pid, signal.SIGTERM)
    assert await authentication.process.exited == 0


async def test_a_security_server_gets_the_configuration_of_its_own_identity_only(installed: Installed) -> None:
    thief = await installed.system.security_server("caller", installed.two, identity="security-server/registry")
    stranger = await installed.system.security_server("nobody", installed.two)

    async def refused_both() -> bool:
        said = installed.two.process.tail(200)
        return "'caller' was refused" in said and "'nobody' was refused" in said

    await until(refused_both, what="control plane two refuses both", timeout=PATIENCE_S)
    for each in (thief, stranger):
        assert await each.admin.listeners() == {}
        assert await each.admin.stats(r"^cluster_manager\.cds\.update_success$") == {
            "cluster_manager.cds.update_success": 0
        }
    refused = re.search(r"(?m)^meshmark_controlplane_refused_streams_total (\S+)$", await installed.two.metrics())
    assert refused is not None
    assert float(refused[1]) >= 2
    assert (await installed.system.call()).status_code == 200


async def test_a_member_that_is_removed_loses_its_control_plane(installed: Installed) -> None:
    caller = (Kind.MEMBER, "caller")
    writes = [
        Write(ECHO, installed.system.service(access=[]), await _changed_in(installed, ECHO)),
        Write(caller, None, await _changed_in(installed, caller)),
    ]
    version = (await installed.client.commit(writes, note="the caller leaves")).version

    async def gone() -> bool:
        return "'caller' was refused" in installed.one.process.tail(200)

    await until(gone, what="control plane one refuses the caller", timeout=PATIENCE_S)
    # Nobody waits for an answer of it.
    assert (await installed.state(version)).keys() == {"registry"}


async def _changed_in(installed: Installed, key: tuple[Kind, str]) -> int:
    stored = await installed.client.document(key)
    assert stored is not None
    return stored.changed_in
