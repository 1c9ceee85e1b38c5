"""Bearer tokens: signed JSON Web Tokens (RFC 7519, RFC 6750) of the issuers that policies name, and nothing else.

Invariants: the issuer and its key set decide which algorithm counts, not the token (RFC 8725 section 3.1); a claim is
believed only after the signature is found good; the text of a token is kept nowhere, its digest only. Clocks may
differ by `LEEWAY_S`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jwt

from conformance.authn.keys import ALGORITHMS, TrustedIssuer
from conformance.authn.reasons import Reason, Refused

__all__ = ["LEEWAY_S", "LONGEST_HEADER", "Believed", "Tokens"]

LEEWAY_S = 5.0
"""Seconds by which the clocks of issuers and of this service may differ."""
LONGEST_HEADER = 8192
"""Characters of the Authorization header."""
LONGEST_SUBJECT = 512
VERIFIED_AT_MOST = 10_000
LATEST_TIME = 253_402_300_799
"""The end of the year 9999: what is later is no date."""

COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
HEADER_SAFE = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"


@dataclass(frozen=True)
class Believed:
    """What a token says whose signature is good.

    Attributes:
        issuer: the issuer's name in the policies.
        audiences: whom it is for.
        begins, issued, ends: seconds since 1970; None: it does not say.
        subject: whom it is about, fit for a header.
        key: the key that its signature was checked with.

    """

    issuer: str
    audiences: frozenset[str]
    begins: float | None
    issued: float | None
    ends: float | None
    subject: str
    key: jwt.PyJWK

    def refusal(self, audience: str, now: float) -> Reason | None:
        """Why it does not count for this audience at this time."""
        if audience not in self.audiences:
            return Reason.TOKEN_AUDIENCE
        if self.ends is None:
            return Reason.TOKEN_WITHOUT_EXPIRY
        if now >= self.ends + LEEWAY_S:
            return Reason.TOKEN_EXPIRED
        if self.begins is not None and now < self.begins - LEEWAY_S:
            return Reason.TOKEN_NOT_YET_VALID
        if self.issued is not None and now < self.issued - LEEWAY_S:
            return Reason.TOKEN_FROM_THE_FUTURE
        return None


class Tokens:
    """Checks tokens, and remembers those whose signature was good, so that each costs a signature check once."""

    def __init__(self) -> None:
        self._jws = jwt.PyJWS()
        self._verified: OrderedDict[bytes, tuple[str, str, str, Believed]] = OrderedDict()

    def judge(self, authorization: str | None, audience: str, issuers: Iterable[TrustedIssuer], now: float) -> Believed:
        """What the token in an Authorization header says.

        Args:
            authorization: the value of the header; None: there is none.
            audience: what `aud` must name.
            issuers: whose tokens count.
            now: seconds since 1970.

        Raises:
            Refused: there is no token, or it does not count here and now.

        """
        believed = self._believed(_token(authorization), issuers)
        if reason := believed.refusal(audience, now):
            raise Refused(reason)
        return believed

    def _believed(self, token: str, issuers: Iterable[TrustedIssuer]) -> Believed:
        digest = hashlib.sha256(token.encode()).digest()
        if digest in self._verified:
            issuer, kid, algorithm, believed = self._verified[digest]
            # A key that was taken back, or an issuer that this service does not accept, is noticed here.
            if _issuer_and_key(issuers, issuer, kid, algorithm)[1] is believed.key:
                self._verified.move_to_end(digest)
                return believed
            del self._verified[digest]
        header, claims = self._unverified(token)
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS:
            raise Refused(Reason.TOKEN_ALGORITHM)
        trusted, key = _issuer_and_key(issuers, claims.get("iss"), header.get("kid"), algorithm)
        try:
            self._jws.decode_complete(token, key)
        except jwt.PyJWTError:
            raise Refused(Reason.TOKEN_SIGNATURE) from None
        believed = _read(claims, trusted.policy.name, key)
        self._verified[digest] = (claims["iss"], header["kid"], algorithm, believed)
        if len(self._verified) > VERIFIED_AT_MOST:
            self._verified.popitem(last=False)
        return believed

    def _unverified(self, token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        try:
            read = self._jws.decode_complete(token, options={"verify_signature": False})
            claims = json.loads(read["payload"])
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Refused(Reason.TOKEN_MALFORMED) from None
        if not isinstance(claims, dict):
            raise Refused(Reason.TOKEN_MALFORMED)
        return read["header"], claims


def _token(authorization: str | None) -> str:
    if not authorization:
        raise Refused(Reason.TOKEN_MISSING)
    if len(authorization) > LONGEST_HEADER:
        raise Refused(Reason.TOKEN_TOO_LONG)
    if "," in authorization:
        # The proxy joins several headers of one name; no token has a comma.
        raise Refused(Reason.TOKEN_REPEATED)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not COMPACT.fullmatch(token):
        raise Refused(Reason.TOKEN_MALFORMED)
    return token


def _issuer_and_key(
    issuers: Iterable[TrustedIssuer], issuer: object, kid: object, algorithm: object
) -> tuple[TrustedIssuer, jwt.PyJWK]:
    trusted = next((each for each in issuers if each.policy.issuer == issuer), None)
    if trusted is None:
        raise Refused(Reason.TOKEN_ISSUER)
    bound = trusted.keys.get(kid) if isinstance(kid, str) else None
    if bound is None:
        raise Refused(Reason.TOKEN_KEY_UNKNOWN)
    key = bound.get(str(algorithm))
    if key is None:
        raise Refused(Reason.TOKEN_ALGORITHM)
    return trusted, key


def _read(claims: Mapping[str, Any], issuer: str, key: jwt.PyJWK) -> Believed:
    audiences = claims.get("aud", [])
    if isinstance(audiences, str):
        audiences = [audiences]
    subject = claims.get("sub", "")
    if not isinstance(audiences, list) or not isinstance(subject, str):
        raise Refused(Reason.TOKEN_MALFORMED)
    subject = quote(subject, safe=HEADER_SAFE, errors="replace")
    if len(subject) > LONGEST_SUBJECT:
        raise Refused(Reason.TOKEN_MALFORMED)
    return Believed(
        issuer=issuer,
        audiences=frozenset(each for each in audiences if isinstance(each, str)),
        begins=_time(claims, "nbf"),
        issued=_time(claims, "iat"),
        ends=_time(claims, "exp"),
        subject=subject,
        key=key,
    )


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    # Neither infinity nor "not a number" passes the comparison, though Python reads both in JSON.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST_TIME:
        raise Refused(Reason.TOKEN_MALFORMED)
    return float(value)
