"""Keeping the witness busy for as long as a check needs it, without a clock: it holds calls until told to answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.probe import Answer, Exchange, Probe

__all__ = ["Load", "UnderWay", "counted", "load"]

UnderWay = asyncio.Task[Exchange]

CLUSTER = "cluster.application-witness."


async def counted(probe: Probe, *names: str) -> int:
    """The sum of statistics about the witness as an upstream; those that do not exist (yet) count nothing."""
    pattern = f"^{re.escape(CLUSTER)}({'|'.join(map(re.escape, names))})$"
    return sum((await probe.statistics(pattern)).values())


class Load:
    """Calls of the witness that are under way at the same time."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.calls: list[UnderWay] = []

    def start(self, path: str, *answers: Answer) -> UnderWay:
        """One more call."""
        call = asyncio.create_task(self._probe.call(path, answers=answers))
        self.calls.append(call)
        return call

    async def hold(self, count: int) -> int:
        """Bring so many calls to the witness, which holds them; gives how many it got.

        They go one after the other, so that none waits for a new connection together with another.
        """
        for number in range(1, count + 1):
            await self._settled(self.start("/held", Answer(hold=True)), number)
        return self._probe.witness.held

    async def _settled(self, call: UnderWay, number: int) -> None:
        def settled() -> bool:
            return call.done() or self._probe.witness.held == number

        await self._probe.eventually(settled, what=f"the witness holds {number} calls")

    async def waits(self, call: UnderWay, place: int) -> bool:
        """Whether a call comes to wait for a connection as number `place`; false if it ends instead.

        Only for when no connection may be added: a call also waits for a moment while its connection is opened.
        """

        async def settled() -> bool:
            return call.done() or await counted(self._probe, "upstream_rq_pending_active") >= place

        known: bool | None = await self._probe.eventually(settled, what=f"{place} calls wait for a connection")
        return not (known and call.done())

    async def ends(self, call: UnderWay) -> bool:
        """Whether a call is answered, though the witness goes on holding others."""
        return bool(await self._probe.eventually(call.done, what="the call is answered"))

    async def let_go(self) -> list[Exchange]:
        """The witness answers whatever it holds, and whatever still comes to it; gives all calls with their answers."""

        def answered() -> bool:
            self._probe.witness.release()
            return all(call.done() for call in self.calls)

        await self._probe.eventually(answered, what="all calls are answered", timeout=self._probe.timeouts.request)
        return await asyncio.gather(*self.calls)


@asynccontextmanager
async def load(probe: Probe) -> AsyncIterator[Load]:
    """A load that is gone at the end of the block, however it ends."""
    load = Load(probe)
    try:
        yield load
    finally:
        probe.witness.release()
        for call in load.calls:
            call.cancel()
        await asyncio.gather(*load.calls, return_exceptions=True)
