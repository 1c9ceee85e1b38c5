"""Tokens are believed if a trusted issuer signed them for this audience and this time, and in no other case."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from conformance.authn.keys import TrustedIssuer
from conformance.authn.reasons import Reason, Refused
from conformance.authn.tokens import LEEWAY_S, LONGEST_HEADER, VERIFIED_AT_MOST, Tokens
from conformance.model.policies import TokenIssuer
from conformance.pki import tokens as issuing
from conformance.pki.tokens import Algorithm, TokenAuthority

AUDIENCE = "births"
NOW = 1_800_000_000.0


def authority_of(algorithm: Algorithm) -> TokenAuthority:
    return TokenAuthority(algorithm=algorithm, clock=lambda: datetime.fromtimestamp(NOW, UTC))


AUTHORITIES = {algorithm: authority_of(algorithm) for algorithm in Algorithm}
OURS = AUTHORITIES[Algorithm.ES256]

BAD = {
    issuing.expired_token: Reason.TOKEN_EXPIRED,
    issuing.hmac_token: Reason.TOKEN_ALGORITHM,
    issuing.token_for_other_audience: Reason.TOKEN_AUDIENCE,
    issuing.token_from_the_future: Reason.TOKEN_FROM_THE_FUTURE,
    issuing.token_not_yet_valid: Reason.TOKEN_NOT_YET_VALID,
    issuing.token_of_other_issuer: Reason.TOKEN_ISSUER,
    issuing.token_signed_by_stranger: Reason.TOKEN_SIGNATURE,
    issuing.token_with_unknown_key: Reason.TOKEN_KEY_UNKNOWN,
    issuing.token_without_expiry: Reason.TOKEN_WITHOUT_EXPIRY,
    issuing.token_without_key: Reason.TOKEN_KEY_UNKNOWN,
    issuing.unsigned_token: Reason.TOKEN_ALGORITHM,
}


def judged(
    token: str, authority: TokenAuthority = OURS, tokens: Tokens | None = None, now: float = NOW
) -> str | Reason:
    """The subject of a token that counts, or why it does not."""
    issuers = [TrustedIssuer(authority.policy)]
    try:
        return (tokens or Tokens()).judge(f"Bearer {token}", AUDIENCE, issuers, now).subject
    except Refused as refused:
        return refused.reason


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_good_token_counts_whatever_the_algorithm(algorithm: Algorithm):
    authority = AUTHORITIES[algorithm]
    assert judged(authority.token(AUDIENCE, subject="ann"), authority) == "ann"


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_token_is_refused_for_its_own_reason(make: Callable[[TokenAuthority, str], str], algorithm: Algorithm):
    assert judged(make(AUTHORITIES[algorithm], AUDIENCE), AUTHORITIES[algorithm]) is BAD[make]


def test_every_bad_token_is_tried():
    assert {make.__name__ for make in BAD} == {name for name in issuing.__all__ if "token" in name}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param(None, Reason.TOKEN_MISSING, id="none"),
        pytest.param("", Reason.TOKEN_MISSING, id="empty"),
        pytest.param("Basic YTpi", Reason.TOKEN_MALFORMED, id="another scheme"),
        pytest.param("Bearer", Reason.TOKEN_MALFORMED, id="no token"),
        pytest.param("Bearer a.b", Reason.TOKEN_MALFORMED, id="two parts"),
        pytest.param("Bearer a.b.c", Reason.TOKEN_MALFORMED, id="three letters"),
        pytest.param("Bearer  " + OURS.token(AUDIENCE), Reason.TOKEN_MALFORMED, id="two blanks"),
        pytest.param("Bearer " + OURS.token(AUDIENCE) + " x", Reason.TOKEN_MALFORMED, id="a word behind it"),
        pytest.param(
            "Bearer " + OURS.token(AUDIENCE) + ",Bearer " + OURS.token(AUDIENCE), Reason.TOKEN_REPEATED, id="two tokens"
        ),
        pytest.param("Bearer " + "a" * LONGEST_HEADER, Reason.TOKEN_TOO_LONG, id="too long"),
        pytest.param(
            f"Bearer {base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.AA",
            Reason.TOKEN_MALFORMED,
            id="endless lists",
        ),
        pytest.param(
            f"Bearer {base64.urlsafe_b64encode(b'[1]').decode()}.e30.AA", Reason.TOKEN_MALFORMED, id="no object"
        ),
    ],
)
def test_a_header_without_one_signed_token_is_refused(header: str | None, reason: Reason):
    with pytest.raises(Refused) as caught:
        Tokens().judge(header, AUDIENCE, [TrustedIssuer(OURS.policy)], NOW)
    assert caught.value.reason is reason


def test_the_scheme_is_written_in_any_case():
    assert Tokens().judge(f"bEARER {OURS.token(AUDIENCE)}", AUDIENCE, [TrustedIssuer(OURS.policy)], NOW)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"aud": ["other", AUDIENCE]}, "somebody"),
        ({"aud": []}, Reason.TOKEN_AUDIENCE),
        ({"aud": [AUDIENCE.upper(), 1, None]}, Reason.TOKEN_AUDIENCE),
        ({"aud": {AUDIENCE: 1}}, Reason.TOKEN_MALFORMED),
        ({"aud": f"{AUDIENCE} "}, Reason.TOKEN_AUDIENCE),
        ({"iss": [OURS.issuer]}, Reason.TOKEN_ISSUER),
        ({"iss": OURS.issuer + "/"}, Reason.TOKEN_ISSUER),
        ({"exp": float("inf")}, Reason.TOKEN_MALFORMED),
        ({"exp": float("nan")}, Reason.TOKEN_MALFORMED),
        ({"exp": True}, Reason.TOKEN_MALFORMED),
        ({"exp": "tomorrow"}, Reason.TOKEN_MALFORMED),
        ({"exp": None}, Reason.TOKEN_MALFORMED),
        ({"exp": 10**400}, Reason.TOKEN_MALFORMED),
        ({"nbf": -1}, Reason.TOKEN_MALFORMED),
        ({"exp": NOW - LEEWAY_S + 1}, "somebody"),
        ({"exp": NOW - LEEWAY_S - 1}, Reason.TOKEN_EXPIRED),
        ({"nbf": NOW + LEEWAY_S - 1}, "somebody"),
        ({"nbf": NOW + LEEWAY_S + 1}, Reason.TOKEN_NOT_YET_VALID),
        ({"iat": NOW + LEEWAY_S + 1}, Reason.TOKEN_FROM_THE_FUTURE),
        ({"sub": "a\r\nx-forged: b"}, "a%0D%0Ax-forged:%20b"),
        ({"sub": ["a"]}, Reason.TOKEN_MALFORMED),
        ({"sub": "ä" * 200}, Reason.TOKEN_MALFORMED),
    ],
    ids=str,
)
def test_each_claim_counts_exactly(claims: dict[str, Any], expected: str | Reason):
    good = OURS.claims(AUDIENCE)
    # PyJWT refuses to write some of these, so they are signed as they stand.
    assert judged(signed(good | claims)) == expected


def signed(claims: dict[str, Any]) -> str:
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, OURS.key.private, algorithm="ES256", headers={"kid": OURS.key.kid})


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_that_was_touched_anywhere_does_not_count(part: int):
    parts = OURS.token(AUDIENCE).split(".")
    for position in range(0, len(parts[part]), 7):
        letter = "A" if parts[part][position] != "A" else "B"
        touched = parts[part][:position] + letter + parts[part][position + 1 :]
        assert isinstance(judged(".".join([*parts[:part], touched, *parts[part + 1 :]])), Reason)


def test_during_a_rotation_both_keys_count_and_after_it_the_new_one_only():
    authority, tokens = authority_of(Algorithm.ES256), Tokens()
    old = authority.token(AUDIENCE)
    assert judged(old, authority, tokens) == "somebody"
    authority.rotate(Algorithm.RS256)
    new = authority.token(AUDIENCE)
    assert [judged(token, authority, tokens) for token in (old, new)] == ["somebody"] * 2
    authority.forget_earlier_keys()
    # Though it was found good before.
    assert judged(old, authority, tokens) is Reason.TOKEN_KEY_UNKNOWN
    assert judged(new, authority, tokens) == "somebody"


def test_a_token_found_good_before_still_expires_and_is_still_for_one_audience():
    tokens, issuers = Tokens(), [TrustedIssuer(OURS.policy)]
    header = f"Bearer {OURS.token(AUDIENCE)}"
    tokens.judge(header, AUDIENCE, issuers, NOW)
    for audience, now, reason in (
        (AUDIENCE, NOW + 10_000, Reason.TOKEN_EXPIRED),
        ("other", NOW, Reason.TOKEN_AUDIENCE),
    ):
        with pytest.raises(Refused) as caught:
            tokens.judge(header, audience, issuers, now)
        assert caught.value.reason is reason


def test_a_token_found_good_for_one_service_is_not_good_where_its_issuer_is_not_accepted():
    tokens, other = Tokens(), TokenAuthority("https://other.test", name="other")
    header = f"Bearer {OURS.token(AUDIENCE)}"
    tokens.judge(header, AUDIENCE, [TrustedIssuer(OURS.policy)], NOW)
    for issuers in ([], [TrustedIssuer(other.policy)]):
        with pytest.raises(Refused) as caught:
            tokens.judge(header, AUDIENCE, issuers, NOW)
        assert caught.value.reason is Reason.TOKEN_ISSUER


def test_no_more_tokens_are_remembered_than_memory_allows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conformance.authn.tokens.VERIFIED_AT_MOST", 10)
    assert VERIFIED_AT_MOST > 10
    tokens = Tokens()
    for number in range(30):
        assert judged(OURS.token(AUDIENCE, subject=str(number)), tokens=tokens) == str(number)
    assert len(tokens._verified) == 10


def rsa_entry(bits: int, **more: str) -> dict[str, Any]:
    public = rsa.generate_private_key(65537, bits).public_key()
    return RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": "k", **more}


def keys_of(*entries: Any) -> dict[str, set[str]]:
    issuer = TrustedIssuer(TokenIssuer("tokens", OURS.issuer, json.dumps({"keys": entries})))
    return {kid: set(bound) for kid, bound in issuer.keys.items()}


def test_a_key_is_bound_to_the_algorithms_of_its_kind():
    assert keys_of(rsa_entry(2048)) == {"k": {"RS256", "PS256"}}
    assert keys_of(rsa_entry(2048, alg="PS256")) == {"k": {"PS256"}}


def test_keys_that_must_not_be_trusted_are_left_out():
    curve = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True) | {"kid": "k"}
    assert keys_of(rsa_entry(1024)) == {}
    assert keys_of(rsa_entry(2048, use="enc")) == {}
    assert keys_of(rsa_entry(2048, alg="HS256")) == {}
    assert keys_of(rsa_entry(2048) | {"kid": ""}) == {}
    assert keys_of(rsa_entry(2048), rsa_entry(2048)) == {}
    assert keys_of(curve) == {}
    assert keys_of({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}) == {}
    assert keys_of({"kty": "RSA", "kid": "k", "n": "!", "e": 1}, "no key", {}) == {}


@pytest.mark.parametrize("jwks", ["", "{", "[]", "null", '{"keys": 1}', "[" * 100_000])
def test_a_key_set_that_cannot_be_read_has_no_keys(jwks: str):
    assert TrustedIssuer(TokenIssuer("tokens", OURS.issuer, jwks)).keys == {}


@given(st.text(max_size=60) | st.from_regex(r"Bearer [A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{0,20}"))
def test_whatever_the_header_says_it_is_judged(header: str):
    with pytest.raises(Refused):
        Tokens().judge(header, AUDIENCE, [TrustedIssuer(OURS.policy)], NOW)
