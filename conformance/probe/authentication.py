"""The authentication service, as a check meets it: what it decided, whose tokens count, and how it is when it is not.

Invariants: a decision is found by the request id of its call and nothing else; what a check does to the service is
undone when its block ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from conformance.mesh import Arrival, Mesh, silent_service
from conformance.model.policies import MemberPolicy, MeshPolicy
from conformance.pki.tokens import TokenAuthority
from conformance.probe.exchange import Exchange
from conformance.system.deadlines import time_limit

__all__ = ["Authentication", "DecisionSeen"]

REQUEST_ID = "x-request-id"
SHORT_S = 0.3
"""Of the declared limit while the service hangs."""


@dataclass(frozen=True)
class DecisionSeen:
    """One line of the decision log.

    Attributes:
        direction: `inbound` at the provider's security server, `outbound` at the caller's.
        server, caller, operation: where, who and what.
        allowed: what was decided.
        reason: why, as a code.
        at: when it was written, before the answer; on the clock of the witness's arrivals.

    """

    direction: str
    server: str
    caller: str
    operation: str
    allowed: bool
    reason: str
    at: float

    def precedes(self, arrivals: Sequence[Arrival]) -> bool:
        """Nothing had arrived at the witness by then."""
        return all(self.at <= arrival.at for arrival in arrivals)

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {name: value for name, value in vars(self).items() if name != "at"}


class Authentication:
    """One for each probe."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._governance = mesh.governance

    def decisions(self, exchange: Exchange) -> list[DecisionSeen]:
        """What was decided about a call, oldest first: by the request id that its answer bears."""
        request_id = exchange.header(REQUEST_ID)
        return [
            DecisionSeen(
                direction=line.direction,
                server=line.server,
                caller=line.caller,
                operation=line.operation,
                allowed=line.decision == "allowed",
                reason=line.reason,
                at=at,
            )
            for at, line in tuple(self._governance.decided)
            if request_id and line.request_id == request_id
        ]

    # ------------------------------------------------------------------ when it does not answer

    @property
    def timeout_s(self) -> float:
        """The declared limit after which no answer is a refusal."""
        return self._governance.configuration.mesh.authentication_timeout_s

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nobody listens until the end of the block."""
        service = self._governance.authentication
        await service.stop()
        try:
            yield
        finally:
            await service.restart()

    @asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """Somebody listens, takes every question and answers none until the end of the block.

        A service that kept questions would not do: it knows the limit that the security server has set, and gives up
        at the same moment. The declared limit is short meanwhile, so that nobody has to wait for the usual one; where
        that is not taken, the usual one counts.
        """
        usual = self._governance.configuration.mesh
        await self._declare(replace(usual, authentication_timeout_s=SHORT_S), note="a check shortens a limit")
        try:
            async with self.down():
                with silent_service(self._governance.authentication_address):
                    yield
        finally:
            await self._declare(usual, note="a check takes back a limit")

    async def _declare(self, mesh: MeshPolicy, *, note: str) -> None:
        await self._governance.settled(await self._governance.commit(mesh, note=note))

    # ------------------------------------------------------------------ what counts for all services

    async def trust(self, *issuers: TokenAuthority) -> bool:
        """Tokens of these issuers count from now on, under the keys that each has now; False: not in time."""
        mesh = replace(self._governance.configuration.mesh, issuers=tuple(issuer.policy for issuer in issuers))
        version = await self._governance.commit(mesh, note="a check changes whose tokens count")
        # It concerns no security server, so none will acknowledge it.
        try:
            async with time_limit(self._mesh.timeouts.acknowledged):
                await self._governance.authentication.at_version(version)
        except TimeoutError:
            return False
        return True

    async def forbid_calls(self, member: str, service: str) -> bool:
        """The applications of a member may not address a service from now on; False: not in time.

        The authentication service knows it then, and the security servers have acknowledged what they were told.
        """
        policy: MemberPolicy = self._governance.configuration.members[member]
        rest = tuple(each for each in policy.calls if each != service)
        version = await self._governance.commit(replace(policy, calls=rest), note="a check forbids calls")
        return (await self._governance.settled(version)).acknowledged

    async def log_text(self, exchange: Exchange) -> str | None:
        """The whole decision log as it stands on disk; None if it does not hold the decisions about a call yet."""
        text = await asyncio.to_thread(self._governance.decision_log.read_text, "utf-8")
        return text if (exchange.header(REQUEST_ID) or "nobody") in text else None
