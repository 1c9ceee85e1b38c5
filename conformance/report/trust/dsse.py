"""The Dead Simple Signing Envelope, version 1: a payload of a named type, and signatures over both.

Invariants: what is signed is the pre-authentication encoding, never the JSON around it; base64 has the one spelling
that encodes its bytes; in what meshmark keeps, the whole envelope is spelled as RFC 8785 spells it, so that no bit of
it is without meaning.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from conformance.model.canonical import canonical
from conformance.report.trust.keys import Signer

__all__ = ["Envelope", "EnvelopeError", "Signature", "encoded_for_signing", "parse_envelope", "sign"]

LARGEST_ENVELOPE = 8 * 1024 * 1024
MOST_SIGNATURES = 50


class EnvelopeError(ValueError):
    """This is no envelope; the message says why."""


@dataclass(frozen=True)
class Signature:
    """A signature and the id of the key that is said to have made it."""

    key: str
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class Envelope:
    """A payload with its signatures."""

    payload: bytes = field(repr=False)
    payload_type: str
    signatures: tuple[Signature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What the signatures are over."""
        return encoded_for_signing(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """The envelope in its one spelling."""
        return canonical(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": each.key, "sig": base64.b64encode(each.value).decode()} for each in self.signatures
                ],
            }
        )


def encoded_for_signing(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: type and payload, each after its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, key: Signer) -> Envelope:
    """An envelope with one signature."""
    made = key.sign(encoded_for_signing(payload_type, payload))
    return Envelope(payload, payload_type, (Signature(key.public.id, made),))


def parse_envelope(content: bytes, *, strict: bool = True) -> Envelope:
    """Read an envelope.

    Args:
        content: its JSON.
        strict: take no other spelling than that of `Envelope.to_bytes`. Envelopes of other programs have others.

    Raises:
        EnvelopeError: it is none.

    """
    if len(content) > LARGEST_ENVELOPE:
        raise EnvelopeError("is larger than an envelope may be")
    try:
        value = json.loads(content, object_pairs_hook=_without_duplicates)
        listed = value["signatures"]
        if not isinstance(value["payloadType"], str) or not isinstance(listed, list) or not listed:
            raise EnvelopeError("is no signed envelope (DSSE)")
        if len(listed) > MOST_SIGNATURES:
            raise EnvelopeError(f"has more than {MOST_SIGNATURES} signatures")
        signatures = tuple(Signature(_text(each.get("keyid", "")), _decoded(each["sig"])) for each in listed)
        envelope = Envelope(_decoded(value["payload"]), value["payloadType"], signatures)
        spelled = envelope.to_bytes()
    except EnvelopeError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EnvelopeError("is no signed envelope (DSSE)") from error
    if strict and spelled != content:
        raise EnvelopeError("is not spelled as meshmark spells an envelope")
    return envelope


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise EnvelopeError("names a key by something that is no text")
    return value


def _decoded(value: object) -> bytes:
    """Standard or URL-safe base64 (DSSE allows both), padded, in the one spelling of its bytes."""
    if not isinstance(value, str):
        raise EnvelopeError("has something that is no base64")
    try:
        standard = value.encode("ascii").replace(b"-", b"+").replace(b"_", b"/")
        decoded = base64.b64decode(standard, validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise EnvelopeError("has something that is no base64") from error
    if base64.b64encode(decoded) != standard:
        raise EnvelopeError("has base64 in another spelling than the one of its bytes")
    return decoded


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise EnvelopeError("has the same key twice")
    return dict(pairs)
