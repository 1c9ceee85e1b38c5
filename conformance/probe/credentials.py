"""The kinds of certificates that a check can show at a security server's door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from conformance.model.errors import SuiteFault
from conformance.pki import Credential, TrustDomain, misfits

__all__ = ["STRANGER_PATH", "CredentialKind", "make_credential"]

STRANGER_PATH = "somebody/nobody-invited"
"""Path of the identity that a stranger's certificate names: of the trust domain, but no member of the mesh."""


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


MAKERS: Mapping[CredentialKind, Callable[[TrustDomain, str], Credential]] = {
    CredentialKind.MEMBER: TrustDomain.issue,
    CredentialKind.STRANGER: lambda trust_domain, _: trust_domain.issue(STRANGER_PATH),
    CredentialKind.UNKNOWN_AUTHORITY: misfits.of_unknown_authority,
    CredentialKind.EXPIRED: misfits.expired,
    CredentialKind.NOT_YET_VALID: misfits.not_yet_valid,
    CredentialKind.WITHOUT_IDENTITY: lambda trust_domain, _: misfits.without_identity(trust_domain),
    CredentialKind.REVOKED: misfits.revoked,
}


def make_credential(kind: CredentialKind, trust_domain: TrustDomain, identity_path: str) -> Credential:
    """A new credential of a kind. Except for what its kind says, it is that of the member with `identity_path`.

    A revoked one enters the trust domain's revocation list; the security servers still have to be told.

    Raises:
        SuiteFault: the kind is `NONE`.

    """
    if kind is CredentialKind.NONE:
        raise SuiteFault("there is no credential of the kind none", next_step="show no certificate instead")
    return MAKERS[kind](trust_domain, identity_path)
