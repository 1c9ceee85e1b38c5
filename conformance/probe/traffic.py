"""Steady traffic: callers that call the witness again and again while a check does something else.

Invariants: each caller has one call under way at a time, on a connection of its own; every call carries its own nonce
and is a POST, which nobody on the way repeats (RFC 9110 section 9.2.2), so a lost call stays lost; none is forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from conformance.mesh import WITNESS, Witness
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import ServicePolicy
from conformance.model.timeouts import Timeouts
from conformance.probe.access_log import AccessLog, LogLine
from conformance.probe.exchange import Exchange, KeptConnection, new_nonce
from conformance.system.deadlines import until

__all__ = ["SteadyTraffic", "WatchedCall"]

TARGET = f"/{WITNESS}/steady"


@dataclass(frozen=True)
class WatchedCall:
    """One call of the traffic and everything that was seen of it.

    Attributes:
        caller: number of the caller. The calls of one caller follow one another; those of several overlap.
        exchange: as the caller saw it.
        line: as the subject's security server logged it; None if it never got there.
        arrivals: how often it reached the witness.

    """

    caller: int
    exchange: Exchange
    line: LogLine | None
    arrivals: int

    @property
    def policy(self) -> str | None:
        """The version of the policy that decided about it."""
        return self.line.get("policy") if self.line else None

    @property
    def details(self) -> str:
        """Why it was answered like that, in the words of the security server."""
        return str(self.line.get("details", "")) if self.line else ""


class SteadyTraffic:
    """The calls so far, and ways to wait for certain ones."""

    def __init__(
        self, connections: Sequence[KeptConnection], *, log: AccessLog, witness: Witness, timeouts: Timeouts
    ) -> None:
        self._connections = tuple(connections)
        self._log = log
        self._witness = witness
        self._timeouts = timeouts
        self._begun = [0] * len(self._connections)
        self._ended = [0] * len(self._connections)
        self._nonces: set[str] = set()
        self._over = False
        self._exchanges: list[tuple[int, Exchange]] = []

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """All callers call until the end of the block; each of them at least once, and none is cut off."""
        callers = [
            asyncio.create_task(self._go_on_calling(number, connection))
            for number, connection in enumerate(self._connections)
        ]
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*callers)
        await self._until_logged()

    async def round(self) -> None:
        """Wait until every caller has begun a call after now, and ended it.

        Raises:
            DeadlineExceeded: not even a refusal came back within the time of two requests: one under way, and the next.

        """
        goals = [begun + 1 for begun in self._begun]
        await until(
            lambda: all(ended >= goal for ended, goal in zip(self._ended, goals, strict=True)),
            what="every caller of the steady traffic has called once more",
            timeout=2 * self._timeouts.request,
        )

    async def decided_by(self, policy: ServicePolicy) -> bool:
        """Wait until the subject's security server has decided a call of this traffic by this version; False: never."""

        def decided() -> bool:
            lines = self._log.lines(kind="inbound", policy=policy.version)
            return any(line.get("nonce") in self._nonces for line in lines)

        try:
            return await until(decided, what=f"policy {policy.version} decides", timeout=self._timeouts.enforced)
        except DeadlineExceeded:
            return False

    def calls(self, policy: ServicePolicy | None = None) -> list[WatchedCall]:
        """All calls in the order of their answers, or those that this version decided. Ask after the end."""
        lines = {line.get("nonce"): line for line in self._log.lines(kind="inbound")}
        arrivals = Counter(arrival.nonce for arrival in self._witness.arrivals)
        calls = [
            WatchedCall(caller, each, lines.get(each.nonce), arrivals[each.nonce]) for caller, each in self._exchanges
        ]
        return [call for call in calls if policy is None or call.policy == policy.version]

    def to_json(self) -> dict[str, Any]:
        """As evidence: how many calls, how they were answered, which policies decided. Ask after the end."""
        calls = self.calls()
        by_policy: dict[str, Counter[str]] = {}
        for call in calls:
            by_policy.setdefault(call.policy or "none", Counter())[str(call.exchange.status)] += 1
        return {
            "callers": len(self._connections),
            "calls": len(calls),
            "answers": dict(Counter(str(call.exchange.status) for call in calls)),
            "reached the application": sum(call.arrivals for call in calls),
            "decided by": {version: dict(answers) for version, answers in by_policy.items()},
        }

    async def _go_on_calling(self, number: int, connection: KeptConnection) -> None:
        while not self._over or not self._begun[number]:
            self._begun[number] += 1
            self._exchanges.append((number, await self._call(connection)))
            self._ended[number] += 1

    async def _call(self, connection: KeptConnection) -> Exchange:
        nonce = new_nonce()
        self._nonces.add(nonce)
        return await connection.call(TARGET, method="POST", nonce=nonce)

    async def _until_logged(self) -> None:
        """One call more: a security server has one worker and logs in order, so its line is the last one."""
        last = await self._call(self._connections[0])
        try:
            await until(
                lambda: bool(self._log.lines(kind="inbound", nonce=last.nonce)),
                what="the last call is in the access log",
                timeout=self._timeouts.observed,
            )
        except DeadlineExceeded:
            # It never reached the subject's security server; that shows in the calls, which the check judges.
            return
