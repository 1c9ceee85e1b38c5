"""Whose signatures count: the public keys of one token issuer, ready for checking.

Invariants: a key is used with the algorithms of its kind only, never with one that the token chooses freely; shared
secrets are no keys here; a key that cannot be told from another one by its id, or that is weak, is left out.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import jwt

from conformance.model.policies import TokenIssuer

__all__ = ["ALGORITHMS", "TrustedIssuer", "TrustedKey"]

log = logging.getLogger(__name__)

ALGORITHMS_OF_KIND = {
    ("RSA", ""): frozenset({"RS256", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
ALGORITHMS = frozenset().union(*ALGORITHMS_OF_KIND.values())
"""Accepted signature algorithms (RFC 7518 section 3.1, RFC 8037)."""
PUBLIC_MEMBERS = frozenset({"kty", "crv", "n", "e", "x", "y"})


TrustedKey = Mapping[str, jwt.PyJWK]
"""A public key, bound to each of the algorithms that it may be used with."""


class TrustedIssuer:
    """An issuer whose key set has been read. Several keys are usual: while a rotation is under way both count."""

    def __init__(self, policy: TokenIssuer) -> None:
        self.policy = policy
        self.keys: Mapping[str, TrustedKey] = dict(_keys_of(policy))


def _keys_of(policy: TokenIssuer) -> Iterator[tuple[str, TrustedKey]]:
    try:
        entries = [entry for entry in json.loads(policy.jwks)["keys"] if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        log.warning("the key set of token issuer %s cannot be read; none of its tokens counts", policy.name)
        return
    ids = Counter(str(entry.get("kid", "")) for entry in entries)
    for entry in entries:
        kid = str(entry.get("kid", ""))
        key = _key(entry) if kid and ids[kid] == 1 else None
        if key is None:
            log.warning(
                "a key of token issuer %s is left out: unknown kind, too weak, or no id of its own", policy.name
            )
        else:
            yield kid, key


def _key(entry: Mapping[str, Any]) -> TrustedKey | None:
    algorithms = ALGORITHMS_OF_KIND.get((str(entry.get("kty")), str(entry.get("crv", ""))), frozenset())
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in entry.items() if name in PUBLIC_MEMBERS}
    try:
        bound = {algorithm: jwt.PyJWK(public, algorithm) for algorithm in sorted(algorithms)}
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    strong = all(key.Algorithm.check_key_length(key.key) is None for key in bound.values())
    return bound if strong else None
