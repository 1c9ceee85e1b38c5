"""What a trust domain issues keeps the SPIFFE X509-SVID profile; revocation and rotation do what real peers can see."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from conformance.model.errors import SuiteFault
from conformance.pki import Credential, TrustDomain, misfits

from .handshakes import Connection, connect


def extension(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> x509.Extension:
    return certificate.extensions.get_extension_for_oid(kind)


def connect_in(trust_domain: TrustDomain, client: Credential, server: Credential) -> Connection:
    """Both ends hold the trust domain's present bundle, the server its present lists, too."""
    receiving = server.server_context(trust_domain.bundle_pem, crl=trust_domain.crl_pem)
    receiving.verify_flags |= ssl.VERIFY_X509_STRICT
    return connect(client.client_context(trust_domain.bundle_pem), receiving)


@pytest.fixture
def trust_domain() -> TrustDomain:
    return TrustDomain()


def test_two_workloads_know_each_other_by_name_through_the_issuing_authority(trust_domain: TrustDomain) -> None:
    connection = connect_in(trust_domain, trust_domain.issue("caller"), trust_domain.issue("callee"))
    assert connection.client.peer == "spiffe://mesh.test/callee"
    assert connection.server.peer == "spiffe://mesh.test/caller"


def test_a_workload_certificate_keeps_the_spiffe_profile(trust_domain: TrustDomain) -> None:
    certificate = trust_domain.issue("bb/registry", dns=["registry.test"], ip=["127.0.0.1", "::1"]).certificate
    names = extension(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    constraints = extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
    usage = extension(certificate, ExtensionOID.KEY_USAGE)
    purposes = extension(certificate, ExtensionOID.EXTENDED_KEY_USAGE).value
    key = certificate.public_key()

    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://mesh.test/bb/registry"]
    assert names.get_values_for_type(x509.DNSName) == ["registry.test"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(a) for a in ("127.0.0.1", "::1")]
    assert constraints.critical
    assert not constraints.value.ca
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert set(purposes) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_authorities_keep_the_spiffe_profile(trust_domain: TrustDomain) -> None:
    issuing = trust_domain.issuing_authority.certificate
    (root,) = x509.load_pem_x509_certificates(trust_domain.bundle_pem)
    for certificate, path_length in ((root, None), (issuing, 0)):
        constraints = extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
        usage = extension(certificate, ExtensionOID.KEY_USAGE)
        names = extension(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=path_length)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
        assert list(names) == [x509.UniformResourceIdentifier("spiffe://mesh.test")]


def test_a_chain_is_the_workload_then_the_issuing_authority_and_no_root(trust_domain: TrustDomain) -> None:
    credential = trust_domain.issue("a")
    assert list(credential.chain) == [credential.certificate, trust_domain.issuing_authority.certificate]
    assert x509.load_pem_x509_certificates(credential.certificate_chain_pem) == list(credential.chain)


def test_issuing_again_gives_the_same_identity_a_new_key_and_a_new_serial(trust_domain: TrustDomain) -> None:
    first, second = trust_domain.issue("a"), trust_domain.issue("a")
    assert first.identity == second.identity
    assert first.serial != second.serial
    assert first.certificate.public_key() != second.certificate.public_key()
    assert connect_in(trust_domain, first, second).server.accepted


def test_a_credential_lives_as_long_as_asked_by_the_clock_of_the_trust_domain() -> None:
    trust_domain = TrustDomain(clock=lambda: datetime(2030, 2, 3, 4, 5, 6, 789, tzinfo=UTC))
    certificate = trust_domain.issue("a", valid=timedelta(minutes=3)).certificate
    assert certificate.not_valid_after_utc == datetime(2030, 2, 3, 4, 8, 6, tzinfo=UTC)


def test_a_peer_whose_clock_is_slow_takes_new_credentials_and_lists() -> None:
    trust_domain = TrustDomain(clock=lambda: datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC))
    five_minutes_ago = datetime(2030, 2, 3, 4, 0, 6, tzinfo=UTC)
    assert trust_domain.issue("a").certificate.not_valid_before_utc == five_minutes_ago
    assert [each.last_update_utc for each in lists_in(trust_domain.crl_pem)] == [five_minutes_ago] * 2


def test_no_credential_outlives_its_authority(trust_domain: TrustDomain) -> None:
    with pytest.raises(SuiteFault, match="does not fit into its authority's"):
        trust_domain.issue("a", valid=timedelta(days=31))


def test_a_credential_may_live_exactly_as_long_as_its_authority() -> None:
    trust_domain = TrustDomain(clock=lambda: datetime(2030, 2, 3, 4, 5, 6, 789, tzinfo=UTC))
    ends = trust_domain.issue("a", valid=timedelta(days=30)).certificate.not_valid_after_utc
    assert ends == trust_domain.issuing_authority.certificate.not_valid_after_utc


