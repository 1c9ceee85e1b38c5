"""A security server joins the mesh while callers already knock at the port where it is about to listen.

Invariants: they knock from before it is started until the end of the block, each over a fresh connection each time;
none of their calls is forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from conformance.mesh import CALLER, Mesh
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import AccessRule, Endpoint, ServicePolicy
from conformance.probe.access_log import AccessLog
from conformance.probe.exchange import Exchange, KeptConnection, new_nonce
from conformance.probe.traffic import WatchedCall
from conformance.subjects.ports import free_port
from conformance.system.deadlines import until

__all__ = ["NEWCOMER", "Joined", "Joining"]

NEWCOMER = "newcomer"
"""The security server that joins, and its service."""
ANSWERS = 5
"""For each caller: those that decide are the first ones."""


@dataclass
class Joined:
    """What the callers saw.

    Attributes:
        policy: of the newcomer's service; it lets the mesh's calling application through, and nobody else.
        calls: all of them, in the order of their ends; known when the block has ended.
        before: for each caller, how many of its calls had ended before the newcomer was started.

    """

    policy: ServicePolicy
    calls: list[WatchedCall] = field(default_factory=list)
    before: list[int] = field(default_factory=list)


class Joining:
    """Makes security servers join. Belongs to a probe."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @asynccontextmanager
    async def while_knocking(self, *callers: str) -> AsyncIterator[Joined]:
        """A security server joins before the witness, and these members knock at it until the end of the block.

        The block begins when the newcomer has answered each of them a few times, or does not in time.
        """
        mesh = self._mesh
        access = (AccessRule(caller=mesh.identity(CALLER)),)
        witness = (mesh.witness_endpoint.endpoint,)
        # Behind the witness, too, the rules are judged on their own.
        joined = Joined(ServicePolicy(NEWCOMER, endpoints=witness, access=access, authentication=False))
        site = mesh.sites.server(mesh.subject)
        door = Endpoint(site.address, free_port(site.address, site.tcp_socket))
        async with mesh.newcomer(joined.policy, port=door.port) as member:
            knocking = [_Knocking(mesh, caller, door) for caller in callers]
            tasks = [asyncio.create_task(each.go_on()) for each in knocking]
            try:
                await until(
                    lambda: all(each.ended > 1 for each in knocking),
                    what="everybody has knocked",
                    timeout=mesh.timeouts.request,
                )
                joined.before = [each.ended for each in knocking]
                await mesh.members.start(member)
                # A listener is told of before it accepts: that it does is seen by its answers only.
                with suppress(DeadlineExceeded):
                    await until(
                        lambda: all(each.answered >= ANSWERS for each in knocking),
                        what="the newcomer answers everybody who knocks",
                        timeout=mesh.timeouts.enforced,
                    )
                yield joined
            finally:
                for each in knocking:
                    each.over = True
                await asyncio.gather(*tasks)
            await self._watched(joined, knocking, AccessLog(member.running.access_log))

    async def _watched(self, joined: Joined, knocking: Sequence[_Knocking], log: AccessLog) -> None:
        answered = {each.nonce for knocker in knocking for each in knocker.exchanges if each.status is not None}
        # What is not there in time is missing in the calls, which the check judges.
        with suppress(DeadlineExceeded):
            await until(
                lambda: answered <= {line.get("nonce") for line in log.lines(kind="inbound")},
                what="every answered call is in the newcomer's access log",
                timeout=self._mesh.timeouts.observed,
            )
        lines = {line.get("nonce"): line for line in log.lines(kind="inbound")}
        arrivals = Counter(arrival.nonce for arrival in self._mesh.witness.arrivals)
        joined.calls += [
            WatchedCall(number, each, lines.get(each.nonce), arrivals[each.nonce])
            for number, knocker in enumerate(knocking)
            for each in knocker.exchanges
        ]


class _Knocking:
    """One caller, calling again and again, each time over a connection of its own."""

    def __init__(self, mesh: Mesh, caller: str, door: Endpoint) -> None:
        credential = mesh.trust_domain.issue(mesh.identity_path(caller))
        self._tls = credential.client_context(mesh.trust_domain.bundle_pem)
        self._door, self._timeout = door, mesh.timeouts.request
        self._here = mesh.sites.server(caller)
        self.exchanges: list[Exchange] = []
        self.over = False

    @property
    def ended(self) -> int:
        """How many calls have ended."""
        return len(self.exchanges)

    @property
    def answered(self) -> int:
        """How many of them with an answer."""
        return sum(each.status is not None for each in self.exchanges)

    async def go_on(self) -> None:
        """Until it is over; one call after the other."""
        while not self.over:
            async with KeptConnection(
                self._door, timeout=self._timeout, tls=self._tls, come_from=self._here
            ) as connection:
                call = connection.call(f"/{NEWCOMER}/knock", method="POST", nonce=new_nonce())
                self.exchanges.append(await call)
