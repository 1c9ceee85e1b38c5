"""A building block of the suite calls another one before it answers, on real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from conformance.mesh import NONCE_HEADER, Answer, Onward, Witness, WitnessEndpoint, refusing_address

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    opened = Witness()
    yield opened
    await opened.close()


async def call(first: WitnessEndpoint, headers: dict[str, str]) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return (await client.post(f"http://127.0.0.1:{first.endpoint.port}/first", headers=headers)).status_code


async def test_a_call_goes_on_with_its_trace_context_and_ids_and_with_nothing_else(witness: Witness):
    first, second = await witness.open_endpoint("first"), await witness.open_endpoint("second")
    witness.script("n", Answer(onward=Onward(second.endpoint, "/second?x=1")), Answer())
    sent = {NONCE_HEADER: "n", "traceparent": TRACEPARENT, "x-correlation-id": "c", "authorization": "Bearer secret"}
    assert await call(first, sent) == 200
    one, two = witness.arrived("n")
    assert (one.endpoint, two.endpoint, two.method, two.target) == ("first", "second", "POST", "/second?x=1")
    assert (two.header("traceparent"), two.header("x-correlation-id")) == (TRACEPARENT, "c")
    assert two.header("authorization") is None


async def test_an_answer_other_than_200_further_on_is_a_bad_gateway(witness: Witness):
    first, second = await witness.open_endpoint("first"), await witness.open_endpoint("second")
    witness.script("n", Answer(onward=Onward(second.endpoint, "/second")), Answer(500))
    assert await call(first, {NONCE_HEADER: "n"}) == 502


async def test_who_cannot_be_reached_further_on_costs_the_connection(witness: Witness):
    first = await witness.open_endpoint("first")
    with refusing_address() as nobody:
        witness.script("n", Answer(onward=Onward(nobody, "/second")))
        with pytest.raises(httpx.RemoteProtocolError):
            await call(first, {NONCE_HEADER: "n"})
