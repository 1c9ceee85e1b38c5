"""Callers whom nobody can name, or whom nobody invited: only members of the mesh get in."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.mtls.refusal import EVIDENCE, INCONCLUSIVE, Refusal, fails, judge_refusal
from conformance.probe import CredentialKind, Feature, Probe


@check(
    id="MTLS-001",
    title="A caller without a certificate is refused",
    proves=["MTLS-R1"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller without a certificate", "no certificate was shown"),
    inconclusive=INCONCLUSIVE,
    remedy="Set require_client_certificate on the listener for peers and give its TLS context a validation "
    "context that holds the mesh's authorities (trusted_ca) and the members' names. Look for an "
    "overlay or a further filter chain that takes one of them away.",
)
async def refuses_anonymous_caller(probe: Probe) -> None:
    """A caller that nobody can name cannot be held to account, so its call dies in the handshake.

    A client that trusts the mesh but shows no certificate connects to the subject's security server, listens for the
    alert and, should it be accepted, sends a request. TLS 1.3 answers `certificate_required` (RFC 8446 section 6.2);
    Envoy counts `fail_verify_no_cert`. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal("PEER DID NOT RETURN A CERTIFICATE", "CERTIFICATE_REQUIRED", ("ssl.fail_verify_no_cert",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.NONE), refusal)


@check(
    id="MTLS-005",
    title="A caller whose identity is outside the allowed set is refused",
    proves=["MTLS-R5"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller whose identity nobody allowed", "the certificate names an identity outside the allowed set"),
    inconclusive=INCONCLUSIVE,
    remedy="List the members' identities in match_typed_subject_alt_names of the validation context for "
    "callers, each with san_type URI and an exact matcher: no list, or a prefix such as the whole "
    "trust domain, admits everybody whom the authority has ever certified.",
)
async def refuses_stranger(probe: Probe) -> None:
    """A certificate says who somebody is, not that he is invited: an authority signs for many who are no members.

    A client shows a certificate of the mesh's own authority, valid in every way, whose SPIFFE id is that of no member
    (GovStack IM 1.1.1 section 7.1; SPIFFE X.509-SVID section 5). Envoy counts `fail_verify_san`, and its access log
    repeats the name that it did not accept. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal(f"certificate SANs are [{probe.stranger}", "CERTIFICATE_UNKNOWN", ("ssl.fail_verify_san",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.STRANGER), refusal)


@check(
    id="MTLS-006",
    title="A caller whose certificate names nobody is refused",
    proves=["MTLS-R6"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller whose certificate names nobody", "the certificate holds no identity"),
    inconclusive=INCONCLUSIVE,
    remedy="Give the validation context for callers a match_typed_subject_alt_names with the members' exact "
    "URIs: as long as no name is compared, a certificate without any is as good as a member's. Then "
    "see why the authority signs certificates without a name.",
)
async def refuses_nameless_caller(probe: Probe) -> None:
    """A certificate without a name proves only that its authority signed something.

    A client shows a certificate of the mesh's own authority that has no subject alternative name at all (RFC 5280
    section 4.2.1.6; SPIFFE X.509-SVID section 2 asks for exactly one URI). Envoy counts `fail_verify_san`, and its
    access log shows the empty list of names. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal("certificate SANs are []", "CERTIFICATE_UNKNOWN", ("ssl.fail_verify_san",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.WITHOUT_IDENTITY), refusal)
