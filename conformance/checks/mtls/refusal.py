"""How all checks of callers are judged: a known caller, the one that must be refused, and the known caller again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from conformance.probe import EvidenceKind, Introduction, Probe

__all__ = ["EVIDENCE", "INCONCLUSIVE", "Refusal", "fails", "judge_refusal"]

EVIDENCE = ["known caller", "refused caller", "listener statistics", "requests let through"]
INCONCLUSIVE = {
    "known-caller-refused": "A member of the mesh with a good certificate is received and served by the witness.",
    "known-caller-refused-afterwards": "The same member is still served after the other one was refused.",
}
LISTENER = "listener.inbound."
HANDSHAKE = f"{LISTENER}ssl.handshake"
OUTCOMES = r"^listener[.]inbound[.](ssl[.](handshake|connection_error|fail_.*)|no_filter_chain_match)$"


@dataclass(frozen=True)
class Refusal:
    """How a security server accounts for a refusal.

    Attributes:
        reason: stands in the access log's account of the connection, with spaces where Envoy writes underscores.
        counters: the listener's counters of failures (Envoy documentation: "TLS statistics"), one of which must grow by
            one, and no other.

    """

    reason: str
    counters: tuple[str, ...]


def fails(who: str, why: str) -> dict[str, str]:
    """The reasons that all refusals share."""
    return {
        "caller-accepted": f"{who} is refused in the handshake, and nothing that it sends reaches the application.",
        "wrong-reason": f"The security server refuses because {why}, and says so in its access log and statistics.",
    }


async def judge_refusal(probe: Probe, knock: Callable[[], Awaitable[Introduction]], refusal: Refusal) -> None:
    """Let the known caller in, let the other one knock, and let the known caller in again.

    That the other one got in is judged at once; that it was refused counts only if the known one is still served.
    """
    known = await probe.introduce()
    probe.record("known caller", EvidenceKind.HANDSHAKE, known.to_json())
    probe.require("known-caller-refused", known.status == 200, seen=known.summary)

    before = await probe.statistics(OUTCOMES)

    async def growth() -> dict[str, int]:
        after = await probe.statistics(OUTCOMES)
        return {name: value - before.get(name, 0) for name, value in after.items() if value > before.get(name, 0)}

    refused = await knock()
    probe.record("refused caller", EvidenceKind.HANDSHAKE, refused.to_json())
    if refused.accepted:
        grown = await growth()
    else:
        grown = await probe.eventually(growth, what="the listener counts the connection") or {}
    probe.record("listener statistics", EvidenceKind.STATISTICS, grown)
    arrivals = probe.arrivals(refused.nonce)
    probe.record("requests let through", EvidenceKind.ARRIVALS, {"count": len(arrivals)})

    let_in = refused.accepted or refused.status is not None or arrivals
    seen = f"{refused.summary}; {len(arrivals)} requests reached the application"
    probe.expect("caller-accepted", not let_in, seen=seen)

    again = await probe.introduce()
    probe.require("known-caller-refused-afterwards", again.status == 200, seen=again.summary)

    said = refused.server_reason.replace("_", " ")
    failures = {name.removeprefix(LISTENER): count for name, count in grown.items() if name != HANDSHAKE}
    fits = refusal.reason in said and any(failures == {counter: 1} for counter in refusal.counters)
    probe.expect("wrong-reason", fits, seen=f"access log: {said or 'nothing'}; statistics: {grown or 'unchanged'}")
