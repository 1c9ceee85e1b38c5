from __future__ import annotations

from dataclasses import replace

import pytest
from echo import Echo
from one_server import OneServer
from rendering_cases import BIRTHS, BIRTHS_ID, HEALTH, HEALTH_ID, below, policy

from conformance.model.policy import AccessRule, Operation, RateLimit, Route

AT = "/r1/MESH/GOV/2002/births"
CLIENT = {"x-road-client": str(HEALTH_ID)}
RULES = (
    AccessRule(HEALTH, operations=(Operation("GET", "/v1/births/{birthId}"),)),
    AccessRule(BIRTHS),
    AccessRule("spiffe://mesh.test/security-server/gateway"),
)


async def addressed(server: OneServer, **changes: object) -> Echo:
    block = await server.block()
    server.surroundings = replace(server.surroundings, member=BIRTHS_ID, clients={HEALTH: HEALTH_ID, BIRTHS: BIRTHS_ID})
    changed = {"code": "births", "access": RULES, "endpoints": (block.endpoint(),), **changes}
    unnamed = policy(service="unnamed", endpoints=(block.endpoint(),))
    await server.told(policy(**changed), unnamed, xroad=True)
    return block


async def test_an_address_leads_to_the_services_own_path_under_its_rules(server: OneServer):
    block = await addressed(server, base_path="/api", routes=(Route(below("/v1"), rewrite="/v2"),))
    answer = await server.call(f"{AT}/v1/births/7?a=b", headers={**CLIENT, "x-road-id": "7d7f"})
    assert answer.json()["target"] == "/api/v2/births/7?a=b"
    assert block.arrivals[0].headers["x-road-id"] == "7d7f"
    assert block.arrivals[0].headers["x-road-client"] == str(HEALTH_ID)
    assert (await server.call("/births/v1/births/7")).status_code == 200
    line = await server.line(operation=f"GET {AT}/v1/births/7")
    assert (line["service"], line["policy"]) == ("births", "one")
    for method, path in (("POST", "/v1/births/7"), ("GET", "/v1/deaths/7")):
        assert (await server.call(f"{AT}{path}", method, headers=CLIENT)).status_code == 403
    assert len(block.arrivals) == 2


@pytest.mark.parametrize(
    "client", [None, "MESH/GOV/2002", "MESH/GOV/1001", "MESH/GOV/1001/health/more", "mesh/gov/1001/health"]
)
async def test_who_does_not_name_itself_truly_is_refused(server: OneServer, client):
    block = await addressed(server)
    headers = {"x-road-client": client} if client else {}
    answer = await server.call(f"{AT}/v1/births/7", headers=headers)
    assert (answer.status_code, answer.text) == (403, "RBAC: access denied")
    assert block.arrivals == []


async def test_two_client_headers_are_not_the_right_one(server: OneServer):
    block = await addressed(server)
    headers = [("x-road-client", str(HEALTH_ID)), ("x-road-client", str(BIRTHS_ID))]
    for both in (headers, headers[::-1]):
        assert (await server.call(f"{AT}/v1/births/7", headers=both)).status_code == 403
    assert block.arrivals == []


async def test_a_member_without_identifier_cannot_use_addresses(server: OneServer):
    await addressed(server)
    assert (await server.call(f"{AT}/any", caller="gateway", headers=CLIENT)).status_code == 403
    assert (await server.call("/births/any", caller="gateway")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/r1/MESH/GOV/2002/unnamed/any", "/r1/MESH/GOV/2003/births/any", "/r1/MESH/GOV/2002/birth/any", "/r1"]
)
async def test_what_cannot_be_addressed_is_not_found(server: OneServer, path):
    await addressed(server)
    assert (await server.call(path, headers=CLIENT)).status_code in (403, 404)
    assert (await server.ask(path)).status_code == 404


async def test_the_callers_security_server_names_the_client_unless_the_application_did(server: OneServer):
    block = await addressed(server)
    assert (await server.ask(f"{AT}/any")).status_code == 200
    assert block.arrivals[0].headers["x-road-client"] == str(BIRTHS_ID)
    assert (await server.ask(f"{AT}/any", headers=CLIENT)).status_code == 403


async def test_limits_hold_for_addresses(server: OneServer):
    await addressed(server, rate_limits=(RateLimit(1, 3600.0, per_caller=True),))
    statuses = [(await server.call(f"{AT}/v1/births/7", headers=CLIENT)).status_code for _ in range(2)]
    assert statuses == [200, 429]
