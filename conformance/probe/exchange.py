"""Calls and what became of them, as plain values."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore

from conformance import __version__
from conformance.mesh import NONCE_HEADER
from conformance.model.policy import Endpoint
from conformance.system.calling import sockets_from
from conformance.system.deadlines import time_limit
from conformance.system.location import HERE, Location

__all__ = ["Exchange", "KeptConnection", "new_nonce"]

LONGEST_SHOWN_BODY = 2048
LONGEST_READ_BODY = 32 * 1024 * 1024
WITH_CONTENT = ("PATCH", "POST", "PUT")
"""Methods whose requests say how long their body is even if there is none (RFC 9110 section 8.6)."""
FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError)


def new_nonce() -> str:
    """A value never used before, so that whatever shows it was caused by this call."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, or how it ended without one.

    Attributes:
        nonce: sent along in a header; ties the call to arrivals and access-log lines.
        status: the answer's status code; None when there was no answer.
        failure: what the client met instead of an answer.
        local_port: this end of the connection; two calls with the same one went over the same connection.
        duration_s: from the first byte sent to the last byte received, seconds.

    """

    nonce: str
    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: bytes = field(repr=False)
    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    failure: str | None
    http_version: str
    local_port: int | None
    duration_s: float

    def header(self, name: str) -> str | None:
        """The first value of a header of the answer."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if self.status is None:
            return f"no answer ({self.failure})"
        text = self.body[:120].decode("utf-8", "replace").strip()
        return f"{self.status} {text!r}" if text else f"{self.status}"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "request": {
                "method": self.method,
                "url": self.url,
                "headers": [list(pair) for pair in self.request_headers],
                "body": _shown(self.request_body),
            },
            "response": None
            if self.status is None
            else {"status": self.status, "headers": [list(pair) for pair in self.headers], "body": _shown(self.body)},
            "failure": self.failure,
            "http_version": self.http_version,
            "local_port": self.local_port,
            "duration_s": round(self.duration_s, 4),
        }


def _shown(body: bytes) -> str:
    text = body[:LONGEST_SHOWN_BODY].decode("utf-8", "backslashreplace")
    more = len(body) - LONGEST_SHOWN_BODY
    return f"{text}… {more} more bytes" if more > 0 else text


class KeptConnection:
    """At most one connection to one address, kept open between calls. Redirects are handed back, proxies are not
    asked.

    It is httpcore's, without httpx above it: a check with steady traffic makes thousands of calls.
    """

    def __init__(
        self,
        origin: Endpoint,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        http2: bool = False,
        come_from: Location = HERE,
    ) -> None:
        scheme = "https" if tls else "http"
        self._timeout = timeout
        self._base = f"{scheme}://{origin.host}:{origin.port}"
        self._authority = f"{origin.host}:{origin.port}"
        self._connection: httpcore.AsyncHTTPConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._origin = httpcore.Origin(scheme.encode(), origin.host.encode(), origin.port)
        self._tls = tls
        self._http2 = http2
        self._sockets = sockets_from(come_from.namespace)

    async def __aenter__(self) -> KeptConnection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def call(
        self,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        nonce: str | None = None,
    ) -> Exchange:
        """Send one request exactly as written: `target` is not normalized on the way out."""
        nonce = nonce or new_nonce()
        given = (*_pairs(headers), (NONCE_HEADER, nonce))
        named = {name.lower() for name, _ in given}
        pairs = (*(pair for pair in self._own_headers(method, body) if pair[0] not in named), *given)
        request = httpcore.Request(
            method,
            self._base + "/",
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
            content=body,
            extensions={"target": target.encode()},
        )
        started = time.monotonic()
        answer, port, failure, content = None, None, None, b""
        try:
            # httpcore's own limit is one for each read, and a body may trickle for ever.
            async with time_limit(self._timeout), self._one_at_a_time:
                answer, port, content = await self._exchange(request)
        except TimeoutError:
            failure = f"no whole answer within {self._timeout:g} s"
        except FAILURES as problem:
            failure = f"{type(problem).__name__}: {problem}".rstrip(": ")
        return Exchange(
            nonce=nonce,
            method=method,
            url=self._base + target,
            request_headers=pairs,
            request_body=body,
            status=answer.status if answer else None,
            headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers)
            if answer
            else (),
            body=content,
            failure=failure,
            http_version=answer.extensions["http_version"].decode() if answer else "",
            local_port=port,
            duration_s=time.monotonic() - started,
        )

    async def _exchange(self, request: httpcore.Request) -> tuple[httpcore.Response, int | None, bytes]:
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            await self.close()
            connection = httpcore.AsyncHTTPConnection(
                self._origin,
                ssl_context=self._tls,
                http1=not self._http2,
                http2=self._http2,
                network_backend=self._sockets,
            )
        try:
            answer = await connection.handle_async_request(request)
            port = _local_port(answer)
            try:
                content = await _bounded(answer)
            finally:
                await answer.aclose()
        except BaseException:
            # Whatever is left of it is not fit for another call.
            self._connection = None
            await connection.aclose()
            raise
        self._connection = connection
        return answer, port, content

    def _own_headers(self, method: str, body: bytes) -> Iterator[tuple[str, str]]:
        yield "host", self._authority
        yield "user-agent", f"meshmark/{__version__}"
        yield "accept", "*/*"
        if body or method in WITH_CONTENT:
            yield "content-length", str(len(body))


def _pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


async def _bounded(answer: httpcore.Response) -> bytes:
    """The body, unless it does not end."""
    body = bytearray()
    async for chunk in answer.aiter_stream():
        body += chunk
        if len(body) > LONGEST_READ_BODY:
            raise httpcore.ReadError(f"the body has more than {LONGEST_READ_BODY} bytes")
    return bytes(body)


def _local_port(answer: httpcore.Response) -> int | None:
    address = answer.extensions["network_stream"].get_extra_info("client_addr")
    return address[1] if address else None
