"""The control loop: follows a store of policies, keeps the control plane in step, and reports what proxies said.

Invariants: changes are taken in the store's order; whatever is asked for later includes what came before; a report says
what a proxy itself has said, never what was meant for it. The loop and the control plane stop and start together: what
is committed meanwhile is taken when they are back.

Several control planes may follow one store. Each takes everything, and claims that a version concerns a proxy; the
answer comes from the one that the proxy is connected to. It also answers the claims of the others, of which one may
have ended or have taken several versions as one. What a store makes of reports is in `policy.store.reports`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from conformance.controlplane.outcomes import Outcome, Outcomes, OutcomeState
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.snapshot import AppliedVersion
from conformance.mesh.configuration import Configuration, Difference
from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.model.verdict import moment, now
from conformance.policy.store import ProxyReport, ProxyState, Store
from conformance.system.deadlines import time_limit

__all__ = ["Controller"]

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_TOGETHER = 100
"""Of more versions than these that come at once the older ones are of no interest to anybody who waits."""
LOOK_EVERY_S = 1.0
"""How often a control plane looks for claims of others that only it can answer."""
LONGEST_BACK_OFF_S = 2.0
"""Between two attempts to report to a store that cannot be reached."""


class Controller:
    """Between one store and one control plane."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        control_plane: ControlPlane,
        *,
        name: str,
        say: Callable[[ProxyReport], ProxyReport | None] = lambda report: report,
    ) -> None:
        self.name = name
        self.taken = 0
        """The newest version of the store that has been made into configuration."""
        self._store = store
        self._configuration = configuration
        self._control_plane = control_plane
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._outcomes = Outcomes()
        self._reported = asyncio.Event()
        self._reported.set()
        self._versions: dict[tuple[str, int], Sequence[int]] = {}
        """For each security server, and number of what was set for it, the versions of the store that it is from."""

    async def start(self) -> None:
        """Take everything that the store holds by now, then follow it."""
        newest = await self._store.version()
        self._tasks = [
            asyncio.create_task(self._follow(), name=f"{self.name} follows the store"),
            asyncio.create_task(self._listen(), name=f"{self.name} listens to security servers"),
            asyncio.create_task(self._look_for_claims(), name=f"{self.name} looks for claims of others"),
        ]
        await self._until(lambda: self.taken >= newest)

    async def stop(self) -> None:
        """Follow no longer, and report no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def until_broken(self) -> None:
        """Wait as long as the loop goes on.

        Raises:
            MeshmarkError: it has ended over something that it could not cope with.

        """
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()

    async def reported(self, *, within_s: float) -> None:
        """Wait until everything that security servers have said so far is reported, or for `within_s` seconds."""
        if self._outcomes.unread:
            self._reported.clear()
        with suppress(TimeoutError):
            async with time_limit(within_s):
                await self._reported.wait()

    async def has_taken(self, version: int, *, timeout: float) -> None:
        """Wait until a version of the store has been made into configuration and handed to the control plane.

        Raises:
            DeadlineExceeded: it took longer than `timeout` seconds.
            MeshmarkError: the loop has ended over a change that it could not make into configuration.

        """
        try:
            async with time_limit(timeout):
                await self._until(lambda: self.taken >= version)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} has not taken version {version} of the policies within {timeout:g} s",
                next_step="look whether the store can be reached",
                detail=f"last seen: version {self.taken}",
            ) from None

    def push(self, differences: Mapping[str, Difference]) -> dict[str, AppliedVersion]:
        """Tell the control plane; gives the version that each security server concerned has to acknowledge."""
        return {
            server: self._control_plane.update(server, difference.changed, difference.removed)
            for server, difference in differences.items()
        }

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            ended = next((task for task in self._tasks if task.done()), None)
            if ended is not None:
                ended.result()
            if not self._tasks:
                raise DeadlineExceeded(f"{self.name} does not follow the store", next_step="start it again")
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({*self._tasks, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()

    async def _follow(self) -> None:
        async for change in self._store.changes(self.taken):
            # Several versions may come as one change; whoever waits for one of them waits for them all.
            together = range(max(self.taken, change.version - MOST_TOGETHER) + 1, change.version + 1)
            unsaid, heard = (together, frozenset[str]()) if self.taken else await self._said(together)
            since = now()
            claims = []
            for server, applied in self.push(self._configuration.take(change)).items():
                # Whoever has left the mesh will never answer.
                if server not in self._configuration.sent:
                    continue
                self._versions[server, applied.number] = sorted({*unsaid, change.version})
                claimed = unsaid if server in heard else self._versions[server, applied.number]
                claims += [self._report(version, server, ProxyState.PENDING, since) for version in claimed]
            # A security server may have become another member's, or nobody's.
            self._control_plane.admission.judge_again()
            # The streams first: proxies need not wait for the store.
            await asyncio.sleep(0)
            await self._note(claims)
            self.taken = change.version
            self._news.set()
            self._news = asyncio.Event()

    async def _said(self, together: Sequence[int]) -> tuple[Sequence[int], frozenset[str]]:
        """The versions about which nobody has said anything yet, and the proxies about which somebody has."""
        reports = self._store.reports
        unsaid = [version for version in together if not await self._patiently(partial(reports, version))]
        return unsaid, frozenset(each.proxy for each in await self._patiently(self._store.latest_reports))

    async def _look_for_claims(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            latest = await self._patiently(self._store.latest_reports)
            claims = [each for each in latest if each.state is ProxyState.PENDING and each.version <= self.taken]
            awaited = {(server, version) for (server, _), several in self._versions.items() for version in several}
            for claim in claims:
                answers = claim.proxy in self._configuration.sent and self._control_plane.status(claim.proxy).streams
                if answers and (claim.proxy, claim.version) not in awaited:
                    # Nothing new: it is acknowledged with all that the proxy has been told.
                    applied = self._control_plane.update(claim.proxy, {})
                    self._versions[claim.proxy, applied.number] = [claim.version]

    async def _listen(self) -> None:
        with self._control_plane.outcomes() as outcomes:
            self._outcomes = outcomes
            async for outcome in outcomes:
                self._reported.clear()
                said = map(self._say, self._reports(outcome))
                await self._note([report for report in said if report])
                if not outcomes.unread:
                    self._reported.set()

    def _reports(self, outcome: Outcome) -> Iterator[ProxyReport]:
        since = moment(outcome.at)
        state, reason = ProxyState.APPLIED, ""
        if outcome.state is OutcomeState.REJECTED:
            state = ProxyState.REJECTED
            reason = f"{outcome.type}: {outcome.rejection.detail if outcome.rejection else ''}"
        for number in outcome.numbers:
            for version in self._versions.get((outcome.node_id, number), ()):
                yield self._report(version, outcome.node_id, state, since, reason)
            if state is ProxyState.APPLIED:
                self._versions.pop((outcome.node_id, number), None)

    def _report(self, version: int, server: str, state: ProxyState, since: str, reason: str = "") -> ProxyReport:
        return ProxyReport(version, server, state, since=since, reason=reason, control_plane=self.name)

    async def _note(self, reports: list[ProxyReport]) -> None:
        if reports:
            await self._patiently(partial(self._store.report, reports))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store until it can be reached."""
        back_off = 0.1
        while True:
            try:
                return await ask()
            except EnvironmentFault as fault:
                log.warning("the store cannot be used at the moment: %s", fault)
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF_S)
