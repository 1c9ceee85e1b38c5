"""Connections that were open before a change: the changed policy counts for them, too."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from conformance.checks.catalogue import check
from conformance.model.policy import ServicePolicy
from conformance.probe import BYSTANDER, CALLER, EvidenceKind, Exchange, Feature, KeptConnection, Probe

BEFORE, DENIED, GRANTED = "calls before", "calls after the denial", "calls after the grant"


@dataclass(frozen=True)
class Used:
    """One call over a connection that was open before.

    Attributes:
        way: how the caller came to the subject's security server.
        still_open: the call went over the very connection of before; else it had been closed meanwhile.
        details: why the call was answered like that, in the words of the security server.
        arrivals: how often it reached the application.

    """

    way: str
    exchange: Exchange
    still_open: bool
    details: str
    arrivals: int

    @property
    def refused(self) -> bool:
        """The access rules refused it, or the connection was closed under it."""
        by_rules = self.exchange.status == 403 and self.details.startswith("rbac_access_denied")
        return not self.arrivals and (by_rules or self.exchange.status is None)

    @property
    def words(self) -> str:
        """In a few words."""
        which = "on the open connection" if self.still_open else "on a new connection"
        return f"{self.way}, {which}: {self.exchange.summary} {self.details}".rstrip()


async def use(
    probe: Probe, name: str, ways: Mapping[str, KeptConnection], earlier: Mapping[str, int | None]
) -> list[Used]:
    """Call once over each connection; goes into evidence under `name`."""
    used = []
    for way, connection in ways.items():
        exchange = await probe.call(connection=connection)
        line = await probe.line(exchange) if exchange.status is not None else None
        details = str(line.get("details", "")) if line else ""
        still_open = way in earlier and exchange.local_port == earlier[way]
        used.append(Used(way, exchange, still_open, details, len(probe.arrivals(exchange.nonce))))
    probe.record(
        name, EvidenceKind.EXCHANGE, {each.way: {"seen": each.words, **each.exchange.to_json()} for each in used}
    )
    return used


async def comes_in_force(probe: Probe, policy: ServicePolicy) -> bool:
    """Apply it and wait until it decides about calls on new connections."""

    async def knock() -> Exchange:
        async with probe.peer_connection() as fresh:
            return await probe.call(connection=fresh)

    await probe.apply(policy)
    return await probe.first_decided_by(policy, knock) is not None


@check(
    id="POLICY-003",
    title="A changed policy counts for connections that were open before",
    proves=["POLICY-R3"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[BEFORE, DENIED, GRANTED],
    fails={
        "still-let-through": "No call reaches the application over a connection opened before its caller lost access.",
        "wrong-refusal": "Each of these calls is refused with 403 by the access rules, or its connection is closed.",
        "still-refused": "Over each of these connections the caller is served again once it has access again.",
    },
    inconclusive={
        "caller-refused": "The caller is served over each connection before the change.",
        "change-not-in-force": "The changed policies come to decide calls on new connections.",
    },
    remedy="Keep access rules in the routes (RBACPerRoute), which count for every call; those in a listener "
    "spare the connections that it has accepted. If callers stay refused after a grant, look for "
    "connections that are closed, or a proxy that is restarted, and not replaced at once.",
)
async def applies_to_open_connections(probe: Probe) -> None:
    """Connections live for hours. Who was shut out must not go on over one opened before, nor wait for it to end.

    Three connections are opened and used: one to the caller's own security server, which keeps its connection to the
    subject's, and two straight to the subject's, over HTTP/1.1 and HTTP/2. Then the caller loses its access. As soon as
    the changed policy decides calls on new connections, each open one is used again; afterwards the same with a grant.
    (Rules that come with a listener spare the connections that it has accepted: Envoy documentation, "Draining".)
    """
    async with AsyncExitStack() as opened:
        ways = {
            "through the caller's security server": await opened.enter_async_context(probe.connection()),
            "straight, HTTP/1.1": await opened.enter_async_context(probe.peer_connection()),
            "straight, HTTP/2": await opened.enter_async_context(probe.peer_connection(http2=True)),
        }
        before = await use(probe, BEFORE, ways, {})
        seen = "; ".join(each.words for each in before)
        probe.require("caller-refused", all(each.exchange.status == 200 for each in before), seen=seen)
        ports = {each.way: each.exchange.local_port for each in before}

        denied = probe.policy().changed(access=(probe.everything_for(BYSTANDER),))
        in_force = await comes_in_force(probe, denied)
        probe.require("change-not-in-force", in_force, seen="no call was decided by the policy that denies")
        after = await use(probe, DENIED, ways, ports)
        let_through = [each.words for each in after if each.arrivals]
        probe.expect("still-let-through", not let_through, seen="; ".join(let_through) or "none arrived")
        seen = "; ".join(each.words for each in after)
        probe.expect("wrong-refusal", all(each.refused for each in after), seen=seen)

        granted = denied.changed(access=(probe.everything_for(CALLER),))
        in_force = await comes_in_force(probe, granted)
        probe.require("change-not-in-force", in_force, seen="no call was decided by the policy that grants")
        again = await use(probe, GRANTED, ways, ports)
        refused = [each.words for each in again if each.exchange.status != 200]
        probe.expect("still-refused", not refused, seen="; ".join(refused) or "all were served")
