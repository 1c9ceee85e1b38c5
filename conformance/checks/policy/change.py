"""A change of policy under traffic, and what it did to the security server."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from conformance.model.policy import ServicePolicy
from conformance.probe import EvidenceKind, KeptConnection, Life, Probe, Propagation, WatchedCall

__all__ = ["Change", "change_under_traffic", "kept_out", "refused_by_rules", "words"]


@dataclass(frozen=True)
class Change:
    """What became of one change.

    Attributes:
        in_force: the security server decided a call by the changed policy.
        decided: all calls of the traffic that it decided.
        before, after: the life of the subject's security server.

    """

    in_force: bool
    decided: list[WatchedCall]
    before: Life
    after: Life

    @property
    def seen(self) -> str:
        """How the calls ended that it decided, in a few words."""
        return words(self.decided) if self.in_force else "no call was decided by it"


async def change_under_traffic(
    probe: Probe, policy: ServicePolicy, *connections: AbstractAsyncContextManager[KeptConnection]
) -> Change:
    """Change the policy while callers call on these connections before, during and after; all goes into evidence.

    The changed policy carries a version never used before, which every access-log line of a call decided by it repeats:
    so whatever is seen under that version has this change for its cause.
    """
    before = await probe.life()
    async with probe.steady_traffic(*connections) as traffic:
        await traffic.round()
        propagation = await probe.apply(policy)
        in_force = await traffic.decided_by(policy)
        await traffic.round()
    after = await probe.life()
    decided = traffic.calls(policy)
    probe.record("change", EvidenceKind.PROPAGATION, _shown(propagation))
    probe.record("traffic", EvidenceKind.ACCESS_LOG, traffic.to_json())
    first = {"access_log": dict(decided[0].line or {}), **decided[0].exchange.to_json()} if decided else {}
    probe.record("first call decided by the change", EvidenceKind.EXCHANGE, first)
    lives = {"before": before.to_json(), "after": after.to_json()}
    probe.record("life of the security server", EvidenceKind.STATISTICS, lives)
    return Change(in_force, decided, before, after)


def refused_by_rules(call: WatchedCall) -> bool:
    """The access rules refused it, and nobody else (Envoy documentation: "Role Based Access Control")."""
    return call.exchange.status == 403 and call.details.startswith("rbac_access_denied") and not call.arrivals


def kept_out(call: WatchedCall) -> bool:
    """The rules refused it, or its connection was closed before it was answered; it did not reach the application."""
    return refused_by_rules(call) or (call.exchange.status is None and not call.arrivals)


def words(calls: list[WatchedCall]) -> str:
    """How calls ended: each way once, with its number."""
    ways = [f"{call.exchange.status} {call.details}".strip() for call in calls]
    return "; ".join(f"{ways.count(way)} times {way}" for way in dict.fromkeys(ways)) or "no call"


def _shown(propagation: Propagation) -> dict[str, object]:
    return {
        "policy": propagation.policy,
        "concerned": list(propagation.servers),
        "unacknowledged": dict(propagation.unacknowledged),
        "rejected": dict(propagation.rejected),
    }
