"""What a check may see of the machines of a mesh: who can reach what, what crosses the network that they share, and how
callers from outside of the mesh are received.

Invariant: everything is tried from the machine in question; nothing is concluded from how it was set up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from conformance.mesh import (
    CALLER,
    ELSEWHERE,
    FOR_FOREIGNERS,
    FOREIGNER,
    GATEWAY,
    Mesh,
    application_host,
)
from conformance.model.errors import EnvironmentFault, SuiteFault
from conformance.model.policy import Endpoint
from conformance.pki import Credential, TrustDomain
from conformance.pki.trust_domain import WORKLOAD_LIFE
from conformance.probe.access_log import AccessLogs
from conformance.probe.exchange import Exchange, KeptConnection, new_nonce
from conformance.probe.introduction import Introduction, completed_handshakes, introduce
from conformance.system.location import Location
from conformance.system.networks import Network
from conformance.system.survey import Answer, listening, survey
from conformance.system.wire import Capture

__all__ = ["ForeignKind", "Hosts", "Listener", "Purpose", "Way"]


class Purpose(StrEnum):
    """What listens at a port."""

    DOOR = "door for peers"
    BORDER = "door for other trust domains"
    FOR_APPLICATIONS = "listener for its own applications"
    APPLICATION = "application"
    UNKNOWN = "unknown"


class ForeignKind(StrEnum):
    """Who knocks at a security server from another trust domain, or pretends to."""

    NAMED = "foreign-named"
    """The one identity of the other trust domain that was agreed upon."""
    UNNAMED = "foreign-unnamed"
    """Another identity of the same trust domain."""
    MEMBER = "foreign-member"
    """A member of the mesh itself, by the mesh's authority."""
    VOUCHED_BY_MESH = "foreign-vouched-by-mesh"
    """The agreed identity, in a certificate of the mesh's authority."""
    UNKNOWN_AUTHORITY = "foreign-unknown-authority"
    """The agreed identity, in a certificate of an authority of the same name that nobody knows."""


@dataclass(frozen=True)
class Way:
    """A port of a host that was tried from another one."""

    by: str
    host: str
    address: str
    port: int
    purpose: Purpose
    answer: Answer

    @property
    def open(self) -> bool:
        """Somebody accepted the connection."""
        return self.answer is Answer.OPEN

    @property
    def summary(self) -> str:
        """In a few words."""
        return f"{self.host} {self.address}:{self.port} ({self.purpose})"


