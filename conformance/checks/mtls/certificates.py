"""Callers whose certificates are no good (any more): a member's name alone opens no door."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.mtls.refusal import EVIDENCE, INCONCLUSIVE, Refusal, fails, judge_refusal
from conformance.probe import CredentialKind, Feature, Probe


@check(
    id="MTLS-002",
    title="A caller whose certificate comes from an unknown authority is refused",
    proves=["MTLS-R2"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller certified by an unknown authority", "it does not trust the authority behind the certificate"),
    inconclusive=INCONCLUSIVE,
    remedy="Let trusted_ca in the validation context of the listener for peers hold the mesh's own "
    "authorities and no others, and leave trust_chain_verification at VERIFY_TRUST_CHAIN: "
    "ACCEPT_UNTRUSTED takes anybody's signature.",
)
async def refuses_unknown_authority(probe: Probe) -> None:
    """Anybody can found an authority and certify any name; what counts is who is trusted.

    A client shows a member's name, signed by an authority that bears the very names of the mesh's authorities but has
    other keys, so that only the signature tells them apart (RFC 5280 section 6.1; GovStack IM 1.1.1 section 7.2.1). The
    access log must say that no trusted issuer was found. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal("unable to get local issuer certificate", "UNKNOWN_CA", ("ssl.fail_verify_error",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.UNKNOWN_AUTHORITY), refusal)


@check(
    id="MTLS-003",
    title="A caller whose certificate has expired is refused",
    proves=["MTLS-R3"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller whose certificate has expired", "the certificate has expired"),
    inconclusive=INCONCLUSIVE,
    remedy="Take allow_expired_certificate and trust_chain_verification: ACCEPT_UNTRUSTED out of the "
    "validation context of the listener for peers, and see that the clock of the security server's "
    "machine is not slow.",
)
async def refuses_expired_certificate(probe: Probe) -> None:
    """Expiry bounds what a stolen key is worth, but only where it is enforced.

    A client shows a member's certificate that was good for an hour, until an hour ago (RFC 5280 sections 4.1.2.5 and
    6.1). The access log must name the expiry. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal("certificate has expired", "CERTIFICATE_EXPIRED", ("ssl.fail_verify_error",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.EXPIRED), refusal)


@check(
    id="MTLS-004",
    title="A caller whose certificate is not valid yet is refused",
    proves=["MTLS-R4"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller whose certificate is not valid yet", "the certificate is not valid yet"),
    inconclusive=INCONCLUSIVE,
    remedy="Take allow_expired_certificate (it waives both dates) and trust_chain_verification: "
    "ACCEPT_UNTRUSTED out of the validation context of the listener for peers, and see that the clock "
    "of the security server's machine is not fast.",
)
async def refuses_future_certificate(probe: Probe) -> None:
    """A certificate for later, such as one made in advance for a rotation, is no certificate for now.

    A client shows a member's certificate that will be good from an hour ahead (RFC 5280 sections 4.1.2.5 and 6.1). The
    access log must say that it is not valid yet. A member of the mesh is served before and afterwards.
    """
    refusal = Refusal("certificate is not yet valid", "CERTIFICATE_EXPIRED", ("ssl.fail_verify_error",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.NOT_YET_VALID), refusal)


@check(
    id="MTLS-010",
    title="A caller whose certificate was revoked is refused on new connections",
    proves=["MTLS-R8"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller whose certificate was revoked", "its revocation list names the certificate"),
    inconclusive=INCONCLUSIVE,
    remedy="Put the authority's current revocation list into crl of the validation context for callers (one "
    "list for each authority of the chain, or set only_verify_leaf_cert_crl), and disable session "
    "resumption on the listener for peers: a ticket outlives the revocation.",
)
async def refuses_revoked_certificate(probe: Probe) -> None:
    """A key that got lost must be worth nothing from the moment in which its loss is known, not only after it expires.

    A member's certificate, good in every other way, is put on the revocation list (RFC 5280 section 6.3); once the
    security servers have acknowledged the new list, a client shows it. The access log must name the revocation.
    Another certificate of the same member is served before and afterwards.
    """
    refusal = Refusal("certificate revoked", "CERTIFICATE_REVOKED", ("ssl.fail_verify_error",))
    await judge_refusal(probe, lambda: probe.door.introduce(CredentialKind.REVOKED), refusal)
