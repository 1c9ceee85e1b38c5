"""Who is let in: by certificate, or by the identity that the security server in front hands over."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from policy_admin_parts import (
    AUDITOR,
    CONTROL_PLANE,
    EDITOR,
    SETUP,
    STRANGER,
    Admin,
    contract,
    judge,
    member,
    problem_of,
)

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.openapi.examples import ExampleMaker, ExampleRequest
from conformance.pki import misfits
from conformance.pki.contexts import anonymous_client_context
from conformance.pki.trust_domain import TrustDomain
from conformance.policy.service import PolicyAdminService, Role
from conformance.policy.service.callers import Roles, forwarded_identity, proven_identity
from conformance.policy.store.opening import open_store

CHANGES = {"putPolicy", "patchPolicy", "deletePolicy", "changePolicies", "validateChanges", "rollBack"}
CHANGES |= {"putEndpoint", "deleteEndpoint"}
OPEN_TO_MEMBERS = {"listClients", "listMemberMethods", "listSubsystemMethods"}
OPEN_TO_MEMBERS |= {"allowedMemberMethods", "allowedSubsystemMethods"}


def requests() -> list[tuple[str, ExampleRequest]]:
    """An honest request for each operation of the contract."""
    maker = ExampleMaker(contract())
    made = [(operation.operation_id or "", maker.request(operation)) for operation in contract().operations]
    return [(name, request) for name, request in made if isinstance(request, ExampleRequest)]


async def ask(http: httpx.AsyncClient, request: ExampleRequest) -> httpx.Response:
    return await http.request(request.method, request.path, headers=list(request.headers), content=request.body)


@pytest.mark.parametrize(
    ("identity", "forbidden"),
    [
        (EDITOR, {"reportProxies"}),
        (AUDITOR, CHANGES | {"reportProxies"}),
        (CONTROL_PLANE, CHANGES),
        (STRANGER, {name for name, _ in requests()} - {"getHealth"}),
    ],
)
async def test_each_role_may_do_what_it_is_for_and_nothing_else(
    admin: Admin, identity: str, forbidden: set[str]
) -> None:
    async with admin.http(identity) as http:
        answers = {name: await ask(http, request) for name, request in requests()}
    assert {name for name, answer in answers.items() if answer.status_code == 403} == forbidden
    assert await admin.store.version() == 1 or identity == EDITOR


async def test_a_refused_change_changes_nothing(admin: Admin) -> None:
    async with admin.http(AUDITOR) as http:
        problem_of(await http.put("/v1/policies/member/clinic", json=member("clinic")), 403)
    assert await admin.store.version() == 1


async def test_without_a_certificate_of_the_mesh_there_is_no_connection(admin: Admin) -> None:
    trust, elsewhere = admin.domain.bundle_pem, TrustDomain()
    contexts = {
        "no certificate": anonymous_client_context(trust),
        "unknown authority": elsewhere.issue(EDITOR).client_context(trust),
        "expired": misfits.expired(admin.domain, EDITOR).client_context(trust),
        "TLS 1.2": admin.credential(EDITOR).client_context(trust, maximum_version=ssl.TLSVersion.TLSv1_2),
    }
    for context in contexts.values():
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await http.get(f"{admin.service.url}/v1/policies")
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(f"http://127.0.0.1:{admin.service.port}/v1/policies")


async def test_a_certificate_that_names_nobody_is_401_everywhere_but_for_health(admin: Admin) -> None:
    nobody = misfits.without_identity(admin.domain).client_context(admin.domain.bundle_pem)
    hooks = {"response": [judge]}
    async with httpx.AsyncClient(base_url=admin.service.url, verify=nobody, trust_env=False, event_hooks=hooks) as http:
        for name, request in requests():
            answer = await ask(http, request)
            if name == "getHealth":
                assert answer.status_code == 200
            else:
                problem_of(answer, 401)
                assert answer.headers["www-authenticate"]
        # Nobody is told what there is.
        problem_of(await http.get("/v1/nowhere"), 401)
        problem_of(await http.patch("/v1/policies"), 401)


async def test_over_tls_the_header_of_a_security_server_counts_for_nothing(admin: Admin) -> None:
    forged = {"x-forwarded-client-cert": f"URI={admin.domain.identity(EDITOR)}"}
    async with admin.http(STRANGER, headers=forged) as http:
        problem_of(await http.get("/v1/policies"), 403)


def test_a_tls_context_that_lets_anybody_in_is_refused(admin: Admin) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(UsageError, match="without a certificate"):
        PolicyAdminService(admin.store, roles={}, tls=context)


async def test_a_port_that_is_taken_is_a_fault_of_the_environment(admin: Admin) -> None:
    tls = admin.credential(EDITOR).server_context(admin.domain.bundle_pem)
    with pytest.raises(EnvironmentFault, match="cannot listen"):
        await PolicyAdminService(admin.store, roles={}, tls=tls, port=admin.service.port).start()


# ---------------------------------------------------------------------- behind a security server

IDENTITY = "spiffe://mesh.test/security-server/caller"


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service behind a security server; the client is that security server."""
    store = await open_store(str(tmp_path / "behind.db"))
    service = PolicyAdminService(store, roles={"/security-server/caller": set(Role)}, tls=None)
    await service.start()
    hooks = {"response": [judge]}
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, event_hooks=hooks) as http:
        yield http
    await service.stop()
    await store.close()


