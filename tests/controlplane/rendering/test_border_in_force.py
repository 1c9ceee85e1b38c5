from __future__ import annotations

import ssl
from dataclasses import dataclass, replace

import httpx
import pytest
from echo import Echo
from one_server import OneServer
from rendering_cases import BIRTHS, HEALTH, PARTNER, policy
from xds_parts import WITHIN_S

from conformance.controlplane.rendering import ListenAddress
from conformance.model.policies import ForeignDomain, MeshPolicy
from conformance.model.policy import AccessRule, Operation
from conformance.pki import TrustDomain
from conformance.system.deadlines import until


@dataclass
class Border:
    """The server under test is gateway and provider at once: its own identity stands for the gateway's."""

    server: OneServer
    partner: TrustDomain
    other: TrustDomain
    block: Echo

    async def call(self, path: str, method: str = "GET", *, who: str = "hospital", domain: TrustDomain | None = None):
        credential = (domain or self.partner).issue(who)
        trust = self.server.trust_domain.bundle_pem
        async with await self.server.client("border", credential, trust) as client:
            return await client.request(method, path)


async def bordered(server: OneServer, *rules: AccessRule) -> Border:
    partner, other = TrustDomain("partner.example"), TrustDomain("other.example")
    federation = (
        ForeignDomain("partner.example", partner.bundle_pem.decode(), (PARTNER, "spiffe://other.example/forged")),
        ForeignDomain("other.example", other.bundle_pem.decode(), ("spiffe://other.example/clinic",)),
    )
    server.surroundings = replace(server.surroundings, mesh=MeshPolicy(federation=federation), gateways=(BIRTHS,))
    server.more["border_address"] = ListenAddress()
    block = await server.block()
    rules = rules or (AccessRule(PARTNER, operations=(Operation("GET", "/v1/{id}"),)), AccessRule(HEALTH))
    private = policy(service="private", endpoints=(block.endpoint(),))
    await server.told(policy(endpoints=(block.endpoint(),), access=rules), private, border=True)
    return Border(server, partner, other, block)


async def test_a_foreigner_that_a_rule_names_reaches_the_service_under_the_gateways_identity(server: OneServer):
    border = await bordered(server)
    answer = await border.call("/births/v1/7?a=b")
    assert (answer.status_code, answer.json()["target"]) == (200, "/v1/7?a=b")
    outside, inside = await server.line("border"), await server.line("inbound")
    assert (outside["caller"], inside["caller"]) == (PARTNER, BIRTHS)
    assert inside["correlation_id"] == outside["correlation_id"]


async def test_nothing_else_is_reachable_by_the_border(server: OneServer):
    border = await bordered(server)
    for path, method in (("/births/v1/7", "DELETE"), ("/births/v2", "GET")):
        assert (await border.call(path, method)).status_code == 403
    for path in ("/private/any", "/r1/MESH/GOV/2002/births/v1/7", "/"):
        assert (await border.call(path)).status_code in (403, 404)
    assert (await border.call("/births/v1/7", who="clinic", domain=border.other)).status_code == 403
    assert border.block.arrivals == []


@pytest.mark.parametrize("who", ["another", "hospital/ward"])
async def test_a_foreigner_that_nobody_named_does_not_get_through_the_handshake(server: OneServer, who):
    border = await bordered(server)
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await border.call("/births/v1/7", who=who)
    assert "CERTIFICATE_VERIFY_FAILED" in (await server.line("connection"))["failure"]
    counted = "listener.border.ssl.fail_verify_san"
    assert await server.proxy.admin.stats(f"^{counted}$") == {counted: 1}


async def test_one_domain_cannot_vouch_for_names_of_another(server: OneServer):
    border = await bordered(server)
    forger = TrustDomain("other.example")
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await border.call("/births/v1/7", who="clinic", domain=forger)
    # The partner's own authority signs the other domain's name, which is even on the list.
    partner = border.partner
    partner.name = "other.example"
    for who in ("clinic", "forged"):
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await border.call("/births/v1/7", who=who, domain=partner)
    assert border.block.arrivals == []


async def test_members_of_the_mesh_do_not_come_in_by_the_border_nor_foreigners_by_the_inner_door(server: OneServer):
    border = await bordered(server)
    trust = server.trust_domain.bundle_pem
    for listener, credential in (
        ("border", server.credentials["health"]),
        ("inbound", border.partner.issue("hospital")),
    ):
        async with await server.client(listener, credential, trust) as client:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await client.get("/births/v1/7")
    assert border.block.arrivals == []


async def test_without_a_named_foreigner_there_is_no_border(server: OneServer):
    border = await bordered(server)
    mesh = MeshPolicy(federation=(ForeignDomain("partner.example", border.partner.bundle_pem.decode()),))
    server.surroundings = replace(server.surroundings, mesh=mesh)
    await server.told(policy(endpoints=(border.block.endpoint(),)), border=True)

    async def gone() -> bool:
        return "border" not in await server.proxy.admin.listeners()

    await until(gone, what="the border is closed", timeout=WITHIN_S)
