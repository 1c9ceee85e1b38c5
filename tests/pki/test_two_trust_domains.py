"""Two trust domains do not trust each other by accident, and what federation has to see to."""

from __future__ import annotations

import pytest
from cryptography import x509

from conformance.pki import Credential, TrustDomain
from conformance.pki.trust_domain import WORKLOAD_LIFE

from .handshakes import connect

MESH, PARTNER = "mesh.test", "partner.example"


@pytest.fixture
def mesh() -> TrustDomain:
    return TrustDomain(MESH)


@pytest.fixture
def partner() -> TrustDomain:
    return TrustDomain(PARTNER)


def vouched_for_by(foreign: TrustDomain, trust_domain: TrustDomain, path: str) -> Credential:
    """A foreign authority signs a name that is not its own to give."""
    return foreign.issuing_authority.issue(trust_domain.names(path), foreign.from_now(WORKLOAD_LIFE))


def test_each_has_names_authorities_and_lists_of_its_own(mesh: TrustDomain, partner: TrustDomain) -> None:
    assert mesh.identity("caller") == "spiffe://mesh.test/caller"
    assert partner.identity("caller") == "spiffe://partner.example/caller"
    roots = [x509.load_pem_x509_certificates(domain.bundle_pem) for domain in (mesh, partner)]
    assert {root.subject for root in roots[0]}.isdisjoint(root.subject for root in roots[1])
    assert partner.issue("caller").identity == partner.identity("caller")


@pytest.mark.parametrize(("server_domain", "client_domain"), [(MESH, PARTNER), (PARTNER, MESH)])
def test_neither_lets_in_a_caller_of_the_other(server_domain: str, client_domain: str) -> None:
    ours, theirs = TrustDomain(server_domain), TrustDomain(client_domain)
    server = ours.issue("gateway").server_context(ours.bundle_pem, crl=ours.crl_pem)
    # A caller that would itself trust the server, so that the refusal is the server's.
    met = connect(theirs.issue("caller").client_context(ours.bundle_pem), server)
    assert (met.server.reason, met.client.reason) == (
        "unable to get local issuer certificate",
        "TLSV1_ALERT_UNKNOWN_CA",
    )


def test_neither_calls_a_server_of_the_other(mesh: TrustDomain, partner: TrustDomain) -> None:
    server = partner.issue("registry").server_context(mesh.bundle_pem)
    met = connect(mesh.issue("caller").client_context(mesh.bundle_pem), server)
    assert met.client.reason == "unable to get local issuer certificate"


def test_a_foreign_authority_cannot_give_away_names_of_the_mesh(mesh: TrustDomain, partner: TrustDomain) -> None:
    forged = vouched_for_by(partner, mesh, "caller")
    assert forged.identity == mesh.identity("caller")
    server = mesh.issue("gateway").server_context(mesh.bundle_pem, crl=mesh.crl_pem)
    assert connect(forged.client_context(mesh.bundle_pem), server).server.reason == (
        "unable to get local issuer certificate"
    )


def test_one_pool_of_roots_would_let_a_foreign_authority_forge_names_of_the_mesh(
    mesh: TrustDomain, partner: TrustDomain
) -> None:
    """Why federation keeps the roots of each trust domain apart (SPIFFE Federation, section 6)."""
    pool, lists = mesh.bundle_pem + partner.bundle_pem, mesh.crl_pem + partner.crl_pem
    server = mesh.issue("gateway").server_context(pool, crl=lists)
    met = connect(vouched_for_by(partner, mesh, "caller").client_context(pool), server)
    assert met.server.peer == mesh.identity("caller")