async def test_the_identity_that_the_security_server_hands_over_is_the_author(behind: httpx.AsyncClient) -> None:
    header = {"x-forwarded-client-cert": f"By=spiffe://mesh.test/x;Hash=00ff;URI={IDENTITY}"}
    assert (await behind.post("/v1/changes", json=SETUP, headers=header)).status_code == 200
    entry = (await behind.get("/v1/versions/1", headers=header)).json()
    assert entry["author"] == {"identity": IDENTITY, "role": "editor"}
    elsewhere = {"x-forwarded-client-cert": "URI=spiffe://mesh.test/security-server/other"}
    problem_of(await behind.get("/v1/policies", headers=elsewhere), 403)
    problem_of(await behind.get("/v1/policies"), 401)
    twice = [("x-forwarded-client-cert", f"URI={IDENTITY}")] * 2
    problem_of(await behind.get("/v1/policies", headers=twice), 401)


@pytest.mark.parametrize(
    ("values", "identity"),
    [
        ([f"URI={IDENTITY}"], IDENTITY),
        ([f'By=spiffe://mesh.test/x;Hash=00;Subject="CN=a,O=\\"b;URI=c\\"";URI={IDENTITY};DNS=a.test'], IDENTITY),
        ([f'uri="{IDENTITY}"'], IDENTITY),
        ([], None),
        ([""], None),
        (["URI="], None),
        ([f"URI={IDENTITY}", f"URI={IDENTITY}"], None),
        ([f"URI={IDENTITY},URI={IDENTITY}"], None),
        ([f"By=spiffe://mesh.test/x;Hash=00,URI={IDENTITY}"], None),
        ([f"URI={IDENTITY};URI=spiffe://mesh.test/other"], None),
        ([f"URI={IDENTITY} "], None),
        ([f" URI={IDENTITY}"], None),
        ([f'Subject="unended;URI={IDENTITY}'], None),
        ([f"URI={IDENTITY}/"], None),
        (["URI=spiffe://mesh.test"], None),
        (["URI=spiffe://mesh.test/a/../b"], None),
        (["URI=spiffe://MESH.test/a"], None),
        (["URI=https://mesh.test/a"], None),
        (["URI=spiffe://mesh.test/a%2fb"], None),
        ([f"URI=spiffe://mesh.test/{'a' * 2048}"], None),
        ([f"DNS={IDENTITY}"], None),
        ([f"=;URI={IDENTITY}"], None),
    ],
)
def test_a_forwarded_identity_is_read_strictly(values: list[str], identity: str | None) -> None:
    assert forwarded_identity(values) == identity


def test_a_certificate_names_somebody_by_exactly_one_uri() -> None:
    assert proven_identity({"subjectAltName": (("DNS", "a.test"), ("URI", IDENTITY))}) == IDENTITY
    assert proven_identity({"subjectAltName": (("URI", IDENTITY), ("URI", IDENTITY))}) is None
    assert proven_identity({"subjectAltName": (("DNS", IDENTITY),)}) is None
    assert proven_identity({"subject": ((("commonName", IDENTITY),),)}) is None


def test_roles_go_to_whole_identities_or_to_whole_paths() -> None:
    roles = Roles({IDENTITY: {Role.AUDITOR}, "/security-server/caller": {Role.EDITOR}})
    assert roles.caller(IDENTITY).roles == {Role.AUDITOR, Role.EDITOR}
    assert roles.caller("spiffe://other.test/security-server/caller").roles == {Role.EDITOR}
    assert not roles.caller("spiffe://mesh.test/evil/security-server/caller").roles
    assert not roles.caller("spiffe://mesh.test/security-server/caller/x").roles
    for wrong in ("caller", "spiffe://mesh.test", "/a/", "/a b", ""):
        with pytest.raises(UsageError, match="neither a SPIFFE id"):
            Roles({wrong: {Role.EDITOR}})
