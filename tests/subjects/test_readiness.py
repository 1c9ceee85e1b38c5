"""A broken subject is told apart from a ready one, in bounded time, and the message says which breakage it was."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from conformance.subjects.readiness import Attempt, attempt

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def subject(serve: Serve) -> AsyncIterator[int]:
    """A server on loopback that treats each connection as `serve` says."""
    writers: list[asyncio.StreamWriter] = []
    connections: list[asyncio.Task[None]] = []

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: one that is cancelled before its first step would leave its connection open.
        writers.append(writer)
        connections.append(asyncio.create_task(treat(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in writers:
            writer.close()
        await server.wait_closed()


async def look(port: int, path: str | None = "/health", timeout: float = 5) -> Attempt:
    return await attempt(f"http://127.0.0.1:{port}", "127.0.0.1", port, path, timeout)


def answering(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


def status(code: int) -> bytes:
    return f"HTTP/1.1 {code} Whatever\r\ncontent-length: 2\r\n\r\nok".encode()


@pytest.mark.parametrize("code", [200, 204, 302, 401, 404, 499])
async def test_a_status_below_500_is_ready(code):
    answer = status(code) if code != 204 else b"HTTP/1.1 204 No Content\r\n\r\n"
    async with subject(answering(answer)) as port:
        assert await look(port) == Attempt(True, f"answers GET /health with {code}")


@pytest.mark.parametrize("code", [500, 503])
async def test_a_status_from_500_on_is_not_ready(code):
    async with subject(answering(status(code))) as port:
        assert await look(port) == Attempt(False, f"answers GET /health with {code}")


@pytest.mark.parametrize("answer", [status(200), status(404), status(503), b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"])
async def test_without_a_path_any_answer_is_enough(answer):
    async with subject(answering(answer)) as port:
        seen = await look(port, path=None)
    assert seen.ready
    assert seen.seen.startswith("answers GET / with ")


async def test_without_a_path_an_accepted_connection_is_not_enough():
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with subject(close) as port:
        assert await look(port, path=None) == Attempt(
            False, "accepts connections, but closes them without an answer to GET /"
        )
    async with subject(hang) as port:
        assert await look(port, path=None, timeout=0.2) == Attempt(
            False, "accepts connections, but GET / had no complete answer within 0.2 s"
        )


async def test_nobody_listening_is_said():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        seen = await look(port)
    assert not seen.ready
    assert seen.seen.startswith(f"does not accept a connection on 127.0.0.1:{port}: ")


async def test_a_subject_that_accepts_and_never_answers_is_given_up():
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with subject(hang) as port:
        seen = await look(port, timeout=0.2)
    assert seen == Attempt(False, "accepts connections, but GET /health had no complete answer within 0.2 s")


async def test_a_subject_that_closes_every_connection_is_named_as_such():
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with subject(close) as port:
        seen = await look(port)
    assert seen == Attempt(False, "accepts connections, but closes them without an answer to GET /health")


async def test_a_subject_that_resets_every_connection_is_named_as_such():
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with subject(reset) as port:
        seen = await look(port)
    assert not seen.ready
    assert "GET /health" in seen.seen


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x50" * 10 + b"\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"],
)
async def test_an_answer_that_is_not_http_is_named_as_such(answer):
    async with subject(answering(answer)) as port:
        seen = await look(port)
    assert not seen.ready
    assert "answers GET /health with something that is not HTTP/1.1" in seen.seen


async def test_an_endless_body_is_cut_off_by_size():
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    async with subject(endless) as port:
        seen = await look(port)
    assert seen == Attempt(False, "answers GET /health with 200, but its body does not end within 1024 KiB")


async def test_a_body_that_drips_is_cut_off_by_time():
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with subject(drip) as port:
        seen = await look(port, timeout=0.2)
    assert seen == Attempt(False, "accepts connections, but GET /health had no complete answer within 0.2 s")


async def test_endless_headers_are_cut_off():
    async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    async with subject(headers) as port:
        seen = await look(port)
    assert not seen.ready
    assert "GET /health" in seen.seen


async def test_a_body_that_breaks_off_is_not_ready():
    async with subject(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort")) as port:
        seen = await look(port)
    assert seen == Attempt(False, "breaks off in the middle of its answer to GET /health")


async def test_proxy_settings_of_the_runner_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with subject(answering(status(200))) as port:
        assert (await look(port)).ready
