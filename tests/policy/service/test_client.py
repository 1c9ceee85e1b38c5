"""The client, against a real service: each operation, and each refusal as an error with its next step."""

from __future__ import annotations

import asyncio

import pytest
from policy_admin_parts import (
    AGENCY_POLICY,
    AUDITOR,
    CONTROL_PLANE,
    MINISTRY,
    MINISTRY_POLICY,
    STRANGER,
    Admin,
    member,
    service,
)

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.policies import Kind, MemberId, PolicyChange, key_of
from conformance.model.policy import Endpoint
from conformance.pki import misfits
from conformance.pki.trust_domain import TrustDomain
from conformance.policy.client import ANY, PolicyAdminClient
from conformance.policy.documents import InvalidPolicies
from conformance.policy.service import PolicyAdminService, Role
from conformance.policy.store import Conflict, ProxyReport, ProxyState, Stored, Write

REGISTRY, CLINIC = (Kind.SERVICE, "registry"), (Kind.MEMBER, "clinic")
AGENCY_ID = MemberId("MESH", "GOV", "1001", "registry")


async def test_policies_are_read_made_changed_and_removed(admin: Admin) -> None:
    async with admin.client() as client:
        assert await client.version() == 1
        assert await client.documents() == {
            (Kind.MEMBER, "agency"): Stored(AGENCY_POLICY, 1),
            (Kind.MEMBER, "ministry"): Stored(MINISTRY_POLICY, 1),
            REGISTRY: Stored(service(), 1),
        }
        assert set(await client.documents(kind=Kind.SERVICE)) == {REGISTRY}
        made = await client.put(CLINIC, member("clinic"), note="eröffnet, 开业")
        assert (made.version, made.changed, made.changes) == (2, True, {CLINIC: "created"})
        assert await client.document(CLINIC) == Stored(member("clinic"), 2)
        assert (await client.put(CLINIC, member("clinic", "b.test"), expected=2)).version == 3
        assert await client.document(CLINIC, version=2) == Stored(member("clinic"), 2)
        assert (await client.merge(REGISTRY, {"timeout_s": 3}, expected=1)).version == 4
        patch = [{"op": "replace", "path": "/timeout_s", "value": 4}]
        assert (await client.patch(REGISTRY, patch, expected=ANY)).version == 5
        assert (await client.delete(CLINIC, expected=3)).changes == {CLINIC: "deleted"}
        assert await client.document(CLINIC) is None
        entry = await client.entry(2)
        assert (entry.note, entry.author.role) == ("eröffnet, 开业", "editor")
        assert entry.changes == {CLINIC: (None, member("clinic"))}
        assert [each["version"] for each in await client.history(key=CLINIC)] == [6, 3, 2]
        assert await client.diff(5, 6) == {CLINIC: (member("clinic", "b.test"), None)}
        assert (await client.roll_back(1)).changes == {REGISTRY: "changed"}


