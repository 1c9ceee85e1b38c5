"""How a security server receives somebody at its door: the TLS handshake, from both sides.

With TLS 1.3 the client's handshake completes before the server has judged the client's certificate (RFC 8446 section
2): the refusal comes after it. So the client listens first and speaks only once the server has accepted it; else the
alert would be lost to its own reset. Whether it was accepted is read from the server's statistics, why it was refused
from its access log.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from conformance.envoy.admin import AdminClient
from conformance.mesh import NONCE_HEADER
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import Endpoint
from conformance.probe.access_log import AccessLog, LogLine
from conformance.system.deadlines import TICK_S, until
from conformance.system.location import HERE, Location

__all__ = ["Introduction", "completed_handshakes", "introduce", "introduce_in_plaintext"]

POLL_S = 0.005


@dataclass(frozen=True)
class Introduction:
    """What was seen of one attempt to be received.

    Attributes:
        nonce: of the request that followed, if any.
        accepted: the security server let the client in: it completed the handshake and listened.
        status: of the answer to the request that followed; None if there was none.
        tls_version, cipher: as negotiated; None if it did not come to that.
        alert: what the client was told, such as `TLSV13_ALERT_CERTIFICATE_REQUIRED`, or how the connection ended.
        server_reason: why the security server refused, by its own access log; empty if it did not.

    """

    nonce: str
    local_port: int
    accepted: bool = False
    status: int | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alert: str | None = None
    server_reason: str = ""

    @property
    def summary(self) -> str:
        """In a few words."""
        if self.accepted:
            return f"accepted with {self.tls_version or 'no TLS'}, answered {self.status}"
        return f"refused: client saw {self.alert}, server says {self.server_reason or 'nothing'}"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "accepted": self.accepted,
            "status": self.status,
            "tls_version": self.tls_version,
            "cipher": self.cipher,
            "alert": self.alert,
            "server_reason": self.server_reason,
            "local_port": self.local_port,
        }


async def introduce(
    address: Endpoint,
    context: ssl.SSLContext,
    *,
    target: str,
    nonce: str,
    log: AccessLog,
    handshakes: Callable[[], Awaitable[int]],
    timeout: float,
    come_from: Location = HERE,
) -> Introduction:
    """Shake hands, wait to be accepted or refused, and if accepted send one GET.

    Args:
        address: the security server's listener for peers.
        context: what the client shows and whom it trusts.
        target: path of the request that follows an acceptance.
        nonce: sent with it.
        log: the security server's access log.
        handshakes: reads the listener's count of completed handshakes.
        timeout: seconds for all of it.
        come_from: where the client is.

    """
    before = await handshakes()
    try:
        connected = await come_from.connect(address.host, address.port, timeout=timeout)
    except OSError as problem:
        return Introduction(nonce=nonce, local_port=0, alert=f"no connection: {problem.strerror or problem}")
    port = int(connected.getsockname()[1])
    ended = _end_of_connection(log, connected)
    decided = threading.Event()
    client = asyncio.create_task(
        asyncio.to_thread(_client, connected, context, address, target, nonce, decided, timeout)
    )

    async def settled() -> LogLine | None:
        if not decided.is_set() and await handshakes() > before:
            decided.set()
        if client.done() and client.result().accepted:
            return {"failure": ""}
        return ended()

    reason = await _reason(settled, timeout)
    return replace(await client, local_port=port, server_reason=reason)


async def completed_handshakes(admin: AdminClient, listener: str) -> int:
    """How many TLS handshakes a listener of a security server has completed so far."""
    name = f"listener.{listener}.ssl.handshake"
    return (await admin.stats(f"^{re.escape(name)}$")).get(name, 0)


async def introduce_in_plaintext(
    address: Endpoint, *, target: str, nonce: str, log: AccessLog, timeout: float, come_from: Location = HERE
) -> Introduction:
    """Send an HTTP request without TLS, as somebody who has no idea, or hopes for a careless server."""
    connected = await come_from.connect(address.host, address.port, timeout=timeout)
    port = int(connected.getsockname()[1])
    ended = _end_of_connection(log, connected)
    seen = await asyncio.to_thread(_plain_client, connected, target, nonce)
    if seen.accepted:
        return replace(seen, local_port=port)
    return replace(seen, local_port=port, server_reason=await _reason(ended, timeout))


def _end_of_connection(log: AccessLog, connected: socket.socket) -> Callable[[], LogLine | None]:
    """What the log says of the end of a connection that has just begun, once it says it.

    Ports are used again: an earlier connection from the same one may be in the log already, with another reason.
    """
    host, port = connected.getsockname()
    address = f"{host}:{port}"
    earlier = len(log.lines(kind="connection", peer_address=address))

    def ended() -> LogLine | None:
        lines = log.lines(kind="connection", peer_address=address)
        return lines[earlier] if len(lines) > earlier else None

    return ended


async def _reason(settled: Callable[[], LogLine | Awaitable[LogLine | None] | None], timeout: float) -> str:
    """What the server's log says about the end of a connection; empty if it says nothing in time."""
    try:
        line: LogLine = await until(
            cast(Any, settled), what="the security server has accepted or refused the connection", timeout=timeout
        )
    except DeadlineExceeded:
        return ""
    return str(line.get("failure") or "")


def _client(
    connected: socket.socket,
    context: ssl.SSLContext,
    address: Endpoint,
    target: str,
    nonce: str,
    decided: threading.Event,
    timeout: float,
) -> Introduction:
    seen = Introduction(nonce=nonce, local_port=0)
    try:
        with context.wrap_socket(connected, server_hostname=address.host) as wrapped:
            cipher = wrapped.cipher()
            seen = replace(seen, tls_version=wrapped.version(), cipher=cipher[0] if cipher else None)
            left, looked = timeout, time.monotonic()
            while not decided.is_set():
                readable, _, _ = select.select([wrapped], [], [], POLL_S)
                if readable:
                    wrapped.setblocking(False)
                    try:
                        if wrapped.recv(1) == b"":
                            return replace(seen, alert="closed without an alert")
                    except ssl.SSLWantReadError:
                        pass  # a session ticket, no data
                    finally:
                        wrapped.settimeout(timeout)
                # Time in which this program did not run was no time of the server's either.
                left -= min(time.monotonic() - looked, TICK_S)
                looked = time.monotonic()
                if left <= 0:
                    return replace(seen, alert="neither accepted nor refused in time")
            return replace(seen, accepted=True, status=_ask(wrapped, target, nonce))
    except ssl.SSLError as problem:
        return replace(seen, alert=problem.reason or str(problem))
    except OSError as problem:
        return replace(seen, alert=f"connection ended: {problem.strerror or problem}")
    finally:
        connected.close()


def _plain_client(connected: socket.socket, target: str, nonce: str) -> Introduction:
    seen = Introduction(nonce=nonce, local_port=0)
    try:
        status = _ask(connected, target, nonce)
        return replace(seen, accepted=status is not None, status=status, alert=None if status else "closed")
    except OSError as problem:
        return replace(seen, alert=f"connection ended: {problem.strerror or problem}")
    finally:
        connected.close()


def _ask(connected: socket.socket, target: str, nonce: str) -> int | None:
    """One GET; the status of its answer, or None."""
    request = f"GET {target} HTTP/1.1\r\nHost: mesh.test\r\n{NONCE_HEADER}: {nonce}\r\nConnection: close\r\n\r\n"
    connected.sendall(request.encode())
    response = http.client.HTTPResponse(connected)
    try:
        response.begin()
        response.read(1024)
    except http.client.HTTPException:
        return None
    return response.status
