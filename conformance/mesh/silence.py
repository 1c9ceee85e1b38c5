"""A service that hangs: it takes connections and says nothing, not even that it understands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.protobuf.listen import UnixListen

__all__ = ["silent_service"]


@asynccontextmanager
async def silent_service(listen: UnixListen) -> AsyncIterator[None]:
    """Somebody listens at this address until the end of the block, as a stopped process does."""
    over = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await over.wait()
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, str(listen.path))
    try:
        listen.hand_over()
        yield
    finally:
        over.set()
        server.close()
