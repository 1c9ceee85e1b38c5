"""A relay before a server that can lose the connection at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """Passes bytes between clients and a server on loopback.

    Attributes:
        cut_after: once a client has sent this, it is passed on, and after the server's answer, which nobody sees, the
            connection is closed.

    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self.port = 0
        self.cut_after: bytes | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        cut = False

        async def requests() -> None:
            nonlocal cut
            while data := await reader.read(65536):
                cut = cut or (self.cut_after is not None and self.cut_after in data)
                server_writer.write(data)
            server_writer.close()

        async def answers() -> None:
            while data := await server_reader.read(65536):
                if cut:
                    break
                writer.write(data)
            writer.close()
            server_writer.close()

        await asyncio.gather(requests(), answers())
