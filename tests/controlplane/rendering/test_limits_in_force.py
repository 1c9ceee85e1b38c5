from __future__ import annotations

from one_server import OneServer, births
from rendering_cases import BIRTHS, HEALTH, below, exactly

from conformance.model.policy import AccessRule, FaultInjection, RateLimit, Route

BOTH = (AccessRule(HEALTH), AccessRule(BIRTHS))
LONG_S = 3600.0


async def statuses(server: OneServer, path: str, times: int, caller: str = "health") -> list[int]:
    async with await server.peer(caller) as client:
        return [(await client.get(path)).status_code for _ in range(times)]


async def test_calls_beyond_a_limit_are_refused_and_marked_and_never_arrive(server: OneServer):
    block = await births(server, rate_limits=(RateLimit(2, LONG_S),))
    assert await statuses(server, "/births/any", 2) == [200, 200]
    answer = await server.call("/births/else?a=b")
    assert answer.status_code == 429
    assert answer.headers["x-envoy-ratelimited"] == "true"
    assert answer.headers["x-ratelimit-limit"].startswith("2")
    assert answer.headers["x-ratelimit-remaining"] == "0"
    line = await server.line(status=429)
    assert line["flags"] == "RL"
    assert len(block.arrivals) == 2


async def test_a_limit_counts_for_its_paths_and_for_all_routes_of_the_service(server: OneServer):
    limits = (RateLimit(3, LONG_S), RateLimit(1, LONG_S, match=below("/v1")), RateLimit(1, LONG_S, match=exactly("/x")))
    await births(server, rate_limits=limits, routes=(Route(exactly("/v1/special")),))
    assert await statuses(server, "/births/v1?a=b", 2) == [200, 429]
    assert await statuses(server, "/births/v1/special", 1) == [429]
    assert await statuses(server, "/births/v10", 1) == [200]
    assert await statuses(server, "/births/x?a", 2) == [200, 429]
    assert await statuses(server, "/births/x/y", 1) == [429]


async def test_each_caller_has_a_limit_of_its_own(server: OneServer):
    await births(server, access=BOTH, rate_limits=(RateLimit(2, LONG_S, per_caller=True),))
    assert await statuses(server, "/births/any", 3) == [200, 200, 429]
    assert await statuses(server, "/births/any", 3, caller="births") == [200, 200, 429]
    assert await statuses(server, "/births/any", 1, caller="gateway") == [403]


async def test_calls_that_the_rules_refuse_use_up_nothing(server: OneServer):
    await births(server, rate_limits=(RateLimit(1, LONG_S),))
    assert await statuses(server, "/births/any", 3, caller="gateway") == [403, 403, 403]
    assert await statuses(server, "/births/any", 2) == [200, 429]


async def test_an_injected_abort_takes_the_place_of_the_answer_on_its_path_only(server: OneServer):
    fault = FaultInjection(abort_status=418, abort_percent=100.0, match=below("/v1"))
    block = await births(server, fault_injection=fault)
    answer = await server.call("/births/v1/any?a=b")
    assert (answer.status_code, answer.text) == (418, "fault filter abort")
    assert (await server.line(status=418))["flags"] == "FI"
    assert await statuses(server, "/births/v10", 1) == [200]
    assert [arrival.target for arrival in block.arrivals] == ["/v10"]


async def test_an_injected_delay_holds_calls_back(server: OneServer):
    await births(server, fault_injection=FaultInjection(delay_s=0.2, delay_percent=100.0))
    assert await statuses(server, "/births/any", 1) == [200]
    line = await server.line(status=200)
    assert line["flags"] == "DI"
    # Envoy's clock stands still within a turn of its loop, so the time that it logs may be a little too short.
    assert int(line["duration_ms"]) >= 100


async def test_injected_failures_spare_the_calls_that_are_refused(server: OneServer):
    await births(server, fault_injection=FaultInjection(abort_status=418, abort_percent=100.0))
    assert await statuses(server, "/births/any", 1, caller="gateway") == [403]
