"""A token issuer for tests, checks and trial meshes: it signs bearer tokens, good ones and bad ones.

Invariants: keys are in the memory of this process only; every bad token is bad for one reason, which its function
names, and good otherwise. (RFC 7515, RFC 7517, RFC 7519, RFC 8037.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.model.policies import TokenIssuer
from conformance.pki.trust_domain import Clock, now_utc

__all__ = [
    "TOKEN_LIFE",
    "Algorithm",
    "TokenAuthority",
    "expired_token",
    "hmac_token",
    "token_for_other_audience",
    "token_from_the_future",
    "token_not_yet_valid",
    "token_of_other_issuer",
    "token_signed_by_stranger",
    "token_with_unknown_key",
    "token_without_expiry",
    "token_without_key",
    "unsigned_token",
]

TOKEN_LIFE: Final = timedelta(minutes=10)
"""How long a token is good unless the caller says otherwise."""
AN_HOUR = timedelta(hours=1)
RSA_KEY_BITS = 2048


class Algorithm(StrEnum):
    """How a token is signed (RFC 7518 section 3.1, RFC 8037)."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class _SigningKey:
    kid: str
    algorithm: Algorithm
    private: PrivateKey = field(repr=False)

    @classmethod
    def new(cls, kid: str, algorithm: Algorithm) -> _SigningKey:
        match algorithm:
            case Algorithm.RS256 | Algorithm.PS256:
                return cls(kid, algorithm, rsa.generate_private_key(65537, RSA_KEY_BITS))
            case Algorithm.ES256:
                return cls(kid, algorithm, ec.generate_private_key(ec.SECP256R1()))
            case Algorithm.EDDSA:
                return cls(kid, algorithm, ed25519.Ed25519PrivateKey.generate())

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        of_algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public = of_algorithm.to_jwk(self.private.public_key(), as_dict=True)
        named = {"kid": self.kid, "alg": self.algorithm.value, "use": "sig"}
        return {key: value for key, value in public.items() if key != "key_ops"} | named

    def sign(self, claims: Mapping[str, Any], *, kid: str | None) -> str:
        headers = None if kid is None else {"kid": kid}
        return jwt.encode(dict(claims), self.private, algorithm=self.algorithm.value, headers=headers)


class TokenAuthority:
    """Somebody whose tokens count, with one key to sign with and those of earlier rotations that still count."""

    def __init__(
        self,
        issuer: str = "https://tokens.mesh.test",
        *,
        name: str = "tokens",
        algorithm: Algorithm = Algorithm.ES256,
        clock: Clock = now_utc,
    ) -> None:
        self.issuer = issuer
        self.name = name
        self.clock = clock
        self._made = 0
        self._keys = [self._new_key(algorithm)]

    @property
    def jwks(self) -> str:
        """The public keys, a JSON Web Key Set: the newest first."""
        return json.dumps({"keys": [key.jwk for key in self._keys]})

    @property
    def policy(self) -> TokenIssuer:
        """What policies say about it now."""
        return TokenIssuer(name=self.name, issuer=self.issuer, jwks=self.jwks)

    def rotate(self, algorithm: Algorithm = Algorithm.ES256) -> None:
        """Sign with a new key from now on. The earlier ones stay in the key set until `forget_earlier_keys`."""
        self._keys.insert(0, self._new_key(algorithm))

    def forget_earlier_keys(self) -> None:
        """The rotation is over: what was signed with earlier keys counts no more."""
        del self._keys[1:]

    def claims(self, audience: str, *, subject: str = "somebody", valid: timedelta = TOKEN_LIFE) -> dict[str, Any]:
        """The claims of a good token."""
        now = int(self.clock().timestamp())
        return {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + int(valid.total_seconds()),
        }

    def token(self, audience: str, *, subject: str = "somebody", valid: timedelta = TOKEN_LIFE) -> str:
        """A good token."""
        return self.sign(self.claims(audience, subject=subject, valid=valid))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with any claims, under the newest key."""
        return self._keys[0].sign(claims, kid=self._keys[0].kid)

    @property
    def key(self) -> _SigningKey:
        """The newest key; for the functions of this module."""
        return self._keys[0]

    def _new_key(self, algorithm: Algorithm) -> _SigningKey:
        self._made += 1
        return _SigningKey.new(f"{self.name}-{self._made}", algorithm)


def expired_token(authority: TokenAuthority, audience: str) -> str:
    """Good for an hour, until an hour ago."""
    return authority.sign(_shifted(authority.claims(audience, valid=AN_HOUR), -2 * AN_HOUR))


def token_not_yet_valid(authority: TokenAuthority, audience: str) -> str:
    """Issued now, valid from an hour ahead."""
    claims = authority.claims(audience, valid=2 * AN_HOUR)
    return authority.sign(claims | {"nbf": claims["nbf"] + int(AN_HOUR.total_seconds())})


def token_from_the_future(authority: TokenAuthority, audience: str) -> str:
    """Issued an hour ahead, with no other word on its beginning."""
    claims = authority.claims(audience, valid=2 * AN_HOUR)
    del claims["nbf"]
    return authority.sign(claims | {"iat": claims["iat"] + int(AN_HOUR.total_seconds())})


def token_without_expiry(authority: TokenAuthority, audience: str) -> str:
    """It would be good for ever."""
    claims = authority.claims(audience)
    del claims["exp"]
    return authority.sign(claims)


def token_for_other_audience(authority: TokenAuthority, audience: str) -> str:
    """For a service whose name begins with the right one."""
    return authority.sign(authority.claims(f"{audience}-other"))


def token_of_other_issuer(authority: TokenAuthority, audience: str) -> str:
    """Says that somebody unknown has issued it, and bears the right signature all the same."""
    return authority.sign(authority.claims(audience) | {"iss": f"{authority.issuer}.other.test"})


def token_signed_by_stranger(authority: TokenAuthority, audience: str) -> str:
    """Names the right key, but was signed with one that nobody knows."""
    stranger = _SigningKey.new(authority.key.kid, authority.key.algorithm)
    return stranger.sign(authority.claims(audience), kid=stranger.kid)


def token_with_unknown_key(authority: TokenAuthority, audience: str) -> str:
    """Names a key that is not in the key set."""
    return authority.key.sign(authority.claims(audience), kid=f"{authority.key.kid}-other")


def token_without_key(authority: TokenAuthority, audience: str) -> str:
    """Names no key."""
    return authority.key.sign(authority.claims(audience), kid=None)


def unsigned_token(authority: TokenAuthority, audience: str) -> str:
    """`alg: none` (RFC 8725 section 2.1)."""
    return f"{_signing_input({'alg': 'none', 'kid': authority.key.kid}, authority.claims(audience))}."


def hmac_token(authority: TokenAuthority, audience: str) -> str:
    """Signed with the *public* key as if it were a shared secret (RFC 8725 section 2.1)."""
    public = authority.key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = _signing_input({"alg": "HS256", "kid": authority.key.kid}, authority.claims(audience))
    signature = hmac.new(public, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{_base64url(signature)}"


def _shifted(claims: Mapping[str, Any], by: timedelta) -> dict[str, Any]:
    times = {name: claims[name] + int(by.total_seconds()) for name in ("iat", "nbf", "exp")}
    return dict(claims) | times


def _signing_input(header: Mapping[str, str], claims: Mapping[str, Any]) -> str:
    parts = ({"typ": "JWT", **header}, claims)
    return ".".join(_base64url(json.dumps(part).encode()) for part in parts)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
