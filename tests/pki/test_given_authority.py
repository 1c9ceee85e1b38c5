"""An authority that somebody else made signs for its own trust domain, and is refused if it cannot be what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.pki import GIVEN_LIFE, GivenAuthority, TrustDomain

from .handshakes import connect

IDENTITY = "spiffe://mesh.test/security-server/caller"
NOW = datetime.now(UTC).replace(microsecond=0)


def taken_over(domain: TrustDomain, now: datetime = NOW) -> GivenAuthority:
    issuing = domain.issuing_authority
    key = issuing.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return GivenAuthority(issuing.certificate.public_bytes(Encoding.PEM), key, domain.bundle_pem, clock=lambda: now)


def made_by_others(*uris: str, certificate_authority: bool = True) -> tuple[bytes, bytes]:
    """A root with an RSA key and nothing that it need not have, as simple tools make it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "installation")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=2))
        .add_extension(x509.BasicConstraints(ca=certificate_authority, path_length=None), critical=True)
    )
    if uris:
        alternatives = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    pem = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_what_it_signs_is_what_the_trust_domain_itself_would_accept() -> None:
    domain = TrustDomain()
    credential = taken_over(domain).issue(IDENTITY)
    assert credential.identity == IDENTITY
    assert credential.certificate.not_valid_after_utc == NOW + GIVEN_LIFE
    server = domain.issue("server").server_context(domain.bundle_pem)
    assert connect(credential.client_context(domain.bundle_pem), server).server.peer == IDENTITY


def test_a_root_made_by_other_tools_will_do_and_nothing_outlives_it() -> None:
    pem, key = made_by_others("spiffe://elsewhere.example")
    authority = GivenAuthority(pem, key, pem)
    credential = authority.issue("spiffe://elsewhere.example/security-server/caller")
    assert credential.certificate.not_valid_after_utc == NOW + timedelta(hours=2)
    credential.certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pem))


@pytest.mark.parametrize(
    "identity",
    ["spiffe://partner.example/security-server/caller", "spiffe://mesh.test", "caller", "spiffe://mesh.test/../x"],
)
def test_it_signs_for_no_identity_but_those_of_its_trust_domain(identity: str) -> None:
    with pytest.raises(UsageError, match="no identity of the trust domain"):
        taken_over(TrustDomain()).issue(identity)


def test_an_authority_that_has_ended_signs_nothing() -> None:
    with pytest.raises(EnvironmentFault, match="is good for"):
        taken_over(TrustDomain(), NOW + timedelta(days=40)).issue(IDENTITY)


@pytest.mark.parametrize(
    ("uris", "certificate_authority", "said"),
    [
        ((), True, "names no trust domain"),
        (("spiffe://a.example", "spiffe://b.example"), True, "names no trust domain"),
        (("spiffe://a.example/workload",), True, "names no trust domain"),
        (("spiffe://a.example",), False, "may not sign"),
    ],
)
def test_a_certificate_that_is_not_that_of_one_trust_domains_authority_is_refused(
    uris: tuple[str, ...], certificate_authority: bool, said: str
) -> None:
    pem, key = made_by_others(*uris, certificate_authority=certificate_authority)
    with pytest.raises(UsageError, match=said):
        GivenAuthority(pem, key, pem)
