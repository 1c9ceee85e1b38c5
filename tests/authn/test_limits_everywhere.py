"""Limits that count everywhere: buckets by a clock that the test turns, and the real service over gRPC."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from authn_parts import CLINIC, SCHOOL, TRUST, WITHIN_S, Asking, envoy, listener, mutual_tls
from hypothesis import given
from hypothesis import strategies as st

from conformance.authn import AuthenticationService
from conformance.authn.limits import Limits
from conformance.protobuf.listen import UnixListen
from conformance.system.guard import Guard

OK, OVER_LIMIT = 1, 2


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(clock)


def described(requests: int = 3, per_s: float = 10, path: str = "/*", **more: str) -> dict[str, str]:
    return {"service": "births", "path": path, "requests": str(requests), "per_s": f"{per_s:g}", **more}


def over(limits: Limits, *descriptors: dict[str, str], hits: int = 1) -> bool:
    return any(answer.over for answer in limits.ask(descriptors, hits))


def test_so_many_calls_go_through_at_once_and_come_back_steadily(limits: Limits, clock: Clock):
    assert [over(limits, described()) for _ in range(5)] == [False] * 3 + [True] * 2
    clock.now += 10 / 3 - 0.01
    assert over(limits, described())
    clock.now += 0.02
    assert [over(limits, described()) for _ in range(2)] == [False, True]
    clock.now += 1000
    assert [over(limits, described()) for _ in range(4)] == [False] * 3 + [True]


def test_an_answer_says_what_is_left_and_when_to_come_again(limits: Limits):
    assert [limits.ask([described()])[0].remaining for _ in range(3)] == [2, 1, 0]
    refused = limits.ask([described()])[0]
    assert (refused.over, refused.remaining) == (True, 0)
    assert refused.wait_s == pytest.approx(10 / 3)


def test_each_caller_path_and_service_has_a_bucket_of_its_own(limits: Limits):
    ones = [described(1, caller=CLINIC.identity), described(1, caller=SCHOOL.identity), described(1, path="/v1/*")]
    assert [over(limits, each) for each in [*ones, *ones]] == [False] * 3 + [True] * 3


def test_a_call_that_one_limit_refuses_takes_nothing_from_the_others(limits: Limits):
    narrow, wide = described(1, path="/v1/*"), described(2)
    assert not over(limits, narrow, wide)
    assert [over(limits, narrow, wide) for _ in range(5)] == [True] * 5
    assert [over(limits, wide) for _ in range(2)] == [False, True]


def test_a_call_can_count_for_several(limits: Limits):
    assert over(limits, described(), hits=4)
    assert not over(limits, described(), hits=3)
    assert over(limits, described())


@pytest.mark.parametrize(
    "descriptor",
    [
        {},
        described() | {"requests": "0"},
        described() | {"requests": "-1"},
        described() | {"requests": "many"},
        described() | {"per_s": "0"},
        described() | {"per_s": "inf"},
        described() | {"per_s": "nan"},
        described() | {"caller": ""},
        described() | {"service": ""},
        described() | {"more": "x"},
        {key: value for key, value in described().items() if key != "path"},
    ],
    ids=str,
)
def test_what_describes_no_limit_is_refused(limits: Limits, descriptor: dict[str, str]):
    assert over(limits, descriptor)


def test_buckets_are_bounded_in_number(limits: Limits, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conformance.authn.limits.BUCKETS_AT_MOST", 10)
    for number in range(50):
        assert not over(limits, described(path=f"/{number}"))
    assert len(limits._buckets) == 10


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.sampled_from([0.5, 1.0, 10.0]))
def test_no_more_go_through_than_the_limit_says_in_any_stretch_of_time(waits: list[float], requests: int, per_s: float):
    clock = Clock()
    limits = Limits(clock)
    allowed = []
    for wait in waits:
        clock.now += wait
        if not over(limits, described(requests, per_s)):
            allowed.append(clock.now)
    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            most = requests + (allowed[last] - allowed[first]) * requests / per_s
            assert last - first + 1 <= most + 1e-6


async def test_the_service_answers_in_envoys_words(listen: UnixListen):
    clock = Clock()
    service = AuthenticationService(monotonic=clock)
    await service.start(listen)
    asking = Asking(listen.path)
    answer = await asking.limit(described(1, 60), described(5, 7))
    assert answer.overall_code == OK
    assert [status.limit_remaining for status in answer.statuses] == [0, 4]
    assert [status.current_limit.requests_per_unit for status in answer.statuses] == [1, 0]
    answer = await asking.limit(described(1, 60), described(5, 7))
    assert answer.overall_code == OVER_LIMIT
    assert [status.code for status in answer.statuses] == [OVER_LIMIT, OK]
    assert [(header.key, header.value) for header in answer.response_headers_to_add] == [("retry-after", "60")]
    assert (await asking.limit()).overall_code == OVER_LIMIT
    assert (await asking.limit(described(), domain="other")).overall_code == OVER_LIMIT
    await asking.close()
    await service.close()


async def test_two_proxies_share_one_limit(folder: Path, guard: Guard, listen: UnixListen):
    clock = Clock()
    service = AuthenticationService(monotonic=clock)
    await service.start(listen)
    asks = {
        "name": "envoy.filters.http.ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "domain": "meshmark",
            "failure_mode_deny": True,
            "timeout": "5s",
            "rate_limit_service": {
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": "authn"}},
            },
        },
    }
    named = [{"generic_key": {"descriptor_key": key, "descriptor_value": text}} for key, text in described(4).items()]
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "application"}}]
    limited = {"rate_limits": [{"actions": named}]}
    tls = mutual_tls(folder)
    folders = [folder / "one", folder / "two"]
    for each in folders:
        each.mkdir()
    first, second = (
        envoy(each, guard, [listener("inbound", each, [asks], routes, tls=tls, host=limited)], listen.path)
        for each in folders
    )
    async with first as one, second as two, one.client(TRUST.issue("clinic")) as client:

        async def statuses() -> list[int]:
            urls = [each.url("inbound", "/births/") for each in (one, two, one, two, one, two)]
            return [(await asyncio.wait_for(client.get(url), WITHIN_S)).status_code for url in urls]

        assert await statuses() == [200] * 4 + [429] * 2
        clock.now += 5
        assert await statuses() == [200] * 2 + [429] * 4
    await service.close()
