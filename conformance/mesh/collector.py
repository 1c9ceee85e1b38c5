"""The span collector: where security servers and building blocks of the mesh send their spans.

It speaks OTLP over HTTP with protobuf bodies (OpenTelemetry Protocol, POST /v1/traces) on loopback. Invariants: what
was acknowledged is held; waiting ends with the span that was waited for, not after a while; memory is bounded: when it
is full, the oldest traces are forgotten, and `forgotten` says how many of their spans.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

import h11
from google.protobuf.message import DecodeError

from conformance.mesh.spans import Span, spans_in
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import Endpoint
from conformance.protobuf.listen import UnixListen
from conformance.protobuf.messages import message_class
from conformance.system.deadlines import time_limit

__all__ = ["TRACES_PATH", "SpanCollector"]

TRACES_PATH = "/v1/traces"

PROTOBUF = "application/x-protobuf"
LARGEST_REQUEST = 4 * 1024 * 1024
# Encoded; as objects, spans take several times as much.
LARGEST_MEMORY = 16 * 1024 * 1024
LARGEST_TRACE_SHOWN = 20
READ_SIZE = 64 * 1024


class SpanCollector:
    """See the module's docstring. Use as an async context manager."""

    def __init__(self, *, largest_memory: int = LARGEST_MEMORY) -> None:
        self.endpoint: Endpoint
        self.forgotten = 0
        """How many spans had to make room for newer ones."""
        self._largest_memory = largest_memory
        self._traces: dict[str, list[Span]] = {}
        self._sizes: Counter[str] = Counter()
        self._arrival = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> SpanCollector:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._servers.append(server)
        self.endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        return self

    async def listen_at(self, listen: UnixListen) -> None:
        """Listen there, too: for whoever is on a host of its own, where the runner's loopback cannot be reached."""
        self._servers.append(await asyncio.start_unix_server(self._accept, str(listen.path)))
        listen.hand_over()

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        """What has arrived of a trace, in the order of arrival."""
        return tuple(self._traces.get(trace_id, ()))

    def trace_ids(self) -> tuple[str, ...]:
        """The traces of which something has arrived, the oldest first."""
        return tuple(self._traces)

    async def spans_of(
        self, trace_id: str, condition: Callable[[Sequence[Span]], bool], *, what: str, timeout: float
    ) -> tuple[Span, ...]:
        """Wait until the spans of a trace satisfy a condition, and return them.

        Args:
            trace_id: as in the `traceparent` of the call.
            condition: looked at whenever something arrives.
            what: the condition in words.
            timeout: seconds, from the run's timeout table.

        Raises:
            DeadlineExceeded: they did not satisfy it in time; with the spans seen by then.

        """
        with suppress(TimeoutError):
            async with time_limit(timeout):
                while not condition(self.spans(trace_id)):
                    await self._arrival.wait()
        seen = self.spans(trace_id)
        if condition(seen):
            return seen
        listed = [str(span) for span in seen[:LARGEST_TRACE_SHOWN]] or ["no span of this trace"]
        if len(seen) > LARGEST_TRACE_SHOWN:
            listed.append(f"and {len(seen) - LARGEST_TRACE_SHOWN} more")
        if self.forgotten:
            listed.append(f"{self.forgotten} spans of older traces were forgotten for want of room")
        raise DeadlineExceeded(
            f"not within {timeout:g} s: {what}",
            where=f"trace {trace_id}",
            detail="seen last: " + "\n".join(listed),
            next_step="look whether each security server names the collector and samples this call",
        )

    def forget(self) -> None:
        """Back to the beginning."""
        self._traces.clear()
        self._sizes.clear()
        self.forgotten = 0

    def _take(self, body: bytes) -> None:
        request = message_class("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest").FromString(body)
        arrived = list(spans_in(request))
        for span in arrived:
            self._traces.setdefault(span.trace_id, []).append(span)
            self._sizes[span.trace_id] += len(body) // len(arrived)
        while self._sizes.total() > self._largest_memory:
            oldest = next(iter(self._traces))
            self.forgotten += len(self._traces.pop(oldest))
            del self._sizes[oldest]
        self._arrival.set()
        self._arrival = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a stream callback runs in a task
        self._connections.add(task)
        try:
            with suppress(ConnectionError, h11.ProtocolError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while connection.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}:
            received = await _receive(connection, reader)
            if received is None:
                return
            status = self._status_for(*received)
            headers = [("content-type", PROTOBUF), ("content-length", "0")]
            # Empty is a whole `ExportTraceServiceResponse`: all spans were taken.
            for event in (h11.Response(status_code=status, headers=headers), h11.EndOfMessage()):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()

    def _status_for(self, request: h11.Request, body: bytes) -> HTTPStatus:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        if request.target.partition(b"?")[0] != TRACES_PATH.encode():
            return HTTPStatus.NOT_FOUND
        if request.method != b"POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if headers.get("content-type") != PROTOBUF or headers.get("content-encoding", "identity") != "identity":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        try:
            self._take(body)
        except DecodeError:
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.OK


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes] | None:
    """A request and its body; None at the end of the connection, and where the body is too large to be read."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_SIZE))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data) and len(body) + len(event.data) <= LARGEST_REQUEST:
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, bytes(body)
        else:
            return None
