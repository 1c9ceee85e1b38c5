"""Where the security servers and applications of a mesh are.

On shared loopback, which needs no privileges, or on hosts of their own, where who can reach whom is part of what is
judged:

    sidecar: one host for each member; the application listens on its loopback, beside its security server
    inter-proxy: a second host for the application, with a cable to its security server's and no other
    external gateway: as inter-proxy, and one more member at the border

Invariants: between hosts of their own, members meet at the security servers' doors for peers and nowhere else; the host
`elsewhere` belongs to no member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from conformance.envoy.runtime import Runtime
from conformance.model.policies import Topology
from conformance.subjects.building_block import Place
from conformance.system.containers import Container
from conformance.system.guard import Guard
from conformance.system.location import Location
from conformance.system.networks import Host, Network

__all__ = ["ELSEWHERE", "GATEWAY", "HostSites", "SharedLoopback", "Sites", "Wiring", "application_host", "place_of"]

ELSEWHERE = "elsewhere"
"""A host of no member: imposters and callers of other trust domains are there."""
GATEWAY = "gateway"
"""The member at the border."""


def application_host(member: str) -> str:
    """The name of the host of a member's applications, where that is another one than its security server's."""
    return f"{member}-applications"


@dataclass(frozen=True)
class Wiring:
    """How hosts are connected.

    Attributes:
        hosts: all of them.
        cables: pairs with a cable between them on which nobody else is.
        unplugged: those that are not plugged into the network that the others share.

    """

    hosts: tuple[str, ...]
    cables: tuple[tuple[str, str], ...]
    unplugged: frozenset[str]


class Sites(Protocol):
    """Who is where. Everything but `topology` is known once `make` has returned."""

    topology: Topology
    network: Network | None
    """The hosts; None: all are on shared loopback."""

    async def make(self, members: Collection[str], runtime: Runtime, guard: Guard) -> None:
        """Make whatever is needed for these members, and for security servers that this runtime runs.

        Raises:
            EnvironmentFault: this process may not.

        """

    async def remove(self) -> None:
        """Take it away again, after everything there has ended."""

    def server(self, member: str) -> Location:
        """Where a member's security server listens for peers, and calls them from."""

    def for_applications(self, member: str) -> str:
        """The address at which a member's security server listens for its own applications."""

    def application(self, member: str) -> Location:
        """Where a member's applications listen for their security server, and call it from."""

    @property
    def elsewhere(self) -> Location:
        """A machine of the network that belongs to no member."""


def place_of(location: Location) -> Place | None:
    """Where to start a building block that belongs at a location; None: where the runner is."""
    return Place(location.namespace, location.address) if location.namespace else None


class SharedLoopback:
    """Everything listens on the runner's own loopback, and everybody there could reach everything."""

    network: Network | None = None

    def __init__(self, topology: Topology = Topology.INTER_PROXY) -> None:
        """`topology` says what the policies of the mesh are about; on loopback it changes nothing else."""
        self.topology = topology

    async def make(self, members: Collection[str], runtime: Runtime, guard: Guard) -> None:
        """Nothing."""

    async def remove(self) -> None:
        """Nothing."""

    def server(self, member: str) -> Location:
        """Loopback."""
        return Location()

    application = server

    def for_applications(self, member: str) -> str:
        """Loopback."""
        return self.server(member).address

    @property
    def elsewhere(self) -> Location:
        """Loopback."""
        return Location()


class HostSites:
    """Hosts with addresses of their own."""

    def __init__(self, topology: Topology, rewire: Callable[[Wiring], Wiring]) -> None:
        """`rewire` makes other cables of those that there should be."""
        self.topology = topology
        self.network: Network | None = None
        self._rewire = rewire
        self._pods: Mapping[str, Container] = {}

    async def make(self, members: Collection[str], runtime: Runtime, guard: Guard) -> None:
        """Make the hosts; where security servers are containers, each host is a pod, which applications join, too."""
        wiring = self._rewire(self._wiring(members))
        self._pods = await runtime.pods(host for host in wiring.hosts if host != ELSEWHERE)
        self.network = await Network.create(
            wiring.hosts, guard=guard, cables=wiring.cables, unplugged=wiring.unplugged, pods=self._pods
        )

    async def remove(self) -> None:
        """Remove the hosts."""
        if self.network:
            await self.network.remove()
        await asyncio.gather(*(pod.stop(grace_s=0) for pod in self._pods.values()))

    def server(self, member: str) -> Location:
        """On its host."""
        return _at(self._host(member))

    def for_applications(self, member: str) -> str:
        """Loopback for a sidecar, else its end of the cable."""
        return Location().address if self._beside else self._host(member).cables[application_host(member)]

    def application(self, member: str) -> Location:
        """Beside a sidecar, else at the other end of the cable."""
        if self._beside:
            return Location(namespace=self._host(member).namespace)
        host = self._host(application_host(member))
        return Location(host.cables[member], host.namespace)

    @property
    def elsewhere(self) -> Location:
        """A host of its own."""
        return _at(self._host(ELSEWHERE))

    @property
    def _beside(self) -> bool:
        return self.topology is Topology.SIDECAR

    def _host(self, name: str) -> Host:
        assert self.network is not None  # noqa: S101 -- see `Sites`
        return self.network[name]

    def _wiring(self, members: Collection[str]) -> Wiring:
        behind = () if self._beside else tuple(application_host(member) for member in members)
        return Wiring(
            hosts=(*members, *behind, ELSEWHERE),
            cables=tuple(zip(members, behind, strict=False)),
            unplugged=frozenset(behind),
        )


def _at(host: Host) -> Location:
    return Location(host.address, host.namespace)
