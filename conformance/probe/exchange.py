"""Calls and what became of them, as plain values."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from conformance.mesh import NONCE_HEADER
from conformance.model.policy import Endpoint
from conformance.system.calling import transport_from, trusting_nobody
from conformance.system.location import HERE, Location

__all__ = ["Exchange", "KeptConnection", "new_nonce"]

LONGEST_SHOWN_BODY = 2048
LONGEST_READ_BODY = 32 * 1024 * 1024


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
        transport = transport_from(
            come_from.namespace,
            verify=tls or trusting_nobody(),
            http1=not http2,
            http2=http2,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None),
        )
        self._client = httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> KeptConnection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it."""
        await self._client.aclose()

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
        pairs = [*(headers.items() if isinstance(headers, Mapping) else headers), (NONCE_HEADER, nonce)]
        request = self._client.build_request(
            method, self._base + "/", headers=pairs, content=body or None, extensions={"target": target.encode()}
        )
        started = time.monotonic()
        status, failure, version, port = None, None, "", None
        answer_headers: tuple[tuple[str, str], ...] = ()
        content = b""
        try:
            # The client's own limit is one for each read, and a body may trickle for ever.
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request, stream=True)
                try:
                    status, version = response.status_code, response.http_version
                    answer_headers = tuple(response.headers.multi_items())
                    port = _local_port(response)
                    content = await _bounded(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            status, failure = None, f"no whole answer within {self._timeout:g} s"
        except (httpx.TransportError, ssl.SSLError) as problem:
            status, failure = None, f"{type(problem).__name__}: {problem}".rstrip(": ")
        return Exchange(
            nonce=nonce,
            method=method,
            url=self._base + target,
            request_headers=tuple(request.headers.multi_items()),
            request_body=body,
            status=status,
            headers=answer_headers,
            body=content,
            failure=failure,
            http_version=version,
            local_port=port,
            duration_s=time.monotonic() - started,
        )


async def _bounded(response: httpx.Response) -> bytes:
    """The body, unless it does not end."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LONGEST_READ_BODY:
            raise httpx.ReadError(f"the body has more than {LONGEST_READ_BODY} bytes")
    return bytes(body)


def _local_port(response: httpx.Response) -> int | None:
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("client_addr") if stream else None
    return address[1] if address else None
