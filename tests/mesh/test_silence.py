from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conformance.mesh import silent_service
from conformance.protobuf.listen import UnixListen


async def test_a_silent_service_takes_what_is_sent_and_ends_connections_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    with silent_service(UnixListen(path)):
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        await writer.drain()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(str(path))
    writer.close()
