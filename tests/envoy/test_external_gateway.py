"""A real Envoy at the border lets in exactly the foreign identities that are named, each by its own trust domain."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from security_server_parts import GuardingSpec, federation

from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServer
from conformance.pki import Credential, TrustDomain
from conformance.pki.trust_domain import WORKLOAD_LIFE

NAMED = "security-server/registry"
PATIENCE_S = 20


def vouched_for_by(foreign: TrustDomain, owner: TrustDomain, path: str) -> Credential:
    return foreign.issuing_authority.issue(owner.names(path), foreign.from_now(WORKLOAD_LIFE))


class Border:
    """The running gateway, seen from outside."""

    def __init__(self, server: SecurityServer, address: tuple[str, int], mesh: TrustDomain) -> None:
        self._server, self._address, self._mesh = server, address, mesh

    async def lets_in(self, credential: Credential) -> bool:
        """Whether the handshake ends well, as the gateway itself counts it."""
        before = await self._counted()
        raw = await asyncio.to_thread(socket.create_connection, self._address, PATIENCE_S)
        raw.setblocking(False)
        context = credential.client_context(self._mesh.bundle_pem)
        reader, writer = await asyncio.open_connection(sock=raw, ssl=context, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nhost: border\r\nconnection: close\r\n\r\n")
        try:
            answered = await asyncio.wait_for(reader.read(1), PATIENCE_S) != b""
        except (ssl.SSLError, ConnectionError):
            answered = False
        writer.close()
        after = await self._counted()
        changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        assert changed in ({"handshake": 1}, {"fail_verify_error": 1}, {"fail_verify_san": 1}), changed
        assert answered == ("handshake" in changed)
        return answered

    async def _counted(self) -> dict[str, int]:
        found = await self._server.admin.stats(r"^listener\..*\.ssl\.(handshake|fail_verify_error|fail_verify_san)$")
        return {name.rpartition(".")[2]: value for name, value in found.items()}


@pytest.fixture
def mesh() -> TrustDomain:
    return TrustDomain("mesh.test")


@pytest.fixture
def partner() -> TrustDomain:
    return TrustDomain("partner.example")


@pytest.fixture
def neighbour() -> TrustDomain:
    return TrustDomain("neighbour.example")


@pytest.fixture
async def border(processes: ProcessRuntime, folder, xds, mesh, partner, neighbour) -> Border:
    spec = GuardingSpec(
        "gateway",
        folder / "gateway",
        xds,
        credential=mesh.issue("security-server/gateway"),
        validation=federation([partner.identity(NAMED), neighbour.identity(NAMED)], partner, neighbour),
    )
    server = await processes.start(spec, PATIENCE_S)
    return Border(server, await server.listener_address("inbound", PATIENCE_S), mesh)


async def test_a_named_identity_of_each_federated_trust_domain_gets_in(border, partner, neighbour):
    assert await border.lets_in(partner.issue(NAMED))
    assert await border.lets_in(neighbour.issue(NAMED))


async def test_an_identity_that_is_not_named_is_refused_though_its_trust_domain_is_federated(border, partner):
    assert not await border.lets_in(partner.issue("security-server/another"))
    assert await border.lets_in(partner.issue(NAMED))


async def test_one_trust_domain_cannot_vouch_for_the_names_of_another(border, partner, neighbour):
    assert not await border.lets_in(vouched_for_by(partner, neighbour, NAMED))
    assert await border.lets_in(neighbour.issue(NAMED))


async def test_members_of_the_mesh_itself_do_not_come_in_by_the_border(border, mesh, partner):
    assert not await border.lets_in(mesh.issue(NAMED))
    assert not await border.lets_in(vouched_for_by(partner, mesh, NAMED))


async def test_a_stranger_of_the_same_name_is_refused(border):
    assert not await border.lets_in(TrustDomain("partner.example").issue(NAMED))
    assert not await border.lets_in(TrustDomain("stranger.example").issue(NAMED))
