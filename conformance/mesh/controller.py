"""The control loop: follows a store of policies, keeps the control plane in step, and reports what proxies said.

Invariants: changes are taken in the store's order; whatever is asked for later includes what came before; a report says
what a proxy itself has said, never what was meant for it. The loop and the control plane stop and start together: what
is committed meanwhile is taken when they are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from conformance.controlplane.server import ControlPlane, Rejected
from conformance.controlplane.snapshot import AppliedVersion
from conformance.mesh.configuration import Configuration, Difference
from conformance.model.errors import DeadlineExceeded
from conformance.model.verdict import now
from conformance.policy.store import ProxyReport, ProxyState, Store

__all__ = ["Controller"]

PATIENCE_S = 3600.0
"""A proxy that says nothing is asked again after so long; until then its version is pending."""


class Controller:
    """Between one store and one control plane."""

    def __init__(self, store: Store, configuration: Configuration, control_plane: ControlPlane, *, name: str) -> None:
        self.name = name
        self.taken = 0
        """The newest version of the store that has been made into configuration."""
        self._store = store
        self._configuration = configuration
        self._control_plane = control_plane
        self._following: asyncio.Task[None] | None = None
        self._watching: dict[asyncio.Task[None], int] = {}
        self._open: dict[tuple[int, str], AppliedVersion] = {}
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Take everything that the store holds by now, then follow it."""
        newest = await self._store.version()
        for version, server in self._open:
            self._watch(version, server)
        self._following = asyncio.create_task(self._follow(), name=f"{self.name} follows the store")
        await self._until_taken(newest)

    async def stop(self) -> None:
        """Follow no longer, and report no longer."""
        tasks = [*self._watching, *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._following = None
        self._watching.clear()

    async def has_taken(self, version: int, *, timeout: float) -> None:
        """Wait until a version of the store has been made into configuration and handed to the control plane.

        Raises:
            DeadlineExceeded: it took longer than `timeout` seconds.
            MeshmarkError: the loop has ended over a change that it could not make into configuration.

        """
        try:
            async with asyncio.timeout(timeout):
                await self._until_taken(version)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} has not taken version {version} of the policies within {timeout:g} s",
                next_step="look whether the store can be reached",
                detail=f"last seen: version {self.taken}",
            ) from None

    async def answered(self, version: int, *, timeout: float) -> None:
        """Wait until every security server that a version concerns has said yes or no, or the time is over."""
        tasks = {task for task, watched in self._watching.items() if watched == version}
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def push(self, differences: Mapping[str, Difference]) -> dict[str, AppliedVersion]:
        """Tell the control plane; gives the version that each security server concerned has to acknowledge."""
        return {
            server: self._control_plane.update(server, difference.changed, difference.removed)
            for server, difference in differences.items()
        }

    async def _until_taken(self, version: int) -> None:
        following = self._following
        while self.taken < version:
            if following is None or following.done():
                if following is not None and not following.cancelled():
                    following.result()
                raise DeadlineExceeded(f"{self.name} does not follow the store", next_step="start it again")
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({following, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()

    async def _follow(self) -> None:
        async for change in self._store.changes(self.taken):
            versions = self.push(self._configuration.take(change))
            await self._store.report([self._report(change.version, server) for server in versions])
            self.taken = change.version
            self._news.set()
            self._news = asyncio.Event()
            for server, applied in versions.items():
                self._open[change.version, server] = applied
                self._watch(change.version, server)

    def _watch(self, version: int, server: str) -> None:
        watching = asyncio.create_task(self._until_answered(version, server))
        self._watching[watching] = version
        watching.add_done_callback(self._watching.pop)

    async def _until_answered(self, version: int, server: str) -> None:
        try:
            await self._control_plane.acknowledged(server, self._open[version, server], PATIENCE_S)
        except Rejected as refusal:
            report = self._report(version, server, ProxyState.REJECTED, str(refusal))
        except DeadlineExceeded:
            return
        else:
            report = self._report(version, server, ProxyState.APPLIED)
        self._open.pop((version, server), None)
        await self._store.report([report])

    def _report(
        self, version: int, server: str, state: ProxyState = ProxyState.PENDING, reason: str = ""
    ) -> ProxyReport:
        return ProxyReport(
            version=version, proxy=server, state=state, since=now(), reason=reason, control_plane=self.name
        )
