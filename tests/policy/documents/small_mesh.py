"""A small mesh of documents that is good, to be broken one way at a time."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any

from conformance.model.policies import Kind, PolicyKey
from conformance.pki import TrustDomain
from conformance.policy.documents import PolicySet, key_in

__all__ = ["MEMBER", "MESH", "OTHER", "SERVICE", "by_key", "problems_of", "small_mesh"]

MESH: PolicyKey = (Kind.MESH, "mesh")
MEMBER: PolicyKey = (Kind.MEMBER, "registry")
OTHER: PolicyKey = (Kind.MEMBER, "office")
SERVICE: PolicyKey = (Kind.SERVICE, "births")

Documents = dict[PolicyKey, Any]

P256 = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "one",
    # RFC 7515, appendix A.3.
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


@cache
def foreign_authority() -> str:
    """The root certificate of another trust domain."""
    return TrustDomain("partner.test", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)).bundle_pem.decode()


def small_mesh() -> Documents:
    """A registry whose births an office may see."""
    documents = [
        {
            "kind": "mesh",
            "topology": "external-gateway",
            "issuers": [{"name": "login", "issuer": "login.test", "jwks": {"keys": [P256]}}],
            "federation": [
                {
                    "name": "partner.test",
                    "authority_pem": foreign_authority(),
                    "identities": ["spiffe://partner.test/clinic"],
                }
            ],
        },
        {
            "kind": "member",
            "name": "registry",
            "identity": "spiffe://mesh.test/security-server/registry",
            "id": "MESH/GOV/1/registry",
            "gateway": True,
        },
        {
            "kind": "member",
            "name": "office",
            "identity": "spiffe://mesh.test/security-server/office",
            "id": "MESH/GOV/2/office",
            "calls": ["births"],
        },
        {
            "kind": "service",
            "name": "births",
            "provider": "registry",
            "code": "births",
            "contract": ["GET /v1/births", "POST /v1/births", "GET /v1/births/{birthId}"],
            "endpoints": [
                {"host": "127.0.0.1", "port": 8080},
                {"host": "127.0.0.1", "port": 8081, "group": "canary"},
            ],
            "access": [
                {"caller": "office", "operations": ["GET /v1/births"]},
                {"caller": "spiffe://partner.test/clinic", "methods": ["GET"], "paths": [{"prefix": "/v1/births"}]},
            ],
            "tokens": {"audience": "births", "issuers": ["login"]},
            "routes": [
                {
                    "match": {"prefix": "/v1"},
                    "split": [{"weight": 90}, {"group": "canary", "weight": 10}],
                }
            ],
        },
    ]
    return by_key(deepcopy(documents))


def by_key(documents: list[Any]) -> Documents:
    """Documents by kind and name."""
    found = {}
    for document in documents:
        key = key_in(document)
        assert key is not None
        found[key] = document
    return found


def problems_of(documents: Documents) -> list[tuple[str, str, str]]:
    """Everything that is wrong, as document, path and reason."""
    return [(each.document, each.path, each.reason) for each in PolicySet.of(documents).problems()]
