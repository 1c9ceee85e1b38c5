"""A trust domain whose authority was made elsewhere, as that of an installation: it signs, and makes no lists.

Invariants: it signs for identities of its own trust domain only, and nothing that is good when its own certificate is
not; whatever it signs is vouched for by the roots that it was given with. There are no revocation lists, because those
of the authorities above it are for somebody else to make: what is signed is short-lived instead.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.pki.authority import Authority
from conformance.pki.certificates import Validity
from conformance.pki.credential import Credential
from conformance.pki.identity import trust_domain_in, trust_domain_of
from conformance.pki.trust_domain import CLOCK_TOLERANCE, Clock, now_utc

__all__ = ["GIVEN_LIFE", "GivenAuthority"]

GIVEN_LIFE: Final = timedelta(hours=24)
"""How long a certificate is good that such an authority signs."""


class GivenAuthority:
    """Signs workloads' certificates. `crl_pem` and `revocations` are as those of a `TrustDomain` without lists."""

    crl_pem = b""
    revocations = ""

    def __init__(self, certificate_pem: bytes, key_pem: bytes, roots_pem: bytes, *, clock: Clock = now_utc) -> None:
        """Take over an authority.

        Args:
            certificate_pem: its own certificate, then those of authorities between it and a root, if any.
            key_pem: its private key, without a password.
            roots_pem: the roots that everybody trusts.
            clock: tells the time.

        Raises:
            UsageError: these do not belong together, or are not what they should be.

        """
        chain = _certificates(certificate_pem, "the authority's certificate")
        roots = _certificates(roots_pem, "the roots")
        key = _key(key_pem)
        if key.public_key() != chain[0].public_key():
            raise UsageError(
                "the authority's key does not belong to its certificate", next_step="name the files of one authority"
            )
        if not _may_sign(chain[0]):
            raise UsageError(
                "the authority's certificate may not sign others",
                next_step="name the certificate of an authority (CA: true), not that of a workload",
            )
        name = trust_domain_in(chain[0])
        if name is None:
            raise UsageError(
                "the authority's certificate names no trust domain",
                next_step="make one that has spiffe://TRUST-DOMAIN as its only URI among its alternative names",
            )
        self.name = name
        self.bundle_pem = roots_pem
        self._clock = clock
        between = tuple(each for each in chain if each not in roots)
        _refuse_broken(between, roots)
        self._authority = Authority(name, chain[0], between, key)

    def issue(self, identity: str, *, valid: timedelta = GIVEN_LIFE) -> Credential:
        """A credential with a new key for a SPIFFE id, good for `valid` or as long as the authority is.

        Raises:
            UsageError: the identity is none of this trust domain.
            EnvironmentFault: the authority's own certificate is not good now.

        """
        if trust_domain_of(identity) != self.name:
            raise UsageError(
                f"{identity!r} is no identity of the trust domain {self.name}",
                next_step=f"give the member an identity that begins with spiffe://{self.name}/",
            )
        now = self._clock().replace(microsecond=0)
        own = self._authority.validity
        if not own.begins <= now < own.ends:
            raise EnvironmentFault(
                f"the authority's certificate is good for {own} only", next_step="give the control plane another one"
            )
        validity = Validity(max(own.begins, now - CLOCK_TOLERANCE), min(own.ends, now + valid))
        return self._authority.issue([x509.UniformResourceIdentifier(identity)], validity)


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as problem:
        raise UsageError(f"{what} cannot be read: {problem}", next_step="name a PEM file of certificates") from None


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The original message may quote the key.
        key = None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise UsageError(
            "the authority's key cannot be used",
            next_step="name a file with an EC or RSA private key in PEM, without a password",
        )
    return key


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _refuse_broken(chain: tuple[x509.Certificate, ...], roots: list[x509.Certificate]) -> None:
    for number, each in enumerate(chain):
        issuers = [chain[number + 1]] if number + 1 < len(chain) else roots
        if not any(_issued(issuer, each) for issuer in issuers):
            raise UsageError(
                "the roots do not vouch for the authority",
                detail=f"{each.subject.rfc4514_string()}: its issuer {each.issuer.rfc4514_string()} is missing",
                next_step="name roots that do, and put the authorities in between behind the authority's certificate",
            )


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
