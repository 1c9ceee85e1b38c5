from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from typing import Any

from one_server import OneServer, births
from rendering_cases import below, exactly, policy
from xds_parts import WITHIN_S

from conformance.model.policy import Endpoint, HeaderMatch, HealthCheck, LoadBalancing, Route, Share
from conformance.pki import TrustDomain
from conformance.system.deadlines import until

SAMPLES = 400
FAST = HealthCheck("/health", interval_s=0.05, timeout_s=0.5, unhealthy_after=1, healthy_after=1)


async def shares(server: OneServer, path: str, **more: Any) -> Counter[str]:
    async with await server.peer() as client:
        return Counter([(await client.get(path, **more)).json()["by"] for _ in range(SAMPLES)])


async def test_a_split_gives_each_group_its_share(server: OneServer):
    stable, canary = await server.block("stable"), await server.block("canary")
    endpoints = (stable.endpoint(), canary.endpoint(group="canary"))
    routes = (
        Route(exactly("/quarter"), split=(Share("", 75), Share("canary", 25))),
        Route(exactly("/all"), split=(Share("", 0), Share("canary", 100))),
    )
    await server.told(policy(endpoints=endpoints, routes=routes))
    # Binomial with 400 and 0.25: beyond 5 standard deviations (43) lies less than one run of a million.
    seen = await shares(server, "/births/quarter")
    assert abs(seen["canary"] - 100) <= 43, seen
    assert await shares(server, "/births/all") == {"canary": SAMPLES}
    assert await shares(server, "/births/else") == {"stable": SAMPLES}


async def test_a_group_without_endpoints_is_nobody_and_takes_nothing_from_others(server: OneServer):
    stable = await server.block("stable")
    routes = (Route(exactly("/canary"), split=(Share("canary", 100),)),)
    await server.told(policy(endpoints=(stable.endpoint(),), routes=routes))
    assert (await server.call("/births/canary")).status_code == 503
    assert (await server.call("/births/else")).status_code == 200


async def test_a_route_by_headers_takes_calls_that_have_them_all(server: OneServer):
    wanted = (HeaderMatch("x-trial", "yes"), HeaderMatch(":authority", "births.test"))
    plain = Route(exactly("/v1"), rewrite="/plain")
    block = await births(server, routes=(plain, Route(exactly("/v1"), headers=wanted, rewrite="/trial")))
    cases = {
        "/trial": {"x-trial": "yes", "host": "births.test"},
        "/plain": {"x-trial": "yes, please", "host": "births.test"},
    }
    for target, headers in cases.items():
        assert (await server.call("/births/v1?a=b", headers=headers)).json()["target"] == f"{target}?a=b"
    assert (await server.call("/births/v1", headers={"x-trial": "yes"})).json()["target"] == "/plain"
    assert len(block.arrivals) == 3


async def test_endpoints_take_calls_by_their_weights(server: OneServer):
    light, heavy = await server.block("light"), await server.block("heavy")
    await server.told(policy(endpoints=(light.endpoint(), heavy.endpoint(weight=3))))
    assert await shares(server, "/births/any") == {"light": 100, "heavy": 300}


async def test_random_choice_among_endpoints_reaches_all_of_them(server: OneServer):
    blocks = [await server.block(name) for name in ("one", "two")]
    endpoints = tuple(block.endpoint() for block in blocks)
    for balancing in (LoadBalancing.RANDOM, LoadBalancing.LEAST_REQUEST):
        await server.told(policy(endpoints=endpoints, load_balancing=balancing))
        seen = await shares(server, "/births/any")
        # Binomial with 400 and 0.5: beyond 6 standard deviations (60).
        assert abs(seen["one"] - 200) <= 60, (balancing, seen)


