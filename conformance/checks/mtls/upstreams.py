"""Upstreams at the other end: the caller's security server entrusts a call only to the one that it was sent to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.checks.catalogue import check
from conformance.checks.mtls.refusal import keeps_silent, spoken
from conformance.probe import CALLER, CredentialKind, EvidenceKind, Exchange, Feature, LogLine, Probe

HONEST = "/honest"
NO_WAY = {"NR", "NC"}
"""Flags of a call for which there was no route, or no cluster, yet (Envoy documentation: "Access logging")."""
IMPOSTERS = {
    CredentialKind.STRANGER: "wrong identity",
    CredentialKind.UNKNOWN_AUTHORITY: "unknown authority",
    CredentialKind.EXPIRED: "expired certificate",
}


@dataclass(frozen=True)
class Encounter:
    """What became of one call that was led to an imposter."""

    who: str
    status: int | None
    entrusted: int
    reason: str
    statistics: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "status": self.status,
            "bytes_entrusted": self.entrusted,
            "upstream_failure": self.reason,
            "statistics": self.statistics,
        }

    def refused_for(self, counter: str, reason: str) -> bool:
        """The caller's security server says this, if it says anything, and counts nothing else."""
        return (reason in self.reason or keeps_silent(self.reason)) and self.statistics == {counter: 1}


async def meet(probe: Probe, kind: CredentialKind) -> Encounter | None:
    """Call a service whose security server is an imposter, until a call is led there; None if none ever is."""
    service = f"imposter-{kind}"

    async def led_there() -> tuple[Exchange, LogLine] | None:
        exchange = await probe.call(service=service)
        line = await probe.line(exchange, CALLER)
        return (exchange, line) if line and line.get("flags") not in NO_WAY else None

    async with probe.door.imposter(kind, service) as imposter:
        led: tuple[Exchange, LogLine] | None = await probe.eventually(
            led_there, what=f"a call is led to {service}", timeout=probe.timeouts.enforced
        )
        if led is None:
            return None
        exchange, line = led
        prefix = f"cluster.peer-{service}.ssl."
        failures = await probe.statistics(rf"^{prefix}(handshake|connection_error|fail_.*)$", CALLER)
        return Encounter(
            who=IMPOSTERS[kind],
            status=exchange.status,
            entrusted=imposter.bytes_entrusted,
            reason=spoken(line.get("upstream_failure")),
            statistics={name.removeprefix(prefix): value for name, value in failures.items() if value},
        )


@check(
    id="MTLS-009",
    title="The caller's security server sends nothing to an upstream that cannot prove who it is",
    proves=["MTLS-R14", "MTLS-R15", "MTLS-R16"],
    needs=[Feature.MTLS],
    evidence=["honest upstream", *IMPOSTERS.values()],
    fails={
        "call-entrusted": "Not a byte of a call reaches an upstream that has not proved the expected identity.",
        "wrong-reason": "The caller's security server refuses each upstream for what is wrong with its certificate, "
        "and says so in its access log and statistics.",
        "wrong-status": "The calling application is told 503 when the upstream was refused.",
    },
    inconclusive={
        "honest-upstream-not-reached": "A call to the witness behind an honest security server is answered.",
        "imposter-not-addressed": "Calls to a service whose security server is an imposter are led to the imposter.",
        "honest-upstream-not-reached-afterwards": "The same call is still answered after the imposters were refused.",
    },
    remedy="In the TLS context of the caller's cluster for the peer, set trusted_ca and the peer's exact URI "
    "in match_typed_subject_alt_names, without ACCEPT_UNTRUSTED and allow_expired_certificate: with "
    "no validation context Envoy trusts any certificate. Leave its 503 as it is.",
)
async def refuses_imposters_upstream(probe: Probe) -> None:
    """Who can answer in somebody's place reads every call to him; so the caller's side must ask for proof, too.

    The calling application calls three services whose address leads to an imposter: a TLS server whose certificate
    names somebody else (SPIFFE X.509-SVID section 5), was signed by an unknown authority with the right names (RFC 5280
    section 6.1), or expired an hour ago (RFC 5280 section 4.1.2.5). The imposter counts the bytes that it is
    entrusted with. Envoy counts `fail_verify_san` or `fail_verify_error` (Envoy documentation: "TLS"). The witness
    answers before and afterwards.
    """
    honest = await probe.call(HONEST)
    probe.record_exchange("honest upstream", honest)
    probe.require("honest-upstream-not-reached", honest.status == 200, seen=honest.summary)

    met: dict[CredentialKind, Encounter] = {}
    for kind, who in IMPOSTERS.items():
        if encounter := await meet(probe, kind):
            met[kind] = encounter
            probe.record(who, EvidenceKind.HANDSHAKE, encounter.to_json())
        probe.require("imposter-not-addressed", encounter, seen=f"no call was led to the upstream with {who}")
    for encounter in met.values():
        seen = f"{encounter.entrusted} bytes were sent to the upstream with {encounter.who}"
        probe.expect("call-entrusted", encounter.entrusted == 0, seen=seen)

    again = await probe.call(HONEST)
    probe.require("honest-upstream-not-reached-afterwards", again.status == 200, seen=again.summary)

    reasons = {
        CredentialKind.STRANGER: ("fail_verify_san", f"certificate SANs are [{probe.stranger}"),
        CredentialKind.UNKNOWN_AUTHORITY: ("fail_verify_error", "unable to get local issuer certificate"),
        CredentialKind.EXPIRED: ("fail_verify_error", "certificate has expired"),
    }
    for kind, (counter, reason) in reasons.items():
        seen = f"{met[kind].who}: access log: {met[kind].reason or 'nothing'}; statistics: {met[kind].statistics}"
        probe.expect("wrong-reason", met[kind].refused_for(counter, reason), seen=seen)
    for encounter in met.values():
        seen = f"answered {encounter.status} for the upstream with {encounter.who}"
        probe.expect("wrong-status", encounter.status == 503, seen=seen)