class Listener:
    """Somebody who listens where nobody of the mesh has any business, and counts who comes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.connections = 0


class Hosts:
    """The machines of the mesh."""

    def __init__(self, mesh: Mesh, logs: AccessLogs) -> None:
        self._mesh = mesh
        self._logs = logs

    @property
    def servers(self) -> tuple[str, ...]:
        """The hosts of security servers; each is named like its member."""
        return tuple(self._mesh.members)

    @property
    def applications(self) -> tuple[str, ...]:
        """The hosts of applications that have one of their own."""
        names = map(application_host, self._mesh.members)
        return tuple(name for name in names if name in self._network.hosts)

    @property
    def elsewhere(self) -> str:
        """A host of no member."""
        return ELSEWHERE

    def application_of(self, member: str) -> str:
        """The host on which a member's applications are."""
        name = application_host(member)
        return name if name in self._network.hosts else member

    # ------------------------------------------------------------------ who can reach what

    async def ways(self, to: Iterable[str], *, by: str) -> list[Way]:
        """Try to connect from a host to every port that something listens at on others, at each of their addresses."""
        targets = {
            (address, port): host.name
            for host in (self._network[name] for name in to)
            if host.name != by
            for port in sorted({each.port for each in listening(host.namespace)})
            for address in filter(None, (host.address, *host.cables.values()))
        }
        answers = await survey(self._network[by].namespace, targets, timeout=self._mesh.timeouts.handshake)
        return [
            Way(by, name, address, port, self._purpose(name, port), answers[address, port])
            for (address, port), name in targets.items()
        ]

    async def call(self, way: Way, target: str) -> Exchange:
        """Go a way that was tried once more, and send a plain GET."""
        here = Location(namespace=self._network[way.by].namespace)
        there = Endpoint(way.address, way.port)
        async with KeptConnection(there, timeout=self._mesh.timeouts.request, come_from=here) as kept:
            return await kept.call(target)

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[Listener]:
        """Somebody listens elsewhere until the end of the block."""
        listener = Listener(Endpoint("", 0))

        def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            listener.connections += 1
            writer.close()

        server = await asyncio.start_server(count, sock=self._mesh.sites.elsewhere.listener())
        listener.endpoint = Endpoint(*server.sockets[0].getsockname())
        try:
            yield listener
        finally:
            server.close()

    # ------------------------------------------------------------------ what is on the wire

    @contextmanager
    def wire(self) -> Iterator[Capture]:
        """Listen in on the network that the hosts share, until the end of the block."""
        with self._network.wire.listened_in() as capture:
            yield capture

    def addresses(self, *hosts: str) -> set[str]:
        """The addresses of hosts on the network that they share."""
        return {self._network[name].address for name in hosts}

    # ------------------------------------------------------------------ callers of another trust domain

    async def knock(self, kind: ForeignKind, server: str = GATEWAY, *, at: Purpose = Purpose.BORDER) -> Introduction:
        """Knock from elsewhere at a door of a security server and, if let in, call the service for foreigners."""
        member = self._mesh.members[server]
        endpoint = member.border if at is Purpose.BORDER else member.inbound
        if endpoint is None:
            raise SuiteFault(f"security server {server} has no {at}", next_step="run this with an external gateway")
        listener = "border" if at is Purpose.BORDER else "inbound"
        kind = ForeignKind(self._mesh.credential_kind(kind))
        return await introduce(
            endpoint,
            self._credential(kind).client_context(self._mesh.trust_domain.bundle_pem),
            target=f"/{FOR_FOREIGNERS}/from-abroad",
            nonce=new_nonce(),
            log=self._logs.of(server),
            handshakes=partial(completed_handshakes, member.running.admin, listener),
            timeout=self._mesh.timeouts.handshake,
            come_from=self._mesh.sites.elsewhere,
        )

    # ------------------------------------------------------------------ inside

    def _credential(self, kind: ForeignKind) -> Credential:
        mesh, partner = self._mesh.trust_domain, self._mesh.partner
        if partner is None:
            raise SuiteFault("there is no other trust domain", next_step="run this with an external gateway")
        match kind:
            case ForeignKind.NAMED:
                return partner.issue(FOREIGNER)
            case ForeignKind.UNNAMED:
                return partner.issue("security-server/somebody-else")
            case ForeignKind.MEMBER:
                return mesh.issue(self._mesh.identity_path(CALLER))
            case ForeignKind.VOUCHED_BY_MESH:
                return mesh.issuing_authority.issue(partner.names(FOREIGNER), mesh.from_now(WORKLOAD_LIFE))
            case ForeignKind.UNKNOWN_AUTHORITY:
                return TrustDomain(partner.name).issue(FOREIGNER)

    def _purpose(self, host: str, port: int) -> Purpose:
        """What listens at a port of a host, as far as it belongs to the mesh."""
        mesh = self._mesh
        known: dict[tuple[str, int], Purpose] = {}
        for name, member in mesh.members.items():
            for endpoint, purpose in (
                (member.inbound, Purpose.DOOR),
                (member.border, Purpose.BORDER),
                (member.outbound, Purpose.FOR_APPLICATIONS),
            ):
                if endpoint:
                    known[name, endpoint.port] = purpose
        for name, running in mesh.applications.running.items():
            known[self.application_of(name), running.address[1]] = Purpose.APPLICATION
        known[self.application_of(mesh.subject), mesh.witness_endpoint.endpoint.port] = Purpose.APPLICATION
        return known.get((host, port), Purpose.APPLICATION if host in self.applications else Purpose.UNKNOWN)

    @property
    def _network(self) -> Network:
        if self._mesh.sites.network is None:
            raise EnvironmentFault(
                "security servers and applications share one host", next_step="set `hosts: separate` in the run file"
            )
        return self._mesh.sites.network
