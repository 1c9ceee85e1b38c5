"""Who calls, and what that identity may do.

Invariants: an identity is a SPIFFE id that somebody has proven: the TLS handshake here, or a security server in front;
what is ambiguous names nobody; an identity without a role may read the directory and nothing else.
Sources: SPIFFE-ID section 2; X509-SVID section 2; Envoy documentation, "x-forwarded-client-cert".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.model.errors import UsageError

__all__ = ["FORWARDED_HEADER", "Caller", "Role", "Roles", "forwarded_identity", "proven_identity"]

FORWARDED_HEADER = "x-forwarded-client-cert"

LONGEST_IDENTITY = 2048
IDENTITY = re.compile(r"spiffe://(?P<domain>[a-z0-9._-]{1,255})(?P<path>(?:/(?!\.{1,2}(?:/|\Z))[a-zA-Z0-9._-]+)+)")
PATH = re.compile(r"(?:/[a-zA-Z0-9._-]+)+")
PAIR = re.compile(r'(?P<key>[A-Za-z]+)=(?P<value>"(?:[^"\\]|\\.)*"|[^",;]*)(?:;|\Z)')


class Role(StrEnum):
    """What an identity may do; it may have several roles."""

    AUDITOR = "auditor"
    """Reads everything."""
    EDITOR = "editor"
    """Reads, validates and changes."""
    CONTROL_PLANE = "control-plane"
    """Reads, follows, and reports what became of versions."""


@dataclass(frozen=True)
class Caller:
    """Somebody whose identity is proven."""

    identity: str
    roles: frozenset[Role]


class Roles:
    """Which identity has which roles.

    A key is a whole SPIFFE id, or a path such as `/security-server/caller`. A path counts in *every* trust domain whose
    certificates are accepted, so it is safe only where there is exactly one, such as in the mesh of one run.
    """

    def __init__(self, granted: Mapping[str, Collection[Role]]) -> None:
        """Raises UsageError for a key that is neither."""
        for key in granted:
            if not (IDENTITY.fullmatch(key) or PATH.fullmatch(key)):
                raise UsageError(
                    f"{key!r} is neither a SPIFFE id nor the path of one",
                    next_step="write spiffe://TRUST-DOMAIN/PATH, or /PATH where only one trust domain is accepted",
                )
        self._granted = {key: frozenset(roles) for key, roles in granted.items()}

    def caller(self, identity: str) -> Caller:
        """The owner of an identity, with all roles that it has."""
        found = IDENTITY.fullmatch(identity)
        path = found["path"] if found else ""
        return Caller(identity, self._granted.get(identity, frozenset()) | self._granted.get(path, frozenset()))


def proven_identity(certificate: Mapping[str, Any]) -> str | None:
    """The SPIFFE id in a certificate that the handshake has verified, as `SSLObject.getpeercert` gives it.

    A certificate with several URIs names nobody; nor does one whose only URI is no SPIFFE id of a workload.
    """
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return _identity(uris[0]) if len(uris) == 1 else None


def forwarded_identity(values: Collection[str]) -> str | None:
    """The SPIFFE id that the security server in front hands over; `values` are all headers of that name.

    Exactly one header with one element with one URI counts: a second one would have come from somebody else.
    """
    if len(values) != 1:
        return None
    (text,) = values
    uris, position = [], 0
    while position < len(text):
        pair = PAIR.match(text, position)
        if pair is None:
            return None
        if pair["key"].lower() == "uri":
            uris.append(pair["value"].strip('"'))
        position = pair.end()
    return _identity(uris[0]) if len(uris) == 1 else None


def _identity(uri: str) -> str | None:
    return uri if IDENTITY.fullmatch(uri) and len(uri) <= LONGEST_IDENTITY else None
