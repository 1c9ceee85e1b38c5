"""How all checks of callers are judged: a known caller, the one that must be refused, and the known caller again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from conformance.probe import EvidenceKind, Introduction, Probe

__all__ = ["EVIDENCE", "INCONCLUSIVE", "Refusal", "fails", "judge_refusal", "keeps_silent", "spoken"]

EVIDENCE = ["known caller", "refused caller", "listener statistics", "requests let through"]
INCONCLUSIVE = {
    "known-caller-refused": "A member of the mesh with a good certificate is received and served by the witness.",
    "known-caller-refused-afterwards": "The same member is still served after the other one was refused.",
}
LISTENER = "listener.inbound."
HANDSHAKE = f"{LISTENER}ssl.handshake"
# How the accounts of Envoy 1.36 end, and those of 1.37 when a name was not accepted.
SILENCE = ("CERTIFICATE VERIFY FAILED:TLS error end", "verify cert failed: SAN matcher:TLS error end")
OUTCOMES = r"^listener[.]inbound[.](ssl[.](handshake|connection_error|fail_.*)|no_filter_chain_match)$"


@dataclass(frozen=True)
class Refusal:
    """How a security server accounts for a refusal.

    Attributes:
        reason: stands in the access log's account of the connection.
        alert: what the client is told (RFC 8446 section 6.2); it decides where the log keeps silent about the reason.
        counters: the listener's counters of failures (Envoy documentation: "TLS statistics"), one of which must grow by
            one, and no other.

    """

    reason: str
    alert: str
    counters: tuple[str, ...]

    def given(self, refused: Introduction) -> bool:
        """The security server says so, as clearly as its version says anything."""
        said = spoken(refused.server_reason)
        return self.reason in said or (keeps_silent(said) and self.alert in (refused.alert or ""))


def spoken(account: object) -> str:
    """What Envoy wrote about a failed handshake, with spaces where it puts underscores."""
    return str(account or "").replace("_", " ")


def keeps_silent(said: str) -> bool:
    """An Envoy wrote this that never says why it did not accept a certificate: 1.36, or 1.37 about names."""
    return said.endswith(SILENCE)


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
    known = await probe.door.introduce()
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

    again = await probe.door.introduce()
    probe.require("known-caller-refused-afterwards", again.status == 200, seen=again.summary)

    failures = {name.removeprefix(LISTENER): count for name, count in grown.items() if name != HANDSHAKE}
    fits = refusal.given(refused) and any(failures == {counter: 1} for counter in refusal.counters)
    seen = f"access log: {spoken(refused.server_reason) or 'nothing'}; statistics: {grown or 'unchanged'}"
    probe.expect("wrong-reason", fits, seen=seen)
