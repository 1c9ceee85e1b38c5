"""SPIFFE identities: `spiffe://<trust domain>/<path>`, written by `spiffe_id` and read back by `identity_in`.

Whatever `spiffe_id` returns is a valid SPIFFE ID of a workload; there is no other way to make one in this room.
Source: the SPIFFE standards "SPIFFE-ID" (section 2) and "X509-SVID" (sections 2, 3.1 and 5.2).
"""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509

from conformance.model.errors import UsageError

__all__ = [
    "LONGEST_SPIFFE_ID",
    "LONGEST_TRUST_DOMAIN",
    "identity_in",
    "spiffe_id",
    "trust_domain_id",
    "trust_domain_in",
    "trust_domain_of",
]

LONGEST_SPIFFE_ID: Final = 2048
"""Bytes of the whole URI."""

LONGEST_TRUST_DOMAIN: Final = 255
"""Bytes of the trust domain name."""

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_SEGMENT: Final = re.compile(r"[a-zA-Z0-9._-]+")


def trust_domain_id(trust_domain: str) -> str:
    """The SPIFFE ID of a trust domain itself, which its authorities carry: no path.

    Raises:
        UsageError: the name is empty, too long or has a character that SPIFFE does not allow.

    """
    if not _TRUST_DOMAIN.fullmatch(trust_domain) or len(trust_domain) > LONGEST_TRUST_DOMAIN:
        raise UsageError(
            f"{trust_domain!r} is not the name of a SPIFFE trust domain",
            next_step=f"use 1 to {LONGEST_TRUST_DOMAIN} lower-case letters, digits, dots, dashes and underscores",
        )
    return f"spiffe://{trust_domain}"


def spiffe_id(trust_domain: str, path: str) -> str:
    """The SPIFFE ID of a workload.

    Args:
        trust_domain: the name, such as `mesh.test`.
        path: segments joined by `/`, with no slash at either end, such as `building-block/registry`.

    Raises:
        UsageError: the trust domain or the path breaks a SPIFFE rule, or the URI is longer than 2048 bytes.

    """
    domain_id = trust_domain_id(trust_domain)
    for segment in path.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
            raise UsageError(
                f"{path!r} is not the path of a SPIFFE identity: segment {segment!r}",
                next_step="use letters, digits, dots, dashes and underscores; no empty, '.' or '..' segment",
            )
    identity = f"{domain_id}/{path}"
    if len(identity) > LONGEST_SPIFFE_ID:
        raise UsageError(
            f"the SPIFFE identity has {len(identity)} bytes, {LONGEST_SPIFFE_ID} are allowed",
            next_step="shorten the path",
        )
    return identity


def identity_in(certificate: x509.Certificate) -> str | None:
    """The SPIFFE ID that a workload's certificate carries; None if it names nobody.

    A validator must reject a certificate with several URI names, so such a one names nobody either; nor does one whose
    only URI is not a valid SPIFFE ID with a path.
    """
    uri = _only_uri(certificate)
    domain = trust_domain_of(uri)
    return uri if domain is not None else None


def trust_domain_in(certificate: x509.Certificate) -> str | None:
    """The trust domain that an authority's certificate names by its only URI; None if it names none."""
    scheme, _, rest = _only_uri(certificate).partition("://")
    return rest if scheme == "spiffe" and _TRUST_DOMAIN.fullmatch(rest) else None


def trust_domain_of(identity: str) -> str | None:
    """The trust domain of a workload's SPIFFE ID; None if it is not a valid one."""
    scheme, _, rest = identity.partition("://")
    trust_domain, _, path = rest.partition("/")
    try:
        return trust_domain if scheme == "spiffe" and spiffe_id(trust_domain, path) else None
    except UsageError:
        return None


def _only_uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return str(uris[0]) if len(uris) == 1 else ""
