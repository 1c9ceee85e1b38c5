"""Every bad certificate is refused for its own reason, a client's and a server's; without that reason it is good."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from conformance.pki import Credential, TrustDomain, anonymous_client_context, misfits

from .handshakes import connect

Misfit = Callable[[TrustDomain, str], Credential]

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

# What OpenSSL finds, the alert that it sends, what the verifier of `cryptography` finds (None: it knows no revocation).
REFUSED: list[tuple[Misfit, str, str, str | None]] = [
    (
        misfits.of_unknown_authority,
        "unable to get local issuer certificate",
        "TLSV1_ALERT_UNKNOWN_CA",
        "signature does not match",
    ),
    (misfits.self_signed, "self-signed certificate", "TLSV1_ALERT_UNKNOWN_CA", "candidates exhausted"),
    (
        misfits.expired,
        "certificate has expired",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "cert is not valid at validation time",
    ),
    (
        misfits.not_yet_valid,
        "certificate is not yet valid",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "cert is not valid at validation time",
    ),
    (
        misfits.server_only,
        "unsuitable certificate purpose",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "required EKU not found",
    ),
    (misfits.revoked, "certificate revoked", "SSLV3_ALERT_CERTIFICATE_REVOKED", None),
    (misfits.signed_by_non_authority, "invalid CA certificate", "TLSV1_ALERT_UNKNOWN_CA", "basicConstraints.cA"),
    (
        misfits.beyond_path_length,
        "path length constraint exceeded",
        "TLSV1_ALERT_UNKNOWN_CA",
        "path length constraint violated",
    ),
]
refused = pytest.mark.parametrize(
    ("misfit", "reason", "alert", "finding"), REFUSED, ids=[misfit.__name__ for misfit, *_ in REFUSED]
)
versions = pytest.mark.parametrize("version", VERSIONS, ids=[version.name for version in VERSIONS])


@pytest.fixture
def trust_domain() -> TrustDomain:
    return TrustDomain()


def strict_server(trust_domain: TrustDomain) -> ssl.SSLContext:
    context = trust_domain.issue("server").server_context(trust_domain.bundle_pem, crl=trust_domain.crl_pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def policy(trust: bytes) -> verification.PolicyBuilder:
    return verification.PolicyBuilder().store(verification.Store(x509.load_pem_x509_certificates(trust)))


def test_every_misfit_is_tested_here() -> None:
    tested = {misfit.__name__ for misfit, *_ in REFUSED} | {misfits.without_identity.__name__}
    assert tested == set(misfits.__all__)


@refused
def test_a_misfit_goes_by_the_clock_of_its_trust_domain(misfit: Misfit, reason: str, alert: str, finding: str) -> None:
    clock = datetime(2035, 1, 1, tzinfo=UTC)
    begins = misfit(TrustDomain(clock=lambda: clock), "client").certificate.not_valid_before_utc
    assert abs(begins - clock) < timedelta(days=1)


@versions
@refused
def test_a_misfit_is_refused_as_a_client_for_its_own_reason(
    trust_domain: TrustDomain, *, misfit: Misfit, reason: str, alert: str, finding: str | None, version: ssl.TLSVersion
) -> None:
    def context(credential: Credential) -> ssl.SSLContext:
        return credential.client_context(trust_domain.bundle_pem, minimum_version=version, maximum_version=version)

    good, bad = trust_domain.issue("client"), misfit(trust_domain, "client")
    server = strict_server(trust_domain)
    assert bad.identity == good.identity
    assert connect(context(good), server).server.peer == good.identity
    refusal = connect(context(bad), server)
    assert (refusal.server.reason, refusal.client.reason) == (reason, alert)
    assert connect(context(good), server).server.peer == good.identity


@refused
def test_a_second_verifier_finds_the_same_reason(
    trust_domain: TrustDomain, misfit: Misfit, reason: str, alert: str, finding: str | None
) -> None:
    verifier = policy(trust_domain.bundle_pem).build_client_verifier()
    bad = misfit(trust_domain, "client")
    if finding is None:
        verifier.verify(bad.certificate, list(bad.chain[1:]))
    else:
        with pytest.raises(verification.VerificationError, match=finding):
            verifier.verify(bad.certificate, list(bad.chain[1:]))


@pytest.mark.parametrize(
    ("misfit", "reason"),
    [
        (misfits.of_unknown_authority, "unable to get local issuer certificate"),
        (misfits.self_signed, "self-signed certificate"),
        (misfits.expired, "certificate has expired"),
        (misfits.not_yet_valid, "certificate is not yet valid"),
        (misfits.signed_by_non_authority, "invalid CA certificate"),
        (misfits.beyond_path_length, "path length constraint exceeded"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_misfit_is_refused_as_a_server_for_its_own_reason(
    trust_domain: TrustDomain, misfit: Misfit, reason: str
) -> None:
    client = trust_domain.issue("client").client_context(trust_domain.bundle_pem)
    server = misfit(trust_domain, "server").server_context(trust_domain.bundle_pem)
    assert connect(client, server).client.reason == reason


def test_a_server_with_another_identity_is_told_by_its_name(trust_domain: TrustDomain) -> None:
    client = trust_domain.issue("client").client_context(trust_domain.bundle_pem)
    server = trust_domain.issue("somebody-else").server_context(trust_domain.bundle_pem)
    assert connect(client, server).client.peer == "spiffe://mesh.test/somebody-else"


def test_a_server_at_another_host_name_is_refused(trust_domain: TrustDomain) -> None:
    client = trust_domain.issue("client").client_context(trust_domain.bundle_pem)
    server = trust_domain.issue("server").server_context(trust_domain.bundle_pem)
    assert connect(client, server, host="127.0.0.1").client.accepted
    reason = connect(client, server, host="elsewhere.test").client.reason
    assert reason is not None
    assert "mismatch" in reason


def test_without_an_identity_the_chain_is_good_but_names_nobody(trust_domain: TrustDomain) -> None:
    credential = misfits.without_identity(trust_domain)
    with pytest.raises(x509.ExtensionNotFound):
        credential.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    connection = connect(credential.client_context(trust_domain.bundle_pem), strict_server(trust_domain))
    assert connection.server.accepted
    assert connection.server.peer is None


@versions
def test_an_anonymous_client_is_refused(trust_domain: TrustDomain, version: ssl.TLSVersion) -> None:
    client = anonymous_client_context(trust_domain.bundle_pem, minimum_version=version, maximum_version=version)
    refusal = connect(client, strict_server(trust_domain))
    assert refusal.server.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert (
        refusal.client.reason
        == {
            ssl.TLSVersion.TLSv1_2: "SSLV3_ALERT_HANDSHAKE_FAILURE",
            ssl.TLSVersion.TLSv1_3: "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        }[version]
    )


@pytest.mark.parametrize(
    ("misfit", "away"), [(misfits.expired, timedelta(minutes=-90)), (misfits.not_yet_valid, timedelta(minutes=90))]
)
def test_out_of_date_is_good_at_its_date(trust_domain: TrustDomain, misfit: Misfit, away: timedelta) -> None:
    credential = misfit(trust_domain, "client")
    verifier = policy(trust_domain.bundle_pem).time(trust_domain.now() + away).build_client_verifier()
    verifier.verify(credential.certificate, list(credential.chain[1:]))


def test_server_only_is_good_for_a_server(trust_domain: TrustDomain) -> None:
    client = trust_domain.issue("client").client_context(trust_domain.bundle_pem)
    server = misfits.server_only(trust_domain, "server").server_context(trust_domain.bundle_pem)
    assert connect(client, server).client.peer == "spiffe://mesh.test/server"


def test_revoked_is_good_where_nobody_looks_at_the_lists(trust_domain: TrustDomain) -> None:
    client = misfits.revoked(trust_domain, "client").client_context(trust_domain.bundle_pem)
    server = trust_domain.issue("server").server_context(trust_domain.bundle_pem)
    assert connect(client, server).server.peer == "spiffe://mesh.test/client"


def test_self_signed_is_good_where_it_is_trusted_itself(trust_domain: TrustDomain) -> None:
    credential = misfits.self_signed(trust_domain, "client")
    trust = trust_domain.bundle_pem + credential.certificate.public_bytes(Encoding.PEM)
    server = trust_domain.issue("server").server_context(trust)
    connection = connect(credential.client_context(trust_domain.bundle_pem), server)
    assert connection.server.peer == "spiffe://mesh.test/client"


def test_an_intermediate_that_is_not_sent_is_missed(trust_domain: TrustDomain) -> None:
    whole = trust_domain.issue("client")
    leaf_alone = Credential((whole.certificate,), whole.private_key)
    refusal = connect(leaf_alone.client_context(trust_domain.bundle_pem), strict_server(trust_domain))
    assert refusal.server.reason == "unable to get local issuer certificate"
