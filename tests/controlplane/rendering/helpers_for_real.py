"""Those who help a security server, as small as they can be: authentication service, limit service, span collector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from conformance.protobuf.messages import message_class

AUTHENTICATION = ("envoy.service.auth.v3.Authorization", "Check", "envoy.service.auth.v3.CheckRequest")
LIMITS = (
    "envoy.service.ratelimit.v3.RateLimitService",
    "ShouldRateLimit",
    "envoy.service.ratelimit.v3.RateLimitRequest",
)
OK, FORBIDDEN, UNAUTHENTICATED = 0, 7, 16
Answer = Callable[[Any], Awaitable[Any]]


class GrpcHelper:
    """A gRPC service with one method on a unix socket."""

    def __init__(self, socket: Path, method: tuple[str, str, str], answer: Answer) -> None:
        service, name, request = method
        self.asked: list[Any] = []

        async def answered(request: Any, _: object) -> Any:
            self.asked.append(request)
            return await answer(request)

        self._socket = socket
        handler = grpc.unary_unary_rpc_method_handler(
            answered,
            request_deserializer=message_class(request).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        self._handlers = grpc.method_handlers_generic_handler(service, {name: handler})
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> GrpcHelper:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self._handlers,))
        self._server.add_insecure_port(f"unix:{self._socket}")
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.stop(None)


def decision(code: int, status: int = 403) -> Any:
    """What an authentication service says."""
    response: Any = message_class("envoy.service.auth.v3.CheckResponse")()
    response.status.code = code
    if code != OK:
        response.denied_response.status.code = status
        response.denied_response.body = "says the authentication service"
    return response


def verdict(*, over: bool) -> Any:
    """What a limit service says."""
    response: Any = message_class("envoy.service.ratelimit.v3.RateLimitResponse")()
    response.overall_code = 2 if over else 1
    return response


class SpanCollector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, socket: Path | None = None) -> SpanCollector:
        if socket:
            self._server = await asyncio.start_unix_server(self._serve, socket)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        export = message_class("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest")
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                assert head.startswith("post /v1/traces ")
                assert "transfer-encoding: chunked" in head
                request: Any = export.FromString(await _chunks(reader))
                for resource in request.resource_spans:
                    names = {each.key: each.value.string_value for each in resource.resource.attributes}
                    # Of today's messages only the names are different: `scope_spans` has the same number.
                    for scope in resource.instrumentation_library_spans:
                        self.spans += [(names["service.name"], span) for span in scope.spans]
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while length := int(await reader.readline(), 16):
        body += await reader.readexactly(length)
        await reader.readline()
    await reader.readline()
    return body
