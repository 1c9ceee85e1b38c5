"""The witness: an application of the suite's own behind a security server.

It stands where a building block stands, answers as it is told, and remembers everything that reached it. What a check
says about "nothing was forwarded" or "three attempts were made" is what the witness saw, not what a proxy reported.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import h11

from conformance.mesh.onward import NONCE_HEADER, Onward, call_onward
from conformance.model.policy import Endpoint
from conformance.system.location import HERE, Location

__all__ = ["NONCE_HEADER", "Answer", "Arrival", "Witness", "WitnessEndpoint", "refusing_address"]

LARGEST_BODY = 16 * 1024 * 1024
READ_SIZE = 64 * 1024


@dataclass(frozen=True)
class Arrival:
    """One request as it reached the witness: after the mesh, before any answer."""

    nonce: str
    endpoint: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    connection: int
    at: float
    """Monotonic time, once all of it was there."""

    def header(self, name: str) -> str | None:
        """The value of a header; the first one if it came more than once."""
        return next((value for key, value in self.headers if key == name.lower()), None)


@dataclass(frozen=True)
class Answer:
    """What the witness does with a request. By default it echoes what arrived, as JSON, with status 200.

    Attributes:
        status: the status code.
        headers: sent with the answer.
        body: sent instead of the echo.
        reset: no answer at all, but a TCP reset.
        hold: answer only after `Witness.release`.
        onward: before the answer call another building block, and answer 502 if that does not answer 200.

    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    reset: bool = False
    hold: bool = False
    onward: Onward | None = None


class WitnessEndpoint:
    """One address at which the witness listens. Its own answers, if set, go before those of the witness."""

    def __init__(self, name: str, server: asyncio.Server) -> None:
        self.name = name
        self.endpoint = Endpoint(*server.sockets[0].getsockname())
        self.answer: Answer | None = None
        self._server = server

    async def close(self) -> None:
        """Listen no more."""
        self._server.close()


class Witness:
    """Endpoints, what they are told to answer, and what arrived at them."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.holding = 0
        self._scripts: dict[str, list[Answer]] = {}
        self._release = asyncio.Event()
        self._endpoints: list[WitnessEndpoint] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._connection_count = 0

    async def open_endpoint(self, name: str, at: Location = HERE) -> WitnessEndpoint:
        """Listen at one more address, until `close_endpoint` or the end."""
        placeholder: list[WitnessEndpoint] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 -- a stream callback runs in a task
            self._connections.add(task)
            self._connection_count += 1
            with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await self._serve(placeholder[0], self._connection_count, reader, writer)
            self._connections.discard(task)
            writer.close()

        server = await asyncio.start_server(serve, sock=at.listener())
        opened = WitnessEndpoint(name, server)
        placeholder.append(opened)
        self._endpoints.append(opened)
        return opened

    async def close_endpoint(self, endpoint: WitnessEndpoint) -> None:
        """Listen there no more; what has been received already is still answered."""
        self._endpoints.remove(endpoint)
        await endpoint.close()

    def script(self, nonce: str, *answers: Answer) -> None:
        """What the requests with this nonce get, one after the other; the last answer is repeated."""
        self._scripts[nonce] = list(answers)

    def arrived(self, nonce: str) -> list[Arrival]:
        """What has arrived under a nonce."""
        return [arrival for arrival in self.arrivals if arrival.nonce == nonce]

    def release(self) -> None:
        """Let all held answers go."""
        self._release.set()
        self._release = asyncio.Event()

    def forget(self) -> None:
        """Back to the beginning: nothing held, nothing scripted, nothing remembered."""
        self.release()
        self._scripts.clear()
        self.arrivals.clear()
        for endpoint in self._endpoints:
            endpoint.answer = None

    async def close(self) -> None:
        """Listen no more and drop every connection."""
        for endpoint in self._endpoints:
            await endpoint.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(
        self,
        endpoint: WitnessEndpoint,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connection = h11.Connection(h11.SERVER)
        while connection.states[h11.CLIENT] is h11.IDLE:
            arrival = await self._receive(endpoint, number, connection, reader)
            if arrival is None:
                return
            self.arrivals.append(arrival)
            answer = self._answer_for(endpoint, arrival.nonce)
            if answer.hold:
                self.holding += 1
                try:
                    await self._release.wait()
                finally:
                    self.holding -= 1
            if answer.reset:
                _reset(writer)
                return
            if answer.onward and await call_onward(answer.onward, arrival.headers) != HTTPStatus.OK:
                answer = Answer(HTTPStatus.BAD_GATEWAY)
            await _send(connection, writer, arrival, answer)
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()

    async def _receive(
        self, endpoint: WitnessEndpoint, number: int, connection: h11.Connection, reader: asyncio.StreamReader
    ) -> Arrival | None:
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_SIZE))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST_BODY:
                    return None
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
        assert request is not None  # noqa: S101 -- h11 ends no message that it did not begin
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        return Arrival(
            nonce=dict(headers).get(NONCE_HEADER, ""),
            endpoint=endpoint.name,
            method=request.method.decode(),
            target=request.target.decode("latin-1"),
            headers=headers,
            body=bytes(body),
            connection=number,
            at=time.monotonic(),
        )

    def _answer_for(self, endpoint: WitnessEndpoint, nonce: str) -> Answer:
        if endpoint.answer is not None:
            return endpoint.answer
        script: Sequence[Answer] = self._scripts.get(nonce, ())
        if not script:
            return Answer()
        return script[0] if len(script) == 1 else self._scripts[nonce].pop(0)


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, arrival: Arrival, answer: Answer) -> None:
    headers = [*answer.headers]
    body = _echo(arrival) if answer.body is None else answer.body
    if answer.status == HTTPStatus.NO_CONTENT:
        body = b""  # and no content-length either (RFC 9110 section 8.6)
    else:
        headers.append(("content-length", str(len(body))))
        if answer.body is None:
            headers.append(("content-type", "application/json"))
    head = h11.Response(status_code=answer.status, headers=headers)
    writer.write(connection.send(head) or b"")
    if body and arrival.method != "HEAD":
        writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


def _echo(arrival: Arrival) -> bytes:
    return json.dumps(
        {
            "endpoint": arrival.endpoint,
            "method": arrival.method,
            "target": arrival.target,
            "body_bytes": len(arrival.body),
        }
    ).encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset (RFC 9293 section 3.10.7), not with an orderly end."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def refusing_address(at: Location = HERE) -> Iterator[Endpoint]:
    """An address that refuses every connection: it is taken, so nobody else can listen there, but nobody listens."""
    with at.tcp_socket() as taken:
        taken.bind((at.address, 0))
        yield Endpoint(*taken.getsockname())
