"""Where a gRPC server of ours listens: a unix socket for proxies on this machine, mutual TLS for all others."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

from conformance.model.errors import EnvironmentFault

__all__ = ["TlsListen", "UnixListen", "open_listener"]


@dataclass(frozen=True)
class UnixListen:
    """Listen on a unix socket that only `uid` may connect to; None: only this process's own user.

    A process that may not give files away opens the socket to everybody instead, so its folder must be private.
    """

    path: Path
    uid: int | None = None

    def __str__(self) -> str:
        return str(self.path)

    def bind(self, server: grpc.aio.Server) -> None:
        """Make `server` listen here. Raises RuntimeError or OSError if it cannot."""
        server.add_insecure_port(f"unix:{self.path}")
        self.hand_over()

    def hand_over(self) -> None:
        """Let `uid` connect to the socket that is there now."""
        if self.uid is None or self.uid == os.geteuid():
            self.path.chmod(0o600)
        elif os.geteuid() == 0:
            os.chown(self.path, self.uid, -1)
            self.path.chmod(0o600)
        else:
            self.path.chmod(0o666)


@dataclass(frozen=True)
class TlsListen:
    """Listen on TCP with mutual TLS: a proxy needs a certificate from `client_authority`. All PEM. Port 0: any."""

    host: str
    port: int
    certificate_chain: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    client_authority: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def bind(self, server: grpc.aio.Server) -> int:
        """Make `server` listen here; returns the port. Raises RuntimeError if it cannot."""
        credentials = grpc.ssl_server_credentials(
            [(self.private_key, self.certificate_chain)], self.client_authority, require_client_auth=True
        )
        return server.add_secure_port(f"{self.host}:{self.port}", credentials)


async def open_listener(server: grpc.aio.Server, listen: UnixListen | TlsListen, *, whose: str) -> int | None:
    """Start a server where it shall listen; gives the port, or None for a unix socket.

    Raises:
        EnvironmentFault: the address cannot be used; the server is stopped again.

    """
    try:
        port = listen.bind(server)
        await server.start()
    except (RuntimeError, OSError) as problem:
        await server.stop(None)
        raise EnvironmentFault(
            f"{whose} cannot listen: {problem}",
            where=str(listen),
            next_step="choose a free address; the path of a unix socket must be shorter than 108 bytes",
        ) from problem
    return port
