"""A whole mesh with the smallest building block: calls, policies, the dead, and what is left in the end."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from workplace import Workplace

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import Resource, ResourceType
from conformance.envoy.binary import installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.mesh import BYSTANDER, CALLER, WITNESS, Applications, Mesh, Modifier
from conformance.model.errors import EnvironmentFault, SubjectFault
from conformance.model.policy import ServicePolicy
from conformance.model.run_file import Overlay, parse_run_file
from conformance.policy.store import ProxyReport, Store
from conformance.subjects.ports import free_port
from conformance.system.deadlines import until
from conformance.system.guard import Guard

StartMesh = Callable[..., AbstractAsyncContextManager[Mesh]]


@pytest.fixture
def start_mesh(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> StartMesh:
    """Starts a mesh from a run file, in this process."""
    monkeypatch.setattr("tempfile.tempdir", str(workplace.temporary))

    @asynccontextmanager
    async def start(*modifiers: Modifier, **changes: Any) -> AsyncIterator[Mesh]:
        path = workplace.folder / workplace.run_file(**changes)
        run_file = parse_run_file(path.read_text(), path).run_file
        timeouts = run_file.timeout_table()
        guard = Guard()
        try:
            mesh = Mesh(
                applications=Applications.of(run_file, workplace.folder, timeouts, guard),
                runtime=ProcessRuntime(installed_binary(), guard),
                timeouts=timeouts,
                guard=guard,
                modifiers=modifiers,
            )
            async with mesh:
                yield mesh
        finally:
            guard.close()

    return start


async def call(mesh: Mesh, path: str) -> int:
    """The status of a call by the calling application."""
    outbound = mesh.members[CALLER].outbound
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return (await client.get(f"http://{outbound.host}:{outbound.port}{path}")).status_code


async def answered(mesh: Mesh, path: str, status: int) -> bool:
    return await call(mesh, path) == status


async def test_calls_pass_policies_change_and_nothing_is_left(start_mesh: StartMesh, workplace: Workplace):
    async with start_mesh() as mesh:
        assert mesh.folder.stat().st_mode & 0o777 == 0o700
        assert set(mesh.members) == {"things", BYSTANDER, CALLER}
        assert [await call(mesh, path) for path in ("/things/things", "/witness/", "/bystander/")] == [200, 200, 200]
        assert await call(mesh, "/nobody/") == 404

        propagation = await mesh.apply(mesh.policies[WITNESS].changed(access=()))
        assert propagation.acknowledged
        assert propagation.servers == ("things",)
        await until(lambda: answered(mesh, "/witness/", 403), what="the call is refused", timeout=20)
        assert await call(mesh, "/things/things") == 200

        await mesh.restore()
        await until(lambda: answered(mesh, "/witness/", 200), what="the call is let through again", timeout=20)

        nowhere = await mesh.apply(mesh.policies[BYSTANDER].changed(timeout_s=9.0))
        assert set(nowhere.servers) == {BYSTANDER, CALLER}
    assert workplace.left() == []


async def test_an_added_service_is_found_and_restore_takes_it_away(start_mesh: StartMesh):
    async with start_mesh() as mesh:
        added = ServicePolicy(
            service="added",
            endpoints=mesh.policies[WITNESS].endpoints,
            access=mesh.policies[WITNESS].access,
        )
        propagation = await mesh.register(added, provider="things")
        assert propagation.acknowledged
        assert set(propagation.servers) == {"things", CALLER}
        await until(lambda: answered(mesh, "/added/", 200), what="the new service answers", timeout=20)
        await mesh.restore()
        assert "added" not in mesh.policies
        await until(lambda: answered(mesh, "/added/", 404), what="the new service is gone", timeout=20)


async def test_more_services_are_registered_than_the_policy_admin_service_takes_at_once(start_mesh: StartMesh):
    async with start_mesh() as mesh:
        witness = mesh.policies[WITNESS]
        many = [
            ServicePolicy(service=f"many-{number}", endpoints=witness.endpoints, access=witness.access)
            for number in range(101)
        ]
        propagation = await mesh.register(*many, provider="things")
        assert propagation.acknowledged
        await until(lambda: answered(mesh, "/many-100/", 200), what="the last service answers", timeout=60)


async def test_a_dead_security_server_is_noticed_by_whoever_waits(start_mesh: StartMesh):
    async with start_mesh() as mesh:
        mesh.members.refuse_if_dead()
        mesh.members[BYSTANDER].running.kill()
        forever = until(lambda: False, what="nothing", timeout=600)
        with pytest.raises(EnvironmentFault, match=f"security server {BYSTANDER} was ended by signal 9"):
            await mesh.members.unless_dead(forever)
        with pytest.raises(EnvironmentFault):
            mesh.members.refuse_if_dead()


async def test_a_building_block_that_does_not_start_is_the_error_and_nothing_is_left(
    start_mesh: StartMesh, workplace: Workplace
):
    exits = {"command": ["{python}", "-c", "raise SystemExit('not today')"]}
    with pytest.raises(SubjectFault, match="exited with code 1 before it was ready") as failed:
        async with start_mesh(subject=exits):
            pass
    assert "not today" in failed.value.detail
    assert workplace.left() == []


async def test_the_end_of_the_subject_is_known(start_mesh: StartMesh):
    async with start_mesh() as mesh:
        assert mesh.applications.end_of_subject() is None
        mesh.applications.running["things"].kill()
        await until(lambda: mesh.applications.end_of_subject() is not None, what="its end is noticed", timeout=20)
        assert mesh.applications.end_of_subject().startswith("exited with code -9")


async def test_building_blocks_call_only_whom_they_declare(start_mesh: StartMesh):
    helper = {"name": "helper", "command": ["{python}", "things.py", "{port}"]}
    async with start_mesh(subject={"calls": ["helper"]}, companions=[helper]) as mesh:
        statuses = {}
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            for caller, called in (("things", "helper"), ("helper", "things")):
                outbound = mesh.members[caller].outbound
                answer = await client.get(f"http://{outbound.host}:{outbound.port}/{called}/things")
                statuses[caller] = answer.status_code
        assert statuses == {"things": 200, "helper": 404}


async def test_an_unused_connection_is_closed_by_the_security_server_before_the_building_block_would(
    start_mesh: StartMesh,
):
    counter = "cluster.application-witness.upstream_cx_idle_timeout"
    async with start_mesh() as mesh:
        assert await call(mesh, "/witness/") == 200
        admin = mesh.members["things"].running.admin

        async def closed() -> bool:
            return (await admin.stats(f"^{counter}$")).get(counter) == 1

        await until(closed, what="the security server has closed the connection that it kept", timeout=20)


async def test_a_newcomer_serves_at_the_port_that_was_known_before_and_leaves_nothing(
    start_mesh: StartMesh, workplace: Workplace
) -> None:
    async with start_mesh() as mesh:
        endpoints, access = mesh.policies[WITNESS].endpoints, mesh.policies[WITNESS].access
        policy = ServicePolicy(service="newcomer", endpoints=endpoints, access=access, authentication=False)
        port = free_port("127.0.0.1", socket.socket)
        for _ in range(2):
            async with mesh.newcomer(policy.changed(), port=port) as member:
                assert "newcomer" in mesh.members
                await mesh.members.start(member)
                assert member.inbound is not None
                assert member.inbound.port == port
                await until(lambda: knocked(mesh, port), what="the newcomer serves", timeout=20)
            assert "newcomer" not in mesh.members
            await mesh.restore()
            assert "newcomer" not in mesh.policies
        assert await call(mesh, "/witness/") == 200
    assert workplace.left() == []


async def knocked(mesh: Mesh, port: int) -> bool:
    credential = mesh.trust_domain.issue(mesh.identity_path(CALLER))
    context = credential.client_context(mesh.trust_domain.bundle_pem)
    async with httpx.AsyncClient(trust_env=False, verify=context) as client:
        try:
            return (await client.get(f"https://127.0.0.1:{port}/newcomer/")).status_code == 200
        except httpx.TransportError:
            return False


async def test_an_overlay_counts_until_the_end_of_its_block_and_a_rejection_has_a_reason(start_mesh: StartMesh) -> None:
    match = {"safe_regex": {"regex": "(never-closed"}}
    unreadable = {"name": "bad", "match": match, "direct_response": {"status": 404}}
    patch = [{"op": "add", "path": "/virtual_hosts/0/routes/0", "value": unreadable}]
    overlay = Overlay.model_validate({"type": "route", "name": "inbound/witness", "patch": patch})
    async with start_mesh() as mesh:
        with mesh.overlaid(overlay):
            refused = await mesh.apply(mesh.policies[WITNESS].changed())
        assert list(refused.rejected) == ["things"]
        assert "never-closed" in refused.rejected["things"]
        assert not refused.acknowledged
        assert await call(mesh, "/witness/") == 200
        accepted = await mesh.apply(mesh.policies[WITNESS].changed())
        assert accepted.acknowledged


async def test_whoever_keeps_policies_and_reports_on_them_can_be_replaced(start_mesh: StartMesh) -> None:
    seen: list[str] = []

    class Curious(Modifier):
        def keep(self, store: Store) -> Store:
            seen.append("store")
            return store

        def report(self, report: ProxyReport) -> ProxyReport | None:
            seen.append(report.proxy)
            return report

    async with start_mesh(Curious()) as mesh:
        await mesh.apply(mesh.policies[BYSTANDER].changed())
    assert seen[0] == "store"
    assert {"things", BYSTANDER, CALLER} == set(seen[1:])


class TellsNothing(Behaviour):
    """Sends no response, once it is told so."""

    silent = False

    def may_send(
        self, node_id: str, kind: ResourceType, resources: Mapping[str, Resource]
    ) -> Mapping[str, Resource] | None:
        return None if self.silent else resources


async def test_of_a_security_server_that_does_not_answer_it_is_said_what_is_missing(start_mesh: StartMesh) -> None:
    behaviour = TellsNothing()

    class Misbehaving(Modifier):
        def behaviour(self) -> Behaviour:
            return behaviour

    async with start_mesh(Misbehaving()) as mesh:
        behaviour.silent = True
        version = await mesh.announce(mesh.policies[WITNESS].changed(access=()))
        propagation = await mesh.governance.settled(version, timeout=0.5)
        assert not propagation.acknowledged
        assert re.fullmatch(
            r"pending; ROUTE: \d+\.\d+ wanted, last acknowledged \d+\.\d+", propagation.unacknowledged["things"]
        )
