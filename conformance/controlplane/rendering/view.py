"""What a security server has to know: its identity, whom it trusts, how it reaches services of others, who helps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.model.policies import MemberId, MeshPolicy
from conformance.model.policy import Endpoint, ServicePolicy

__all__ = ["Identity", "ListenAddress", "OutboundService", "Resource", "SecurityServerView", "Surroundings"]

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
        provider: the X-Road identifier of its member; None: the service cannot be addressed that way.

    """

    policy: ServicePolicy
    peers: tuple[Endpoint, ...]
    identity: str
    provider: MemberId | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a security server's resources depend on beside policies of services. By default it stands alone.

    Attributes:
        server: its node id.
        mesh: what counts for the whole mesh.
        member: the X-Road identifier of its own member; None: it has none.
        clients: X-Road identifiers of members, by the SPIFFE id of their security servers.
        gateways: SPIFFE ids of external gateways; what rules allow to foreign callers comes in by these.
        authentication: unix socket of the authentication service, which is asked about each call, or its address by
            TCP and mutual TLS: its certificate must bear the `server_name`, or else the host; None: nobody is asked.
        limits: where the limit service is, likewise; None: limits that should count everywhere count at each server.
        tracing: where spans go, by OTLP over HTTP: an address or a unix socket; None: no spans are made.

    """

    server: str = ""
    mesh: MeshPolicy = field(default_factory=MeshPolicy)
    member: MemberId | None = None
    clients: Mapping[str, MemberId] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    authentication: Endpoint | Path | None = None
    limits: Endpoint | Path | None = None
    tracing: Endpoint | Path | None = None

    @property
    def foreigners(self) -> frozenset[str]:
        """SPIFFE ids of other trust domains that are let in."""
        return frozenset(identity for domain in self.mesh.federation for identity in domain.identities)


@dataclass(frozen=True)
class SecurityServerView:
    """What one security server's configuration is made from, apart from the services.

    Attributes:
        name: the node id.
        identity: its own certificate.
        trust: root certificates of the mesh, PEM.
        revocations: certificate revocation lists, PEM, one for each authority of a chain; empty: none are checked.
        public_roots: root certificates, PEM, that vouch for building blocks which speak HTTPS; empty: none is reached.
        members: SPIFFE ids of all security servers of the mesh; nobody else completes a handshake.
        access_log: the file it writes one JSON line to for each call and each refused connection.
        inbound_address, outbound_address: where it listens for peers, and for its own applications.
        border_address: where an external gateway listens for callers of other trust domains; None: it is none.
        revoked: a word that differs whenever a certificate was revoked. A new one closes open connections of peers
            after the drain time, because Envoy judges a certificate in the handshake only.
        surroundings: what the resources of services depend on as well.

    """

    name: str
    identity: Identity
    trust: bytes
    revocations: bytes
    members: tuple[str, ...]
    access_log: Path
    inbound_address: ListenAddress = ListenAddress()
    outbound_address: ListenAddress = ListenAddress()
    border_address: ListenAddress | None = None
    public_roots: bytes = b""
    revoked: str = ""
    surroundings: Surroundings = Surroundings()
