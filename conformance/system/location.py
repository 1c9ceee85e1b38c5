"""Where something of the mesh is: the runner's own loopback, or a host with a network of its own.

Invariant: who calls or listens at a location needs no more than this; nobody asks what kind it is.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from conformance.system.namespaces import NetworkNamespace, connect_from, listening_socket, tcp_socket

__all__ = ["HERE", "LOOPBACK", "Location"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Location:
    """A network, and the address in it at which one listens there."""

    address: str = LOOPBACK
    namespace: NetworkNamespace | None = None
    """None: the runner's own network."""

    def tcp_socket(self) -> socket.socket:
        """A TCP socket that lives here, not blocking, neither bound nor connected."""
        return self.namespace.tcp_socket() if self.namespace else tcp_socket()

    def listener(self, port: int = 0) -> socket.socket:
        """A TCP socket that listens here; for `asyncio.start_server(sock=...)`. Port 0: any.

        Raises:
            EnvironmentFault: the host is gone, or the port is taken.

        """
        return listening_socket(self.tcp_socket, self.address, port)

    async def open_connection(
        self, host: str, port: int, *, timeout: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection from here, as streams.

        Raises:
            OSError: refused, unreachable, or too late.
            EnvironmentFault: the host is gone.

        """
        return await asyncio.open_connection(sock=await connect_from(self.namespace, host, port, timeout=timeout))

    async def connect(self, host: str, port: int, *, timeout: float) -> socket.socket:
        """A TCP connection from here, blocking, with this limit on each of its operations.

        Raises:
            OSError: refused, unreachable, or too late.
            EnvironmentFault: the host is gone.

        """
        connected = await connect_from(self.namespace, host, port, timeout=timeout)
        connected.settimeout(timeout)
        return connected


HERE = Location()
"""Where the runner is."""
