"""What stands in a certificate: the two profiles of the SPIFFE standard "X509-SVID" (sections 3 and 4), unsigned.

Every certificate is complete by RFC 5280 and by SPIFFE unless a caller names the one thing that shall differ, so that a
bad certificate is bad for one reason only. Whoever signs adds its key identifier and the signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from conformance.pki.identity import trust_domain_id

__all__ = ["CLIENT_AND_SERVER", "Validity", "authority_certificate", "workload_certificate"]

CLIENT_AND_SERVER: Final = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
"""The purposes of a workload's key. SPIFFE wants both or none."""


@dataclass(frozen=True)
class Validity:
    """When a certificate is good, both ends included; times carry their zone."""

    begins: datetime
    ends: datetime

    def covers(self, other: Validity) -> bool:
        """Whether all of `other` lies within."""
        return self.begins <= other.begins and other.ends <= self.ends

    def __str__(self) -> str:
        return f"{self.begins.isoformat()} to {self.ends.isoformat()}"


def authority_certificate(
    trust_domain: str,
    common_name: str,
    key: ec.EllipticCurvePublicKey,
    validity: Validity,
    *,
    issuer: x509.Name | None,
    constraints: x509.BasicConstraints,
) -> x509.CertificateBuilder:
    """An authority's certificate.

    Args:
        trust_domain: its name.
        common_name: tells the authorities of one trust domain apart.
        key: the authority's own.
        validity: when the certificate is good.
        issuer: the authority above it; None: it is a root and its own issuer.
        constraints: whether it may sign certificates at all, and how many authorities may follow below it.

    """
    return (
        _certificate(trust_domain, common_name, key, validity, issuer)
        .add_extension(constraints, critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(trust_domain_id(trust_domain))]), critical=False
        )
    )


def workload_certificate(
    trust_domain: str,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    validity: Validity,
    usages: Sequence[x509.ObjectIdentifier],
    *,
    issuer: x509.Name | None,
) -> x509.CertificateBuilder:
    """A workload's certificate. Its common name says nothing about the workload: who decides by it decides wrongly.

    Args:
        trust_domain: its name.
        key: the workload's own.
        names: the subject alternative names; none leaves the extension out.
        validity: when the certificate is good.
        usages: the extended key usage.
        issuer: the authority; None: it is its own issuer.

    """
    common_name = f"workload {x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()}"
    builder = (
        _certificate(trust_domain, common_name, key, validity, issuer)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else builder


def _certificate(
    trust_domain: str,
    common_name: str,
    key: ec.EllipticCurvePublicKey,
    validity: Validity,
    issuer: x509.Name | None,
) -> x509.CertificateBuilder:
    # An attribute of a name holds 64 characters (RFC 5280, appendix A.1); a trust domain may have 255.
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.begins)
        .not_valid_after(validity.ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
