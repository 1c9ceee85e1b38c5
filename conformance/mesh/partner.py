"""The other trust domain of the reference mesh: whoever wants to see the border needs somebody beyond it.

Invariant: only the partner of the reference is ever touched; other trust domains in the policies stay as they were
written.
"""

from __future__ import annotations

from collections.abc import Mapping

from conformance.model.policies import MESH, Kind, PolicyKey
from conformance.pki import TrustDomain
from conformance.policy.store import Document

__all__ = [
    "FOREIGNER",
    "FOREIGN_SERVICE",
    "PARTNER",
    "UNKNOWN_FOREIGNER",
    "knows_partner",
    "with_border",
    "with_partner",
]

PARTNER = "partner.example"
"""The other trust domain."""
FOREIGNER = "security-server/registry"
"""The path of the one identity of it that is let in."""
UNKNOWN_FOREIGNER = "security-server/other"
"""Another one of it, whom no policy names."""
FOREIGN_SERVICE = "citizen-id"
"""What it may call."""
FOREIGN_OPERATION = "POST /v1/verifications"
BORDER_MEMBER = "border"
MESH_DOCUMENT: PolicyKey = (Kind.MESH, MESH)


def knows_partner(documents: Mapping[PolicyKey, Document]) -> bool:
    """Whether these policies federate with the reference's partner."""
    return any(domain["name"] == PARTNER for domain in _federation(documents))


def with_border(documents: Mapping[PolicyKey, Document], partner: TrustDomain) -> dict[PolicyKey, Document]:
    """The reference's policies, with a security server at the border, and one caller of the partner let in."""
    foreigner = partner.identity(FOREIGNER)
    service, member = (Kind.SERVICE, FOREIGN_SERVICE), (Kind.MEMBER, BORDER_MEMBER)
    identity = str(documents[Kind.MEMBER, FOREIGN_SERVICE]["identity"])
    gateway = {
        "kind": Kind.MEMBER.value,
        "name": BORDER_MEMBER,
        "identity": f"{identity.rpartition('/')[0]}/{BORDER_MEMBER}",
        "gateway": True,
        "calls": [FOREIGN_SERVICE],
    }
    rule = {"caller": foreigner, "operations": [FOREIGN_OPERATION]}
    called = {**documents[service], "access": [*documents[service]["access"], rule]}
    domain = {"name": PARTNER, "identities": [foreigner]}
    mesh = {**documents[MESH_DOCUMENT], "federation": [*_federation(documents), domain]}
    return with_partner({**documents, service: called, member: gateway, MESH_DOCUMENT: mesh}, partner)


def with_partner(documents: Mapping[PolicyKey, Document], partner: TrustDomain) -> dict[PolicyKey, Document]:
    """The same policies, with the root certificate that the partner has now."""
    authority = partner.bundle_pem.decode()
    federation = [
        {**domain, "authority_pem": authority} if domain["name"] == PARTNER else domain
        for domain in _federation(documents)
    ]
    return {**documents, MESH_DOCUMENT: {**documents[MESH_DOCUMENT], "federation": federation}}


def _federation(documents: Mapping[PolicyKey, Document]) -> list[Document]:
    return list(documents.get(MESH_DOCUMENT, {}).get("federation", ()))
