"""Credentials that must be refused. Each is bad for one reason, which its function names, and good otherwise.

All take the trust domain that the refusing side trusts, and the path of an identity that would be let in. For a wrong
identity there is nothing here: issue any other one.
"""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from conformance.pki.authority import new_key
from conformance.pki.certificates import CLIENT_AND_SERVER, Validity, workload_certificate
from conformance.pki.credential import Credential
from conformance.pki.trust_domain import WORKLOAD_LIFE, TrustDomain

__all__ = [
    "beyond_path_length",
    "expired",
    "not_yet_valid",
    "of_unknown_authority",
    "revoked",
    "self_signed",
    "server_only",
    "signed_by_non_authority",
    "without_identity",
]

AN_HOUR = timedelta(hours=1)


def of_unknown_authority(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Issued by a stranger whose authorities bear the very names of the trusted ones, but other keys."""
    return TrustDomain(trust_domain.name, clock=trust_domain.clock).issue(identity_path)


def expired(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Good for an hour, until an hour ago."""
    now = trust_domain.now()
    validity = Validity(now - 2 * AN_HOUR, now - AN_HOUR)
    return trust_domain.issuing_authority.issue(trust_domain.names(identity_path), validity)


def not_yet_valid(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Good for an hour, from an hour ahead."""
    now = trust_domain.now()
    validity = Validity(now + AN_HOUR, now + 2 * AN_HOUR)
    return trust_domain.issuing_authority.issue(trust_domain.names(identity_path), validity)


def without_identity(trust_domain: TrustDomain) -> Credential:
    """No subject alternative name at all: it names nobody."""
    return trust_domain.issuing_authority.issue([], trust_domain.from_now(WORKLOAD_LIFE))


def server_only(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Its extended key usage allows servers only; as a client's it must be refused (RFC 5280, section 4.2.1.12)."""
    return trust_domain.issuing_authority.issue(
        trust_domain.names(identity_path),
        trust_domain.from_now(WORKLOAD_LIFE),
        usages=[ExtendedKeyUsageOID.SERVER_AUTH],
    )


def revoked(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Taken back at once: refused by everybody who has the trust domain's `crl_pem` as it is afterwards."""
    credential = trust_domain.issue(identity_path)
    trust_domain.revoke(credential)
    return credential


def signed_by_non_authority(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Its issuer has the key usage of an authority, but its basic constraints say that it is none (RFC 5280, 6.1.4 k).

    The issuer's key usage is left as it should be, because without it a verifier finds no issuer at all, and the
    refusal would look like that of an unknown authority.
    """
    impostor = trust_domain.issuing_authority.subordinate(
        "no authority", constraints=x509.BasicConstraints(ca=False, path_length=None)
    )
    return impostor.issue(trust_domain.names(identity_path), trust_domain.from_now(WORKLOAD_LIFE))


def beyond_path_length(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Issued by an authority below the issuing one, which may have none below it (RFC 5280, section 6.1.4 l)."""
    authority = trust_domain.issuing_authority.subordinate("beyond the path length")
    return authority.issue(trust_domain.names(identity_path), trust_domain.from_now(WORKLOAD_LIFE))


def self_signed(trust_domain: TrustDomain, identity_path: str) -> Credential:
    """Nobody vouches for it but itself."""
    key = new_key()
    builder = workload_certificate(
        trust_domain.name,
        key.public_key(),
        trust_domain.names(identity_path),
        trust_domain.from_now(WORKLOAD_LIFE),
        CLIENT_AND_SERVER,
        issuer=None,
    ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    return Credential((builder.sign(key, SHA256()),), key)
