"""Certificate authorities: they sign further authorities, workloads' certificates and revocation lists.

Invariant: no certificate is good when its authority is not, so no refusal is about dates by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from conformance.model.errors import SuiteFault
from conformance.pki.certificates import CLIENT_AND_SERVER, Validity, authority_certificate, workload_certificate
from conformance.pki.credential import Credential

__all__ = ["Authority", "new_key"]

ANY_NUMBER_BELOW: Final = x509.BasicConstraints(ca=True, path_length=None)
NONE_BELOW: Final = x509.BasicConstraints(ca=True, path_length=0)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key: what every TLS peer understands, and made in microseconds."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Authority:
    """Who signs. `chain` leads from its own certificate up to the root, which is left out: a root's is empty."""

    trust_domain: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    private_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(repr=False, compare=False)

    @classmethod
    def root(cls, trust_domain: str, common_name: str, validity: Validity) -> Authority:
        """A new root, signed by itself."""
        key = new_key()
        builder = authority_certificate(
            trust_domain, common_name, key.public_key(), validity, issuer=None, constraints=ANY_NUMBER_BELOW
        )
        return cls(trust_domain, builder.sign(key, SHA256()), (), key)

    def subordinate(self, common_name: str, *, constraints: x509.BasicConstraints = NONE_BELOW) -> Authority:
        """A new authority below this one, good for as long. By default it may sign workloads, but no authority."""
        key = new_key()
        builder = authority_certificate(
            self.trust_domain, common_name, key.public_key(), self.validity, issuer=self._name, constraints=constraints
        )
        certificate = self._sign(builder)
        return Authority(self.trust_domain, certificate, (certificate, *self.chain), key)

    @property
    def validity(self) -> Validity:
        """When this authority's own certificate is good."""
        return Validity(self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc)

    def issue(
        self,
        names: Sequence[x509.GeneralName],
        validity: Validity,
        usages: Sequence[x509.ObjectIdentifier] = CLIENT_AND_SERVER,
    ) -> Credential:
        """A new key and a certificate of it.

        Args:
            names: the subject alternative names; none leaves the extension out.
            validity: when the certificate is good.
            usages: the extended key usage.

        Raises:
            SuiteFault: the certificate would be good when this authority's is not.

        """
        if not self.validity.covers(validity):
            raise SuiteFault(
                f"a certificate for {validity} does not fit into its authority's {self.validity}",
                where=self.trust_domain,
                next_step="ask for a shorter life, or rotate the root first",
            )
        key = new_key()
        builder = workload_certificate(self.trust_domain, key.public_key(), names, validity, usages, issuer=self._name)
        return Credential((self._sign(builder), *self.chain), key)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this authority signed `certificate`."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, InvalidSignature):
            return False
        return True

    def revocation_list(
        self, revoked: Mapping[int, datetime], *, number: int, begins: datetime
    ) -> x509.CertificateRevocationList:
        """The certificates that this authority takes back; good for as long as the authority's own.

        Args:
            revoked: by serial number, when each was taken back.
            number: greater than that of every earlier list (RFC 5280, section 5.2.3).
            begins: from when the list is good.

        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(begins)
            .next_update(self.validity.ends)
            .add_extension(self._key_identifier, critical=False)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for serial, since in revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.private_key, SHA256())

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.add_extension(self._key_identifier, critical=False).sign(self.private_key, SHA256())

    @property
    def _name(self) -> x509.Name:
        return self.certificate.subject

    @property
    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:  # somebody else made this authority
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private_key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)
