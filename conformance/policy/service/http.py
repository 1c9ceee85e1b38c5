"""HTTP/1.1 of the service: uvicorn's, told who is at the other end of each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from conformance.policy.service.edge import CORRELATION_HEADER, new_correlation_id
from conformance.policy.service.problems import Problem, Reason

__all__ = ["PEER", "Protocol", "Server"]

FAREWELL_S = 0.2

PEER: Final = "peer_certificate"
"""In the state of a request: the verified certificate of the connection's other end, None without TLS."""


class Protocol(H11Protocol):
    """Hands the peer's certificate on, and refuses what is not HTTP in the shape of every other refusal."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        """A connection was accepted, and its TLS handshake is done."""
        super().connection_made(transport)
        encrypted = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, PEER: encrypted.getpeercert() if encrypted else None}

    def shutdown(self) -> None:
        """The server ends: close the connection, at once if nothing is under way on it.

        A TLS connection would wait for the other end's farewell, which a client that is not reading never sends.
        """
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and close."""
        content = Problem(Reason.MALFORMED, "the request is not valid HTTP").content()
        headers = [
            ("content-type", "application/problem+json"),
            ("content-length", str(len(content))),
            (CORRELATION_HEADER.lower(), new_correlation_id()),
            ("connection", "close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """A server on somebody else's event loop: it tells when it serves, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process, not to one server in it."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.serving.set()
