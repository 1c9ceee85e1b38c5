"""The security servers of a mesh: where each of them is, how it is started, and whether all of them live.

Invariant: the layout has a place for each of them, and for nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.snapshot import Version
from conformance.envoy.runtime import Runtime, SecurityServerSpec
from conformance.mesh.configuration import Layout
from conformance.mesh.member import Member
from conformance.mesh.sites import Sites
from conformance.model.policy import Endpoint
from conformance.model.timeouts import Timeouts
from conformance.system.deadlines import until

__all__ = ["Members"]

T = TypeVar("T")

DRAINING = r"^listener_manager\.total_filter_chains_draining$"


class Members(Mapping[str, Member]):
    """By name. Nothing is started before it is told to, or stopped but by the runtime."""

    def __init__(
        self,
        *,
        folder: Path,
        xds: Path,
        layout: Layout,
        sites: Sites,
        runtime: Runtime,
        timeouts: Timeouts,
        at_the_border: Callable[[Member], bool],
    ) -> None:
        """There is nobody yet.

        Args:
            folder: for a folder of each.
            xds: the socket of the control plane.
            layout: is told where everybody is.
            sites: where members are.
            runtime: starts security servers.
            timeouts: how long one may take to listen, and connections to end.
            at_the_border: whether a security server listens for callers of other trust domains.

        """
        self._folder = folder
        self._xds = xds
        self._layout = layout
        self._sites = sites
        self._runtime = runtime
        self._timeouts = timeouts
        self._at_the_border = at_the_border
        self._members: dict[str, Member] = {}
        self._changed = asyncio.Event()
        """Set, and replaced by another one, when members come or go while the mesh runs."""
        self._drained: Mapping[str, Version] = {}

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    # ------------------------------------------------------------------ coming and going

    def add(self, member: Member, *, port: int | None = None) -> None:
        """One more, which is about to receive its peers at a port that is known already, if one is given."""
        self._members[member.name] = member
        self._layout.addresses[member.name] = self._sites.server(member.site).address
        self._layout.for_applications[member.name] = self._sites.for_applications(member.site)
        self._layout.access_logs[member.name] = self._specification(member).access_log
        if port is not None:
            self._layout.ports[member.name] = port

    def remove(self, name: str) -> Member:
        """One less; it still runs if it ran."""
        for place in (self._layout.addresses, self._layout.for_applications, self._layout.access_logs):
            del place[name]
        self._layout.ports.pop(name, None)
        return self._members.pop(name)

    async def start(self, member: Member) -> None:
        """Start a security server, and wait until it listens."""
        limit = self._timeouts.security_server_ready
        member.server = await self._runtime.start(self._specification(member), limit)
        here, for_applications = self._sites.server(member.site).address, self._sites.for_applications(member.site)
        _, inbound = await member.server.listener_address("inbound", limit)
        _, outbound = await member.server.listener_address("outbound", limit)
        member.inbound, member.outbound = Endpoint(here, inbound), Endpoint(for_applications, outbound)
        if self._at_the_border(member):
            _, border = await member.server.listener_address("border", limit)
            member.border = Endpoint(here, border)

    def _specification(self, member: Member) -> SecurityServerSpec:
        return SecurityServerSpec(
            name=member.name,
            folder=self._folder / member.name,
            xds=self._xds,
            api_type="DELTA_GRPC",
            namespace=self._sites.server(member.site).namespace,
        )

    # ------------------------------------------------------------------ life and death

    async def unless_dead(self, work: Awaitable[T]) -> T:
        """Await something, but no longer than all security servers live.

        Raises:
            EnvironmentFault: one of them died; with its last log lines.

        """
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                deaths = {member.server.died for member in self.values() if member.server}
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({working, changed, *deaths}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                self.refuse_if_dead()
            return await working
        finally:
            working.cancel()

    def refuse_if_dead(self) -> None:
        """Raise the error that tells of a security server's end, if one has ended."""
        for member in self.values():
            if member.server and not member.server.alive:
                raise member.server.death()

    def say_changed(self) -> None:
        """Whoever awaits something unless one is dead looks again at who is there."""
        self._changed.set()
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ connections

    async def until_drained(self, control_plane: ControlPlane) -> None:
        """Wait until no connection is about to be closed because a listener changed, as when a certificate is revoked;
        the next check would feel it. Whose listeners are what they were need not be asked.
        """
        listeners = {name: control_plane.status(name).types[ResourceType.LISTENER].current for name in self}
        changed = [name for name, version in listeners.items() if self._drained.get(name) != version]

        async def nothing_drains() -> bool:
            counts = await asyncio.gather(*(self[name].running.admin.stats(DRAINING) for name in changed))
            return not any(count for each in counts for count in each.values())

        limit = self._timeouts.observed
        await until(nothing_drains, what="connections of earlier listeners are closed", timeout=limit)
        self._drained = listeners