async def test_an_endpoint_that_is_not_well_is_left_out_and_comes_back(server: OneServer):
    first, second = await server.block("first"), await server.block("second")
    await server.told(policy(endpoints=(first.endpoint(), second.endpoint()), health_check=FAST))
    await healthy(server, 2)
    await server.answers(lambda answer: answer.status_code == 200)
    assert set(await shares(server, "/births/any")) == {"first", "second"}

    first.well = False
    await healthy(server, 1)
    assert await shares(server, "/births/any") == {"second": SAMPLES}

    first.well = True
    await healthy(server, 2)
    assert set(await shares(server, "/births/any")) == {"first", "second"}
    assert not any(arrival.target == "/health" for arrival in first.arrivals)


async def test_a_second_priority_is_used_while_the_first_is_not_well(server: OneServer):
    first, spare = await server.block("first"), await server.block("spare")
    endpoints = (first.endpoint(priority=3), spare.endpoint(priority=7))
    await server.told(policy(endpoints=endpoints, health_check=FAST))
    await healthy(server, 2)
    await server.answers(lambda answer: answer.status_code == 200)
    assert await shares(server, "/births/any") == {"first": SAMPLES}

    first.well = False
    await healthy(server, 1)
    assert await shares(server, "/births/any") == {"spare": SAMPLES}

    first.well = True
    await healthy(server, 2)
    assert await shares(server, "/births/any") == {"first": SAMPLES}


async def healthy(server: OneServer, wanted: int) -> None:
    name = "cluster.application-births.membership_healthy"

    async def reached() -> bool:
        return (await server.proxy.admin.stats(f"^{name}$")).get(name) == wanted

    await until(reached, what=f"{wanted} endpoints are well", timeout=WITHIN_S)


async def test_an_endpoint_that_is_taken_away_gets_no_more_calls_however_well_it_is(server: OneServer):
    first, second = await server.block("first"), await server.block("second")
    await server.told(policy(endpoints=(first.endpoint(), second.endpoint()), health_check=FAST))
    await healthy(server, 2)
    await server.told(policy(endpoints=(second.endpoint(),), health_check=FAST))
    await healthy(server, 1)
    assert await shares(server, "/births/any") == {"second": SAMPLES}


async def test_groups_come_and_go_under_traffic_without_losing_a_call(server: OneServer):
    stable, canary = await server.block("stable"), await server.block("canary")
    alone = policy(endpoints=(stable.endpoint(),))
    endpoints = (stable.endpoint(), canary.endpoint(group="canary"))
    both = policy(endpoints=endpoints, routes=(Route(below("/"), split=(Share("", 50), Share("canary", 50))),))
    await server.told(alone)
    seen: list[int] = []
    over = asyncio.Event()

    async def traffic() -> None:
        async with await server.peer() as client:
            while not over.is_set():
                seen.append((await client.get("/births/any")).status_code)

    calling = asyncio.create_task(traffic())
    for _ in range(5):
        for told in (both, alone):
            await server.told(told)
            grown = len(seen) + 20
            await until(lambda wanted=grown: len(seen) >= wanted or calling.done(), what="traffic", timeout=WITHIN_S)
    over.set()
    await calling
    assert set(seen) == {200}
    assert canary.arrivals


async def test_a_building_block_that_speaks_https_is_reached_under_its_own_name_only(server: OneServer):
    public = TrustDomain("public.test")
    certificate = public.issue("web", dns=("births.example",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = certificate.written_to(server.folder / "web")
    context.load_cert_chain(files.certificate_chain, files.private_key)
    block = await server.block("https", tls=context)
    server.more["public_roots"] = public.bundle_pem

    def at(name: str) -> tuple[Endpoint, ...]:
        return (block.endpoint(server_name=name),)

    await server.told(policy(endpoints=at("births.example")))
    assert (await server.call("/births/any")).json()["by"] == "https"
    await server.told(policy(endpoints=at("deaths.example")))
    await server.answers(lambda answer: answer.status_code == 503)
    assert len(block.arrivals) == 1
