"""An imposter: a TLS server that claims to be a service's security server, with a certificate that should not
convince.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from conformance.model.policy import Endpoint
from conformance.pki import Credential
from conformance.system.location import HERE, Location

__all__ = ["Imposter"]


class Imposter:
    """Listens, completes whatever handshake the other side completes, and counts the bytes that it is then entrusted
    with.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.bytes_entrusted = 0
        self._server: asyncio.Server | None = None

    async def start(self, credential: Credential, trust: bytes, at: Location = HERE) -> Endpoint:
        """Listen with this credential. Callers' certificates are judged by `trust`, as an honest server
        would.
        """
        context = credential.server_context(trust, alpn=("h2",))
        self._server = await asyncio.start_server(self._serve, sock=at.listener(), ssl=context)
        return Endpoint(*self._server.sockets[0].getsockname())

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, ssl.SSLError):
            self.bytes_entrusted += len(await reader.read(64 * 1024))
        writer.close()
