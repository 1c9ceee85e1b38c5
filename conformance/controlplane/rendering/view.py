"""What a security server has to know: its identity, whom it trusts, and how it reaches services of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.model.policy import Endpoint, ServicePolicy

__all__ = ["Identity", "ListenAddress", "OutboundService", "Resource", "SecurityServerView"]

Resource = dict[str, Any]
"""An xDS resource in protobuf JSON form."""


@dataclass(frozen=True)
class Identity:
    """A certificate chain (leaf first) and its private key, both PEM."""

    certificate_chain: bytes
    private_key: bytes = field(repr=False)


@dataclass(frozen=True)
class ListenAddress:
    """Where a listener binds; port 0 lets the kernel choose, so that two servers never share one."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class OutboundService:
    """A service that the applications of this security server may address.

    Attributes:
        policy: the service's policy; retries and timeouts are the caller's side of it.
        peers: where the provider's security server listens for peers.
        identity: the SPIFFE id that the provider's security server must prove.

    """

    policy: ServicePolicy
    peers: tuple[Endpoint, ...]
    identity: str


@dataclass(frozen=True)
class SecurityServerView:
    """What one security server's configuration is made from, apart from the services.

    Attributes:
        name: the node id.
        identity: its own certificate.
        trust: root certificates of the mesh, PEM.
        revocations: certificate revocation lists, PEM, one for each authority of a chain; empty: none are checked.
        members: SPIFFE ids of all security servers of the mesh; nobody else completes a handshake.
        access_log: the file it writes one JSON line to for each call and each refused connection.
        inbound_address, outbound_address: where it listens for peers, and for its own applications.

    """

    name: str
    identity: Identity
    trust: bytes
    revocations: bytes
    members: tuple[str, ...]
    access_log: Path
    inbound_address: ListenAddress = ListenAddress()
    outbound_address: ListenAddress = ListenAddress()
