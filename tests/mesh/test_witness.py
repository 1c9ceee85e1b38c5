"""The witness answers as it is told and remembers what reached it, on real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from conformance.mesh import NONCE_HEADER, Answer, Witness, WitnessEndpoint, refusing_address
from conformance.system.deadlines import until


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    opened = Witness()
    yield opened
    await opened.close()


@pytest.fixture
async def endpoint(witness: Witness) -> WitnessEndpoint:
    return await witness.open_endpoint("one")


@pytest.fixture
async def client(endpoint: WitnessEndpoint) -> AsyncIterator[httpx.AsyncClient]:
    origin = f"http://127.0.0.1:{endpoint.endpoint.port}"
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=20) as made:
        yield made


def nonce(value: str) -> dict[str, str]:
    return {NONCE_HEADER: value}


async def test_what_arrived_is_echoed_and_remembered(witness, client):
    answer = await client.post("/a/b?c=d", content=b"12345", headers=nonce("n1") | {"x-more": "1"})
    assert answer.json() == {"endpoint": "one", "method": "POST", "target": "/a/b?c=d", "body_bytes": 5}
    (arrival,) = witness.arrived("n1")
    assert arrival.body == b"12345"
    assert arrival.header("X-More") == "1"
    assert arrival.header("absent") is None
    assert witness.arrived("n2") == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH"])
async def test_every_method_is_answered_and_the_connection_goes_on(method, witness, client):
    for number in range(3):
        assert (await client.request(method, "/", headers=nonce(f"n{number}"))).status_code == 200
    assert len({witness.arrived(f"n{number}")[0].connection for number in range(3)}) == 1


async def test_answers_come_in_their_order_and_the_last_is_repeated(witness, client):
    witness.script("n", Answer(503), Answer(204), Answer(200, headers=(("x-last", "yes"),), body=b"end"))
    statuses = [(await client.get("/", headers=nonce("n"))).status_code for _ in range(4)]
    last = await client.get("/", headers=nonce("n"))
    other = await client.get("/", headers=nonce("other"))
    assert statuses == [503, 204, 200, 200]
    assert (last.headers["x-last"], last.content) == ("yes", b"end")
    assert "x-last" not in other.headers


async def test_a_204_has_neither_content_nor_a_length(witness, client):
    witness.script("n", Answer(204, body=b"ignored"))
    answer = await client.get("/", headers=nonce("n"))
    assert answer.content == b""
    assert "content-length" not in answer.headers


async def test_a_reset_ends_the_connection_after_the_request_arrived(witness, client):
    witness.script("n", Answer(reset=True))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await client.get("/", headers=nonce("n"))
    assert len(witness.arrived("n")) == 1
    assert (await client.get("/")).status_code == 200


async def test_a_held_call_is_answered_on_release(witness, client):
    witness.script("n", Answer(hold=True))
    calls = [asyncio.create_task(client.get("/", headers=nonce("n"))) for _ in range(3)]
    await until(lambda: witness.holding == 3, what="three calls are held", timeout=20)
    assert not any(call.done() for call in calls)
    witness.release()
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    assert witness.holding == 0


async def test_a_held_call_whose_caller_has_gone_is_let_go(witness, client):
    witness.script("n", Answer(hold=True))
    call = asyncio.create_task(client.get("/", headers=nonce("n")))
    await until(lambda: witness.holding == 1, what="the call is held", timeout=20)
    call.cancel()
    witness.release()
    await until(lambda: witness.holding == 0, what="the call is let go", timeout=20)


async def test_an_endpoints_own_answer_goes_first_until_all_is_forgotten(witness, endpoint, client):
    endpoint.answer = Answer(503)
    witness.script("n", Answer(404))
    assert (await client.get("/", headers=nonce("n"))).status_code == 503
    witness.forget()
    assert (await client.get("/", headers=nonce("n"))).status_code == 200
    assert len(witness.arrivals) == 1


async def test_a_closed_endpoint_refuses_and_the_others_go_on(witness, client):
    extra = await witness.open_endpoint("two")
    origin = f"http://127.0.0.1:{extra.endpoint.port}/"
    assert (await client.get(origin)).json()["endpoint"] == "two"
    await witness.close_endpoint(extra)
    async with httpx.AsyncClient(trust_env=False) as fresh:
        with pytest.raises(httpx.ConnectError):
            await fresh.get(origin)
    assert (await client.get("/")).json()["endpoint"] == "one"


@pytest.mark.parametrize(
    "nonsense", [b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"", b"GET / HTTP/1.1\r\nHost: a"]
)
async def test_nonsense_ends_its_connection_only(nonsense, witness, endpoint, client):
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.endpoint.port)
    writer.write(nonsense)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    assert witness.arrivals == []
    assert (await client.get("/")).status_code == 200


async def test_a_refusing_address_refuses_and_nobody_else_gets_it():
    with refusing_address() as address:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address.host, address.port)
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_server(lambda *_: None, address.host, address.port)
