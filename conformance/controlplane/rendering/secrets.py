"""Certificates and trust, delivered by SDS so that they rotate without touching a listener."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from conformance.controlplane.rendering.view import Identity, Resource, SecurityServerView
from conformance.model.policies import ForeignDomain

__all__ = ["foreigners_secret", "identity_secret", "public_secret", "trust_secret"]


def identity_secret(identity: Identity) -> Resource:
    """The security server's own certificate chain and key."""
    return {
        "name": "identity",
        "tls_certificate": {
            "certificate_chain": _inline(identity.certificate_chain),
            "private_key": _inline(identity.private_key),
        },
    }


def trust_secret(name: str, view: SecurityServerView, *, callers_only: bool) -> Resource:
    """Whom to trust: roots and revocation lists, and for callers also the exact identities of the mesh's members."""
    context: Resource = {"trusted_ca": _inline(view.trust)}
    if view.revocations:
        context["crl"] = _inline(view.revocations)
    if callers_only:
        context["match_typed_subject_alt_names"] = _exactly(view.members)
    return {"name": name, "validation_context": context}


def public_secret(roots: bytes) -> Resource:
    """Who vouches for building blocks that speak HTTPS. (Envoy has no way to say "the roots of this machine".)"""
    return {"name": "public", "validation_context": {"trusted_ca": _inline(roots)}}


def foreigners_secret(domains: Sequence[ForeignDomain]) -> Resource:
    """Whom to let in at the border: these identities, each vouched for by its own trust domain only.

    (Envoy documentation: "SPIFFE Certificate Validator": plain roots would let one domain vouch for another's names.)
    """
    bundles = [{"name": domain.name, "trust_bundle": _inline(domain.authority_pem.encode())} for domain in domains]
    return {
        "name": "foreigners",
        "validation_context": {
            "custom_validator_config": {
                "name": "envoy.tls.cert_validator.spiffe",
                "typed_config": {
                    "@type": (
                        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
                    ),
                    "trust_domains": bundles,
                },
            },
            "match_typed_subject_alt_names": _exactly([each for domain in domains for each in domain.identities]),
        },
    }


def _exactly(identities: Sequence[str]) -> list[Resource]:
    return [{"san_type": "URI", "matcher": {"exact": identity}} for identity in identities]


def _inline(pem: bytes) -> Resource:
    return {"inline_bytes": base64.b64encode(pem).decode()}
