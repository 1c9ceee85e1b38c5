from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers_for_real import (
    AUTHENTICATION,
    LIMITS,
    OK,
    UNAUTHENTICATED,
    GrpcHelper,
    decision,
    verdict,
)
from one_server import OneServer, births
from rendering_cases import BIRTHS, HEALTH, exactly

from conformance.model.policies import MeshPolicy
from conformance.model.policy import AccessRule, RateLimit

BOTH = (AccessRule(HEALTH), AccessRule(BIRTHS))
PATIENT = MeshPolicy(authentication_timeout_s=10.0)
HASTY = MeshPolicy(authentication_timeout_s=0.2)


async def by_token(request: Any) -> Any:
    headers = request.attributes.request.http.headers
    return decision(OK if headers.get("authorization") == "Bearer good" else UNAUTHENTICATED, 401)


def authenticated(server: OneServer, mesh: MeshPolicy = PATIENT) -> Path:
    socket = server.folder / "authentication.sock"
    server.surroundings = replace(server.surroundings, authentication=socket, mesh=mesh)
    return socket


async def test_the_authentication_service_decides_about_each_call_and_is_told_what_it_is_about(server: OneServer):
    async with GrpcHelper(authenticated(server), AUTHENTICATION, by_token) as service:
        block = await births(server)
        good = await server.call("/births/v1?secret=1", "POST", headers={"authorization": "Bearer good"}, content=b"x")
        assert good.status_code == 200
        bad = await server.call("/births/v1", headers={"authorization": "Bearer bad"})
        assert (bad.status_code, bad.text) == (401, "says the authentication service")
        assert [(arrival.target, arrival.body) for arrival in block.arrivals] == [("/v1?secret=1", b"x")]
        assert block.arrivals[0].headers["authorization"] == "Bearer good"
        line = await server.line(status=401)
        assert (line["flags"], line["details"]) == ("UAEX", "ext_authz_denied")

        asked = service.asked[0].attributes
        assert dict(asked.context_extensions) == {"direction": "inbound", "service": "births", "server": "births"}
        assert asked.source.principal == HEALTH
        assert "BEGIN%20CERTIFICATE" in asked.source.certificate
        assert asked.request.http.method == "POST"
        assert (asked.request.http.body, asked.request.http.raw_body) == ("", b"")


async def test_it_is_asked_on_the_callers_side_too(server: OneServer):
    async with GrpcHelper(authenticated(server), AUTHENTICATION, by_token) as service:
        await births(server, access=BOTH)
        assert (await server.ask("/births/any", headers={"authorization": "Bearer good"})).status_code == 200
        directions = [each.attributes.context_extensions["direction"] for each in service.asked]
        assert directions == ["outbound", "inbound"]
        assert (await server.ask("/births/any")).status_code == 401
        assert len(service.asked) == 3


async def test_it_is_not_asked_about_calls_that_the_rules_refuse(server: OneServer):
    async with GrpcHelper(authenticated(server), AUTHENTICATION, by_token) as service:
        await births(server)
        answer = await server.call("/births/any", caller="gateway", headers={"authorization": "Bearer good"})
        assert (answer.status_code, service.asked) == (403, [])


async def test_without_an_authentication_service_every_call_is_refused_until_it_is_back(server: OneServer):
    socket = authenticated(server)
    block = await births(server, access=BOTH)
    for ask in (server.call, server.ask):
        assert (await ask("/births/any", headers={"authorization": "Bearer good"})).status_code == 403
    assert (await server.line(status=403))["details"] == "ext_authz_error"
    assert block.arrivals == []
    async with GrpcHelper(socket, AUTHENTICATION, by_token):
        # The first call meets the old connection's end.
        async with await server.peer() as client:
            headers = {"authorization": "Bearer good"}
            statuses = [(await client.get("/births/any", headers=headers)).status_code for _ in range(2)]
        assert statuses[-1] == 200
    assert (await server.call("/births/any", headers=headers)).status_code == 403


async def test_an_authentication_service_that_hangs_lets_nothing_through(server: OneServer):
    async def never(_: Any) -> Any:
        await asyncio.Event().wait()

    async with GrpcHelper(authenticated(server, HASTY), AUTHENTICATION, never) as service:
        block = await births(server)
        assert (await server.call("/births/any")).status_code == 403
        assert (await server.line(status=403))["details"] == "ext_authz_error"
        assert (len(service.asked), block.arrivals) == (1, [])


async def test_nobody_is_asked_about_a_service_that_wants_no_authentication(server: OneServer):
    authenticated(server)
    await births(server, authentication=False)
    assert (await server.call("/births/any")).status_code == 200


def limited(server: OneServer) -> Path:
    socket = server.folder / "limits.sock"
    server.surroundings = replace(server.surroundings, limits=socket)
    return socket


EVERYWHERE = (
    RateLimit(5, 60.0, everywhere=True),
    RateLimit(2, 0.5, match=exactly("/v1"), per_caller=True, everywhere=True),
)
WHOLE = {"service": "births", "path": "/*", "requests": "5", "per_s": "60"}
V1 = {"service": "births", "path": "/v1", "requests": "2", "per_s": "0.5", "caller": HEALTH}


async def test_the_limit_service_is_asked_in_full_and_its_refusal_is_a_429(server: OneServer):
    async def no_v1(request: Any) -> Any:
        return verdict(over=len(request.descriptors) > 1)

    async with GrpcHelper(limited(server), LIMITS, no_v1) as service:
        block = await births(server, rate_limits=EVERYWHERE)
        assert (await server.call("/births/v2")).status_code == 200
        answer = await server.call("/births/v1?a=b")
        assert answer.status_code == 429
        assert answer.headers["x-envoy-ratelimited"] == "true"
        assert [arrival.target for arrival in block.arrivals] == ["/v2"]
        asked = [
            [{entry.key: entry.value for entry in descriptor.entries} for descriptor in request.descriptors]
            for request in service.asked
        ]
        assert {request.domain for request in service.asked} == {"meshmark"}
        assert asked == [[WHOLE], [WHOLE, V1]]


async def test_without_a_limit_service_calls_of_limited_services_are_refused(server: OneServer):
    limited(server)
    block = await births(server, rate_limits=EVERYWHERE)
    assert (await server.call("/births/any")).status_code == 503
    assert block.arrivals == []


async def test_the_limit_service_is_not_asked_about_services_without_such_limits(server: OneServer):
    limited(server)
    await births(server, rate_limits=(RateLimit(1, 60.0),))
    assert (await server.call("/births/any")).status_code == 200


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_mesh_without_limit_service_keeps_every_limit_at_each_server(server: OneServer, everywhere):
    await births(server, rate_limits=(RateLimit(1, 3600.0, everywhere=everywhere),))
    assert [(await server.call("/births/any")).status_code for _ in range(2)] == [200, 429]
