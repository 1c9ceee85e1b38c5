"""The kinds of certificates that a check can show at a security server's door."""

from __future__ import annotations

from enum import StrEnum

from conformance.model.errors import SuiteFault
from conformance.pki import Credential, TrustDomain
from conformance.pki import misfits

__all__ = ["CredentialKind", "make_credential"]


class CredentialKind(StrEnum):
    """What is wrong with it; only `MEMBER` is good, and `NONE` is none at all."""

    NONE = "none"
    MEMBER = "member"
    STRANGER = "stranger"
    UNKNOWN_AUTHORITY = "unknown-authority"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WITHOUT_IDENTITY = "without-identity"
    REVOKED = "revoked"


def make_credential(kind: CredentialKind, trust_domain: TrustDomain, identity_path: str) -> Credential:
    """A new credential of a kind. Except for what its kind says, it is that of the member with `identity_path`.

    A revoked one enters the trust domain's revocation list; the security servers still have to be told.

    Raises:
        SuiteFault: the kind is `NONE`.

    """
    match kind:
        case CredentialKind.NONE:
            raise SuiteFault("there is no credential of the kind none", next_step="show no certificate instead")
        case CredentialKind.MEMBER:
            return trust_domain.issue(identity_path)
        case CredentialKind.STRANGER:
            return trust_domain.issue("somebody/nobody-invited")
        case CredentialKind.UNKNOWN_AUTHORITY:
            return misfits.of_unknown_authority(trust_domain, identity_path)
        case CredentialKind.EXPIRED:
            return misfits.expired(trust_domain, identity_path)
        case CredentialKind.NOT_YET_VALID:
            return misfits.not_yet_valid(trust_domain, identity_path)
        case CredentialKind.WITHOUT_IDENTITY:
            return misfits.without_identity(trust_domain)
        case CredentialKind.REVOKED:
            return misfits.revoked(trust_domain, identity_path)
