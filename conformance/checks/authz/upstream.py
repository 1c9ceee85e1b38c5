"""The caller's side of a call: who it proves to be, to whom, and which services it may address at all."""

from __future__ import annotations

from conformance.checks.authz.seeing import see
from conformance.checks.catalogue import check
from conformance.probe import CALLER, WITNESS, CredentialKind, EvidenceKind, Exchange, Feature, LogLine, Probe

PATH = "/entrusted"
IMPOSTER = "imposter-upstream"
NO_WAY = {"NR", "NC"}
"""Flags of a call for which there was no route, or no cluster, yet (Envoy documentation: "Access logging")."""


async def led_to_imposter(probe: Probe) -> tuple[Exchange, LogLine, int] | None:
    """A call that was led to an upstream under another identity, its line, and how much the upstream was given."""

    async def led_there() -> tuple[Exchange, LogLine] | None:
        exchange = await probe.call(PATH, service=IMPOSTER)
        line = await probe.line(exchange, CALLER)
        return (exchange, line) if line and line.get("flags") not in NO_WAY else None

    async with probe.door.imposter(CredentialKind.STRANGER, IMPOSTER) as imposter:
        led: tuple[Exchange, LogLine] | None = await probe.eventually(
            led_there, what=f"a call is led to {IMPOSTER}", timeout=probe.timeouts.enforced
        )
        return (*led, imposter.bytes_entrusted) if led else None


@check(
    id="AUTHZ-011",
    title="The caller's side proves its own identity, and entrusts a call only to the one that its policy names",
    proves=["AUTHZ-R12"],
    needs=[Feature.AUTHORIZATION, Feature.MTLS],
    evidence=["entrusted call", "other upstream", "service taken from the member"],
    fails={
        "own-identity-not-proved": "The provider's security server sees the identity of the caller's, whatever the "
        "application says, and so does the authentication service.",
        "upstream-identity-not-seen": "The caller's access log names the identity that the upstream proved, the one "
        "that the policy expects.",
        "entrusted-too-early": "Not a byte of a call goes to an upstream that has proved another identity.",
        "unlisted-call-forwarded": "A call for a service that the member's policy does not list stays at its own "
        "security server.",
    },
    inconclusive={
        "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
        "known-caller-refused": "A call of the application is served by the witness.",
        "imposter-not-addressed": "Calls to a service whose security server is an imposter are led to the imposter.",
    },
    remedy="In the TLS context of the caller's clusters set its own certificate and the peer's exact URI in "
    "match_typed_subject_alt_names; render routes only for services in `calls` of the member's policy. The access log "
    "needs %UPSTREAM_PEER_URI_SAN%.",
)
async def entrusts_calls_only_to_the_expected(probe: Probe) -> None:
    """Both ends answer for a call: the provider must know who sends it, the caller must know who reads it.

    The calling application calls the witness. The provider's access log, the authentication service and the
    building block's own headers must name the caller's security server; the caller's access log must name the
    provider's. Then a service is addressed behind which somebody else stands, with a good certificate under another
    name: he counts what he is given. At last the member's policy loses the witness, and nothing may leave any more.
    """
    in_force = await probe.put_in_force(probe.policy().changed(authentication=True))
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    exchange = await probe.call(PATH)
    there, here = await see(probe, "entrusted call", exchange), await see(probe, "entrusted call", exchange, CALLER)
    observed = there.to_json() | {"access_log": [dict(here.line), dict(there.line)]}
    probe.record("entrusted call", EvidenceKind.EXCHANGE, observed)
    probe.require("known-caller-refused", exchange.status == 200, seen=there.summary)

    led = await led_to_imposter(probe)
    if led is not None:
        entrusted = led[2]
        probe.record("other upstream", EvidenceKind.EXCHANGE, led[0].to_json() | {"bytes_entrusted": entrusted})
    probe.require("imposter-not-addressed", led, seen="no call was led to the other upstream")

    await probe.authentication.forbid_calls(CALLER, WITNESS)
    unlisted = await see(probe, "unlisted call", await probe.call(PATH), CALLER)
    probe.record("service taken from the member", EvidenceKind.EXCHANGE, unlisted.to_json())

    own, expected = probe.identity(CALLER), probe.identity(probe.subject.name)
    proved = {str(there.line.get("caller")), *(each.caller for each in there.decisions)}
    probe.expect("own-identity-not-proved", proved == {own}, seen=f"seen as {', '.join(sorted(proved))}")
    upstream = here.line.get("upstream_identity")
    probe.expect("upstream-identity-not-seen", upstream == expected, seen=f"access log: {upstream or 'nobody'}")
    probe.expect("entrusted-too-early", entrusted == 0, seen=f"{entrusted} bytes were sent to another upstream")
    left = unlisted.line.get("upstream_host") or unlisted.arrivals
    probe.expect("unlisted-call-forwarded", not left, seen=unlisted.summary)
