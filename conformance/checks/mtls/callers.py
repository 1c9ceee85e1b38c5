"""Callers at the door of the subject's security server: only members of the mesh, with good certificates, get in."""

from __future__ import annotations

from ssl import TLSVersion

from conformance.checks.catalogue import check
from conformance.probe import CredentialKind, EvidenceKind, Feature, Introduction, Probe

EVIDENCE = ["known caller", "refused caller", "listener statistics", "requests let through"]
INCONCLUSIVE = {
    "known-caller-refused": "A member of the mesh with a good certificate is received and served by the witness.",
    "known-caller-refused-afterwards": "The same member is still served after the other one was refused.",
}


def fails(who: str, why: str) -> dict[str, str]:
    """The reasons that all refusals share."""
    return {
        "caller-accepted": f"{who} is refused in the handshake.",
        "request-forwarded": f"Nothing that {who.lower()} sends reaches the application behind the security server.",
        "wrong-reason": f"The security server refuses because {why}, and says so in its access log and statistics.",
    }


async def judge_refusal(
    probe: Probe, kind: CredentialKind | None, *, counter: str, reasons: tuple[str, ...], newest_tls: TLSVersion | None = None
) -> None:
    """Known caller, refused caller, known caller again.

    Args:
        probe: the check's probe.
        kind: the certificate shown; None: none at all.
        counter: the one among the listener's `ssl.` statistics (Envoy documentation, "TLS statistics") that must grow.
        reasons: one of these must be in the access log's account of the refusal.
        newest_tls: the newest version that the refused caller offers.

    """

    async def knock() -> Introduction:
        return await probe.introduce(kind, newest_tls=newest_tls) if newest_tls else await probe.introduce(kind)

    await judge_knock(probe, knock, counter=counter, reasons=reasons)


async def judge_knock(probe: Probe, knock, *, counter: str, reasons: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    """As `judge_refusal`, for any way to knock."""
    known = await probe.introduce()
    probe.record("known caller", EvidenceKind.HANDSHAKE, known.to_json())
    probe.require("known-caller-refused", known.status == 200, seen=known.summary)

    pattern = r"^listener\.inbound\.ssl\.(handshake|connection_error|fail_.*|no_certificate)$"
    before = await probe.statistics(pattern)
    refused: Introduction = await knock()
    probe.record("refused caller", EvidenceKind.HANDSHAKE, refused.to_json())

    name = f"listener.inbound.ssl.{counter}"

    async def counted() -> dict[str, int] | None:
        after = await probe.statistics(pattern)
        return after if after.get(name, 0) > before.get(name, 0) or refused.accepted else None

    after = await probe.eventually(counted, what=f"{name} grows") or await probe.statistics(pattern)
    grown = {each: value - before.get(each, 0) for each, value in after.items() if value != before.get(each, 0)}
    probe.record("listener statistics", EvidenceKind.STATISTICS, grown)
    arrivals = probe.arrivals(refused.nonce)
    probe.record("requests let through", EvidenceKind.ARRIVALS, {"count": len(arrivals)})

    probe.expect("request-forwarded", not arrivals, seen=f"{len(arrivals)} requests reached the application")
    probe.expect("caller-accepted", not refused.accepted and refused.status is None, seen=refused.summary)
    said = any(reason in refused.server_reason for reason in reasons)
    seen = f"access log: {refused.server_reason or 'nothing'}; statistics: {grown or 'unchanged'}"
    probe.expect("wrong-reason", said and grown.get(name, 0) > 0, seen=seen)

    again = await probe.introduce()
    probe.require("known-caller-refused-afterwards", again.status == 200, seen=again.summary)


@check(
    id="MTLS-001",
    title="A caller without a certificate is refused",
    proves=["MTLS-R1"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller without a certificate", "no certificate was shown"),
    inconclusive=INCONCLUSIVE,
)
async def refuses_anonymous_caller(probe: Probe) -> None:
    """A caller that nobody can name cannot be held to account, so its call dies in the handshake.

    A client that trusts the mesh but shows no certificate connects to the subject's security server, listens for the alert
    and, should it be accepted, sends a request. TLS 1.3 answers `certificate_required` (RFC 8446 section 6.2).
    """
    await judge_refusal(
        probe, None, counter="fail_verify_no_cert", reasons=("PEER_DID_NOT_RETURN_A_CERTIFICATE", "peer did not return")
    )
