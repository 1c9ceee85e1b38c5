"""A building block that answers every call with what arrived, and remembers it."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from conformance.model.policy import Endpoint


@dataclass
class Arrival:
    """A call as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Echo:
    """Asked for `/health` it says whether it is well; those questions are no arrivals."""

    name: str = "echo"
    well: bool = True
    port: int = 0
    status: int = 200
    arrivals: list[Arrival] = field(default_factory=list)
    questions: int = 0
    _server: asyncio.Server | None = field(default=None, repr=False)

    async def start(self, tls: ssl.SSLContext | None = None) -> Echo:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def endpoint(self, **more: Any) -> Endpoint:
        return Endpoint("127.0.0.1", self.port, **more)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                arrival = Arrival(method, target, headers, body)
                status = self.status
                if target == "/health":
                    self.questions += 1
                    status = 200 if self.well else 503
                else:
                    self.arrivals.append(arrival)
                answer = json.dumps({"by": self.name, "target": target, "headers": headers}).encode()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
