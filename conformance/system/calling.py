"""HTTP calls from inside of a network namespace, by the same client as everywhere else.

Invariant: everything but the place where its sockets are made is httpx's own transport.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream

from conformance.system.namespaces import NetworkNamespace, connect_from

if TYPE_CHECKING:
    from httpcore import AsyncNetworkStream

__all__ = ["sockets_from", "transport_from", "trusting_nobody"]

LONGEST_CONNECT_S = 60.0
"""For callers that set no timeout."""


def trusting_nobody() -> ssl.SSLContext:
    """For clients that speak plain HTTP only: to load the roots of the machine, as httpx does unasked, takes 50 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def transport_from(
    namespace: NetworkNamespace | None,
    *,
    verify: ssl.SSLContext | bool = True,
    http1: bool = True,
    http2: bool = False,
    limits: httpx.Limits | None = None,
) -> httpx.AsyncHTTPTransport:
    """For `httpx.AsyncClient(transport=...)`. Hosts in URLs must be IPv4 addresses: there is no name service inside.

    Without a namespace it is httpx's own transport.
    """
    transport = httpx.AsyncHTTPTransport(
        verify=verify, trust_env=False, http1=http1, http2=http2, limits=limits or httpx.Limits()
    )
    if namespace is None:
        return transport
    # httpx hands on everything to httpcore's pool but this; both have exact pins, and a test calls through it.
    pool: Any = transport._pool
    pool._network_backend = sockets_from(namespace)
    return transport


def sockets_from(namespace: NetworkNamespace | None) -> httpcore.AsyncNetworkBackend:
    """For the connections of httpcore: where their sockets are made. Without a namespace, here."""
    return _Inside(namespace) if namespace else httpcore.AnyIOBackend()


class _Inside(httpcore.AnyIOBackend):
    """Connects from inside."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._namespace = namespace

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        from anyio.abc import SocketStream  # noqa: PLC0415

        try:
            connected = await connect_from(
                self._namespace, host, port, timeout=LONGEST_CONNECT_S if timeout is None else timeout
            )
        except TimeoutError as problem:
            raise httpcore.ConnectTimeout(str(problem)) from problem
        except OSError as problem:
            raise httpcore.ConnectError(str(problem)) from problem
        return AnyIOStream(await SocketStream.from_socket(connected))
