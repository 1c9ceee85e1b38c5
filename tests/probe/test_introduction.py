"""How the probe knocks, and whose story in the access log it believes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from conformance.model.policy import Endpoint
from conformance.probe.access_log import AccessLog
from conformance.probe.introduction import introduce_in_plaintext


def line(port: int, failure: str) -> str:
    return json.dumps({"kind": "connection", "peer_address": f"127.0.0.1:{port}", "failure": failure}) + "\n"


async def test_a_connection_from_a_port_used_before_is_not_taken_for_the_earlier_one(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(line(port, "earlier") for port in range(1024, 65536)))

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with log.open("a") as file:
            file.write(line(writer.get_extra_info("peername")[1], "this one"))
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address: Any = server.sockets[0].getsockname()
    async with server:
        seen = await introduce_in_plaintext(Endpoint(*address), target="/", nonce="n", log=AccessLog(log), timeout=10)
    assert not seen.accepted
    assert seen.server_reason == "this one"