async def test_more_policies_than_fit_on_a_page_are_read_as_of_one_version(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.policy.client.PAGE", 2)
    async with admin.client() as client:
        assert len(await client.documents()) == 3


async def test_several_policies_are_rehearsed_and_changed_at_once(admin: Admin) -> None:
    writes = [Write(CLINIC, member("clinic")), Write(REGISTRY, service(timeout_s=3), 1)]
    async with admin.client() as client:
        judged = await client.validate(writes)
        assert (judged.problems, judged.changes) == ([], {CLINIC: "created", REGISTRY: "changed"})
        assert (await client.commit(writes, note="both")).version == 2
        wrong = await client.validate([Write(REGISTRY, service(provider="nobody"), 2)])
        assert [(each.document, each.path) for each in wrong.problems] == [("service/registry", "/provider")]
        assert wrong.problems[0].next_step


async def test_a_clash_is_a_conflict_that_says_where_the_policy_is_now(admin: Admin) -> None:
    async with admin.client() as client:
        await client.put(REGISTRY, service(timeout_s=3), expected=1)
        for clash in (
            client.put(REGISTRY, service(timeout_s=4), expected=1),
            client.put(REGISTRY, service(timeout_s=4)),
            client.merge(REGISTRY, {}, expected=1),
            client.delete(REGISTRY, expected=1),
            client.commit([Write(REGISTRY, service(timeout_s=4), 1)]),
        ):
            with pytest.raises(Conflict) as conflict:
                await clash
            assert conflict.value.documents == {REGISTRY: 2}
            assert "read" in conflict.value.next_step
        with pytest.raises(Conflict) as conflict:
            await client.commit([Write(CLINIC, member("clinic"), 1)])
        assert conflict.value.documents == {CLINIC: 0}


async def test_policies_that_are_no_good_are_listed_with_place_and_next_step(admin: Admin) -> None:
    async with admin.client() as client:
        with pytest.raises(InvalidPolicies) as invalid:
            await client.put(REGISTRY, service(provider="nobody", code=7), expected=1)
        assert [(each.document, each.path) for each in invalid.value.problems] == [("service/registry", "/code")]
        with pytest.raises(InvalidPolicies) as invalid:
            await client.put(REGISTRY, service(provider="nobody"), expected=1)
        assert "there is no member `nobody`" in str(invalid.value)
        with pytest.raises(UsageError, match="the body is not valid"):
            await client.commit([])


async def test_a_refusal_for_want_of_a_role_or_of_what_is_asked_for_says_what_to_do(admin: Admin) -> None:
    async with admin.client(AUDITOR) as client:
        with pytest.raises(UsageError, match="does not have the role editor") as refused:
            await client.put(CLINIC, member("clinic"))
        assert "role" in refused.value.next_step
        with pytest.raises(UsageError, match="no such version"):
            await client.status(9)
    async with admin.client(STRANGER) as client:
        with pytest.raises(UsageError):
            await client.version()


async def test_a_service_that_is_not_there_or_not_trusted_is_a_fault_of_the_environment(admin: Admin) -> None:
    tls = admin.credential(AUDITOR).client_context(TrustDomain().bundle_pem)
    async with PolicyAdminClient(admin.service.url, tls=tls) as client:
        with pytest.raises(EnvironmentFault) as fault:
            await client.version()
        assert "trust" in fault.value.next_step
    expired = misfits.expired(admin.domain, AUDITOR).client_context(admin.domain.bundle_pem)
    for _ in range(5):  # the refusal may come before or after the question is sent
        async with PolicyAdminClient(admin.service.url, tls=expired) as client:
            with pytest.raises(EnvironmentFault) as fault:
                await client.version()
    async with PolicyAdminClient(admin.service.url, tls=None) as client:
        with pytest.raises(EnvironmentFault):
            await client.version()
    url, trust = admin.service.url, admin.domain.bundle_pem
    await admin.service.stop()
    async with PolicyAdminClient(url, tls=admin.credential(AUDITOR).client_context(trust)) as client:
        with pytest.raises(EnvironmentFault, match="cannot be reached") as fault:
            await client.version()
        assert "start it" in fault.value.next_step


async def test_a_store_that_fails_is_a_fault_of_the_environment_with_the_correlation_id(admin: Admin) -> None:
    (admin.folder / "policies.db").unlink()
    async with admin.client() as client:
        with pytest.raises(EnvironmentFault, match="fails") as fault:
            await client.put(CLINIC, member("clinic"))
        assert "correlation id" in str(fault.value)


async def test_control_planes_report_and_authors_wait_for_it(admin: Admin) -> None:
    async with admin.client() as author, admin.client(CONTROL_PLANE) as control_plane:
        assert (await author.status(1)).state == "unreported"
        waiting = asyncio.create_task(author.status(1, wait_s=20))
        report = ProxyReport(1, "agency", ProxyState.REJECTED, "2026-11-25T12:00:00+00:00", "unknown cluster")
        await control_plane.report([report])
        status = await waiting
        assert status.state == "rejected"
        (seen,) = status.proxies
        assert (seen.proxy, seen.reason, seen.control_plane) == (
            "agency",
            "unknown cluster",
            admin.domain.identity(CONTROL_PLANE),
        )
        assert await author.proxies() == [seen]


async def test_endpoints_and_the_directory(admin: Admin) -> None:
    async with admin.client() as client, admin.client(MINISTRY) as ministry:
        assert (await client.put_endpoint("registry", Endpoint("::1", 81, weight=3))).version == 2
        assert (await client.delete_endpoint("registry", "127.0.0.1", 8080)).version == 3
        stored = await client.document(REGISTRY)
        assert stored is not None
        assert stored.document["endpoints"][0]["host"] == "::1"
        assert [each["name"] for each in await ministry.list_clients()] == ["agency", "ministry"]
        (offered,) = await ministry.list_methods(AGENCY_ID)
        (allowed,) = await ministry.allowed_methods(AGENCY_ID)
        assert len(offered["endpoint_list"]) == 2
        assert len(allowed["endpoint_list"]) == 1
        assert "policy_admin_version 3.0" in await client.metrics()


async def test_a_follower_in_another_process_hears_what_one_of_the_store_hears(admin: Admin) -> None:
    async with admin.client(CONTROL_PLANE) as follower, admin.client() as author:
        news = follower.changes(0)
        near = admin.store.changes(0)
        assert _ordered(await anext(news)) == _ordered(await anext(near))
        await author.put((Kind.MEMBER, "ministry"), member("ministry", "b.test"), expected=1)
        assert _ordered(await anext(news)) == _ordered(await anext(near))
        await author.delete(REGISTRY, expected=1)
        assert (await anext(news)).deleted == (REGISTRY,)


async def test_a_follower_goes_on_when_the_service_comes_back(admin: Admin) -> None:
    async with admin.client(CONTROL_PLANE) as follower:
        news = follower.changes(0)
        assert (await anext(news)).version == 1
        port = admin.service.port
        await admin.service.stop()
        waiting = asyncio.ensure_future(anext(news))
        again = PolicyAdminService(
            admin.store,
            roles={"/operator/editor": {Role.EDITOR}, "/control-plane/one": {Role.CONTROL_PLANE}},
            tls=admin.credential("policy-admin").server_context(admin.domain.bundle_pem),
            port=port,
        )
        await again.start()
        async with admin.client() as author:
            await author.put(CLINIC, member("clinic"))
        assert [key_of(policy) for policy in (await waiting).put] == [CLINIC]
        await again.stop()


async def test_a_follower_that_is_refused_or_ahead_of_the_store_is_told(admin: Admin) -> None:
    async with admin.client(STRANGER) as stranger, admin.client(CONTROL_PLANE) as follower:
        with pytest.raises(UsageError, match="does not have the role"):
            await anext(stranger.changes(0))
        with pytest.raises(UsageError, match="somebody else"):
            await anext(follower.changes(7))


def _ordered(change: PolicyChange) -> PolicyChange:
    return PolicyChange(change.version, tuple(sorted(change.put, key=key_of)), change.deleted)
