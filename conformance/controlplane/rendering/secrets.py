"""Certificates, keys and trust, delivered by SDS so that they rotate without touching a listener."""

from __future__ import annotations

import base64

from conformance.controlplane.rendering.view import Identity, Resource, SecurityServerView

__all__ = ["identity_secret", "trust_secret"]


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
        context["match_typed_subject_alt_names"] = [
            {"san_type": "URI", "matcher": {"exact": member}} for member in view.members
        ]
    return {"name": name, "validation_context": context}


def _inline(pem: bytes) -> Resource:
    return {"inline_bytes": base64.b64encode(pem).decode()}