def test_a_revoked_credential_is_refused_and_its_successor_is_not(trust_domain: TrustDomain) -> None:
    server, client, other = trust_domain.issue("server"), trust_domain.issue("client"), trust_domain.issue("other")
    assert connect_in(trust_domain, client, server).server.accepted
    trust_domain.revoke(client)
    refused = connect_in(trust_domain, client, server)
    assert refused.server.reason == "certificate revoked"
    assert refused.client.reason == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    assert connect_in(trust_domain, other, server).server.accepted
    assert connect_in(trust_domain, trust_domain.issue("client"), server).server.accepted


def lists_in(pem: bytes) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----\n"
    return [x509.load_pem_x509_crl(part + end) for part in pem.split(end) if part]


def test_revocation_lists_cover_every_authority_and_their_numbers_grow(trust_domain: TrustDomain) -> None:
    before = lists_in(trust_domain.crl_pem)
    credential = trust_domain.issue("a")
    trust_domain.revoke(credential)
    after = lists_in(trust_domain.crl_pem)
    (root,) = x509.load_pem_x509_certificates(trust_domain.bundle_pem)
    issuing = trust_domain.issuing_authority.certificate
    for lists in (before, after):
        for each, authority in zip(lists, (root, issuing), strict=True):
            named = each.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            assert each.issuer == authority.subject
            assert named.key_identifier == key.digest
            assert each.next_update_utc == authority.not_valid_after_utc
    assert [len(each) for each in before] == [0, 0]
    assert [[entry.serial_number for entry in each] for each in after] == [[], [credential.serial]]

    def number(of: x509.CertificateRevocationList) -> int:
        return of.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    assert all(number(new) > number(old) for old, new in zip(before, after, strict=True))


def test_bundle_and_lists_are_the_same_bytes_until_something_changes(trust_domain: TrustDomain) -> None:
    before = (trust_domain.bundle_pem, trust_domain.crl_pem)
    trust_domain.issue("a")
    assert (trust_domain.bundle_pem, trust_domain.crl_pem) == before


def test_revoking_twice_keeps_the_first_date() -> None:
    times = iter(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(100))
    trust_domain = TrustDomain(clock=lambda: next(times))
    credential = trust_domain.issue("a")

    def revoked_since() -> datetime:
        entry = lists_in(trust_domain.crl_pem)[1].get_revoked_certificate_by_serial_number(credential.serial)
        assert entry is not None
        return entry.revocation_date_utc

    trust_domain.revoke(credential)
    first = revoked_since()
    trust_domain.revoke(credential)
    assert revoked_since() == first


def test_only_what_the_trust_domain_issued_can_be_revoked(trust_domain: TrustDomain) -> None:
    strangers = (
        misfits.of_unknown_authority,
        misfits.self_signed,
        misfits.signed_by_non_authority,
        misfits.beyond_path_length,
    )
    for stranger in strangers:
        with pytest.raises(SuiteFault, match="no trusted authority issued it"):
            trust_domain.revoke(stranger(trust_domain, "a"))


def test_rotating_the_root_loses_nobody_who_has_the_overlapping_bundle(trust_domain: TrustDomain) -> None:
    old_bundle = trust_domain.bundle_pem
    old = trust_domain.issue("old")
    trust_domain.rotate_root()
    new = trust_domain.issue("new")

    assert old_bundle in trust_domain.bundle_pem
    assert len(x509.load_pem_x509_certificates(trust_domain.bundle_pem)) == 2
    for client, server in ((old, new), (new, old), (new, new), (old, old)):
        assert connect_in(trust_domain, client, server).server.peer == client.identity
    # Whoever was left behind with the old bundle does not know the new root.
    left_behind = connect(new.client_context(trust_domain.bundle_pem), old.server_context(old_bundle))
    assert left_behind.server.reason == "unable to get local issuer certificate"

    trust_domain.retire_old_root()
    assert len(x509.load_pem_x509_certificates(trust_domain.bundle_pem)) == 1
    assert connect_in(trust_domain, new, new).server.accepted
    assert connect_in(trust_domain, old, new).server.reason == "unable to get local issuer certificate"


def test_credentials_of_both_roots_can_be_revoked_while_they_overlap(trust_domain: TrustDomain) -> None:
    old = trust_domain.issue("a")
    trust_domain.rotate_root()
    new, server = trust_domain.issue("a"), trust_domain.issue("server")
    trust_domain.revoke(old)
    assert connect_in(trust_domain, old, server).server.reason == "certificate revoked"
    assert connect_in(trust_domain, new, server).server.accepted
    trust_domain.revoke(new)
    assert connect_in(trust_domain, new, server).server.reason == "certificate revoked"


def test_one_rotation_ends_before_the_next_begins(trust_domain: TrustDomain) -> None:
    with pytest.raises(SuiteFault, match="no old root"):
        trust_domain.retire_old_root()
    trust_domain.rotate_root()
    with pytest.raises(SuiteFault, match="a rotation is under way"):
        trust_domain.rotate_root()
    trust_domain.retire_old_root()
    trust_domain.rotate_root()
