"""The policy admin service as an object: it starts and stops on its owner's event loop.

Invariants: it listens on loopback unless told otherwise; without TLS it believes the header of the security server in
front, with TLS it never looks at it; TLS is 1.3 and mutual, or it does not start; the store is its owner's to close.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection, Mapping

import uvicorn
from starlette.requests import Request
from starlette.types import Scope

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.policy.service.callers import (
    FORWARDED_HEADER,
    Caller,
    Role,
    Roles,
    forwarded_identity,
    proven_identity,
)
from conformance.policy.service.edge import application
from conformance.policy.service.http import PEER, Protocol, Server
from conformance.policy.service.observing import Observing
from conformance.policy.service.routes import operations
from conformance.policy.store import Store

__all__ = ["HOST", "PolicyAdminService"]

HOST = "127.0.0.1"
GRACE_S = 5
# Longer than a proxy in front keeps an idle connection (Envoy: one hour). Whoever closes first must not be this side: a
# request that is just on its way would be lost.
KEEP_ALIVE_S = 2 * 60 * 60


class PolicyAdminService:
    """HTTP over mutual TLS on top of a store, or plain HTTP behind a security server."""

    def __init__(
        self,
        store: Store,
        *,
        roles: Mapping[str, Collection[Role]],
        tls: ssl.SSLContext | None,
        host: str = HOST,
        port: int = 0,
        longest_wait_s: float = 10.0,
    ) -> None:
        """Nothing is opened yet.

        Args:
            store: where the policies are; its owner closes it, after `stop`.
            roles: who may do what, by SPIFFE id or by the path of one (see `Roles`).
            tls: the server's side of mutual TLS; None: a security server in front hands the caller's identity over.
            host: the IP address to listen on.
            port: where to listen; 0 takes a free one.
            longest_wait_s: long polls last no longer, so that a proxy's timeout does not cut them off.

        Raises:
            UsageError: `tls` would let in peers without a certificate, or a key of `roles` is no identity.

        """
        if tls is not None:
            if tls.verify_mode is not ssl.CERT_REQUIRED:
                raise UsageError(
                    "the policy admin service would let in peers without a certificate",
                    next_step="give it a TLS context that demands and verifies certificates",
                )
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._roles = Roles(roles)
        self._tls = tls
        self._host = host
        self._port = port
        self._stopping = asyncio.Event()
        observing = Observing()
        served = operations(store, observing, longest_wait_s=longest_wait_s, stopping=self._stopping)
        configuration = uvicorn.Config(
            application(served, self._caller, observing),
            http=Protocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            ssl_context_factory=(lambda _config, _default: tls) if tls else None,
        )
        self._server = Server(configuration)
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self._port

    @property
    def url(self) -> str:
        """Its address, once it has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            EnvironmentFault: the address cannot be had.

        """
        listener = self._listener()
        self._port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]), name="policy admin service")
        ready = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._serving

    async def stop(self) -> None:
        """Accept nothing more, let what is under way end (long polls at once), and close."""
        self._stopping.set()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def _listener(self) -> socket.socket:
        # asyncio switches Nagle's algorithm off only where TCP is named; otherwise each answer would wait 40 ms.
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            listener.listen()
        except (OSError, OverflowError) as error:
            listener.close()
            raise EnvironmentFault(
                f"the policy admin service cannot listen on {self._host}:{self._port}: {error}",
                next_step="name an IP address of this machine, and a port that is free, or 0",
            ) from error
        return listener

    def _caller(self, scope: Scope) -> Caller | None:
        if self._tls is None:
            identity = forwarded_identity(Request(scope).headers.getlist(FORWARDED_HEADER))
        else:
            identity = proven_identity(scope["state"][PEER] or {})
        return self._roles.caller(identity) if identity else None
