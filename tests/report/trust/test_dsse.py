"""Envelopes: strict in what we keep, and understood both ways by a program that is not ours."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from conformance.report.trust.dsse import Envelope, EnvelopeError, Signature, encoded_for_signing, parse_envelope, sign
from conformance.report.trust.keys import SigningKey

from .makers import LABORATORY, VENDOR

KIND = "application/vnd.in-toto+json"
KEYS = [VENDOR, LABORATORY]
payloads = st.binary(max_size=300)


def other_key(key: SigningKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.public.key, key.public.id)


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_another_program_verifies_what_we_sign(key: SigningKey) -> None:
    envelope = OtherEnvelope.from_dict(json.loads(sign(b'{"a": 1}', KIND, key).to_bytes()))
    assert envelope.verify([other_key(key)], 1).keys() == {key.public.id}
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([other_key(key)], 1)


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_we_verify_what_another_program_signs(key: SigningKey) -> None:
    theirs = OtherEnvelope(b'{"a": 1}', KIND, {})
    theirs.sign(CryptoSigner(key.key, other_key(key)))
    ours = parse_envelope(json.dumps(theirs.to_dict(), indent=1).encode(), strict=False)
    (signature,) = ours.signatures
    assert signature.key == key.public.id
    assert key.public.verifies(signature.value, ours.signed_bytes)
    assert not key.public.verifies(signature.value, ours.signed_bytes + b" ")


@given(payloads, st.text(max_size=20).filter(str.isprintable))
def test_both_sign_the_same_bytes(payload: bytes, kind: str) -> None:
    assert encoded_for_signing(kind, payload) == OtherEnvelope(payload, kind, {}).pae()


@given(payloads, st.lists(st.tuples(st.text("abcdef0123456789"), payloads), min_size=1, max_size=3))
def test_an_envelope_survives_being_written_and_read(payload: bytes, signatures: list[tuple[str, bytes]]) -> None:
    envelope = Envelope(payload, KIND, tuple(Signature(*each) for each in signatures))
    assert parse_envelope(envelope.to_bytes()) == envelope


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    assert encoded_for_signing("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def spelled(**changes: Any) -> bytes:
    good = {"payload": "YQ==", "payloadType": KIND, "signatures": [{"keyid": "k", "sig": "YQ=="}]}
    return json.dumps({**good, **changes}, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (spelled(payload="YR=="), "another spelling"),
        (spelled(payload="YQ"), "no base64"),
        (spelled(payload="Y Q=="), "no base64"),
        (spelled(payload="YQ==\n"), "no base64"),
        (spelled(payload="Ÿ"), "no base64"),
        (spelled(payload=7), "no base64"),
        (spelled(signatures=[]), "no signed envelope"),
        (spelled(signatures={}), "no signed envelope"),
        (spelled(signatures=[{"keyid": "k"}]), "no signed envelope"),
        (spelled(signatures=[{"keyid": 7, "sig": "YQ=="}]), "no text"),
        (spelled(signatures=[{"keyid": "k", "sig": "YQ=="}] * 51), "more than 50"),
        (spelled(payloadType=None), "no signed envelope"),
        (spelled().replace(b'"payload":', b'"payload":"YQ==","payload":'), "same key twice"),
        (b"null", "no signed envelope"),
        (b"[" * 100_000, "no signed envelope"),
        (b"\xff", "no signed envelope"),
        (bytes(8 * 1024 * 1024 + 1), "larger than"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_envelope_is_refused(content: bytes, said: str, strict: bool) -> None:
    with pytest.raises(EnvelopeError, match=said):
        parse_envelope(content, strict=strict)


@pytest.mark.parametrize(
    "content",
    [
        spelled() + b"\n",
        spelled().replace(b",", b", "),
        spelled(extra=1),
        spelled(payload="-_8="),
        spelled(payload="+_8="),
    ],
)
def test_what_we_keep_has_one_spelling(content: bytes) -> None:
    assert parse_envelope(spelled()).payload == b"a"
    assert parse_envelope(content, strict=False)
    with pytest.raises(EnvelopeError, match="not spelled as meshmark spells"):
        parse_envelope(content)


def test_url_safe_base64_of_others_is_understood() -> None:
    assert parse_envelope(spelled(payload="-_8="), strict=False).payload == base64.b64decode("+/8=")
