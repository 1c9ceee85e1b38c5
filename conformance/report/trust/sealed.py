"""A JSON document in an envelope, with who signed it, in which role, and when.

Invariants: a document is believed only if a trusted key signed it and its owner and role are those that the document
says; it has one spelling (RFC 8785), so equal documents are equal bytes. Whatever is wrong is said in words, as
`Distrust`: not an error of whoever asks, but the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.model.canonical import canonical
from conformance.model.errors import SuiteFault
from conformance.model.verdict import now
from conformance.report.text import one_line
from conformance.report.trust.dsse import Envelope, EnvelopeError, parse_envelope, sign
from conformance.report.trust.keys import PublicKey, Signer

__all__ = ["CLOCK_SKEW", "Distrust", "Sealed", "instant", "opened", "seal", "sealed_unseen"]

CLOCK_SKEW = timedelta(minutes=5)
"""How far two honest clocks may be apart."""


class Distrust(Exception):  # noqa: N818 -- no error: an answer
    """Why something is not to be trusted, in words."""


@dataclass(frozen=True)
class Sealed:
    """A document whose signature was verified.

    Attributes:
        document: without the signer.
        key: whose signature it is.
        at: when it was signed, as the signer says.
        payload: the signed bytes.

    """

    document: Mapping[str, Any]
    key: PublicKey
    at: datetime
    payload: bytes

    @property
    def by(self) -> str:
        """Who signed, as a sentence names it."""
        return f"{self.key.name} ({self.key.role})"


def seal(document: Mapping[str, Any], payload_type: str, key: Signer, at: str | None = None) -> Envelope:
    """Sign a document.

    Args:
        document: JSON without the key `signer`. An in-toto Statement carries it in its predicate, the one place that is
            open to additions.
        payload_type: what sort of document it is; a signature over one sort never counts for another.
        key: of the signer.
        at: when; now by default.

    """
    signer = {"name": key.name, "role": key.role.value, "key": key.public.id, "at": at or now()}
    if "predicate" in document:
        signed = {**document, "predicate": {**document["predicate"], "signer": signer}}
    else:
        signed = {**document, "signer": signer}
    return sign(canonical(signed), payload_type, key)


def opened(content: bytes, payload_type: str, trusted: Mapping[str, PublicKey]) -> Sealed:
    """Verify the one signature of a document.

    Raises:
        Distrust: it is not one of these documents, an unknown key or another role signed it, or it was changed.

    """
    envelope, document, signer = _parsed(content, payload_type)
    (signature,) = envelope.signatures
    key = trusted.get(signature.key)
    said = f"{one_line(signer['name'], 200)} ({one_line(signer['role'], 40)})"
    if key is None:
        raise Distrust(f"is signed by an unknown key, {signature.key[:64]!r}, said to be that of {said}")
    if not key.verifies(signature.value, envelope.signed_bytes):
        raise Distrust(f"has a signature that is not that of {key.name} ({key.role}): it was changed after signing")
    if signer["key"] != key.id:
        raise Distrust(f"names another key than the one of {key.name}, which signed it")
    if signer["role"] != key.role.value:
        raise Distrust(
            f"was signed by {key.name} in the wrong role, {signer['role']!r:.40}: it is trusted as {key.role}"
        )
    if signer["name"] != key.name:
        raise Distrust(f"was signed in the name of {one_line(signer['name'], 200)!r}; this key is that of {key.name!r}")
    return Sealed(document, key, instant(signer["at"]), envelope.payload)


def sealed_unseen(content: bytes, payload_type: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A document and its signer as they say themselves, unverified.

    Raises:
        Distrust: it is not one of these documents.

    """
    _, document, signer = _parsed(content, payload_type)
    return document, signer


def instant(text: str) -> datetime:
    """A time as meshmark writes it.

    Raises:
        Distrust: it is none.

    """
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Distrust(f"has a time that is none: {text!r:.40}") from error
    if found.tzinfo is None:
        raise Distrust(f"has a time without its zone: {text!r:.40}")
    return found.astimezone(UTC)


def _parsed(content: bytes, payload_type: str) -> tuple[Envelope, dict[str, Any], dict[str, str]]:
    try:
        envelope = parse_envelope(content)
    except EnvelopeError as error:
        raise Distrust(str(error)) from error
    if envelope.payload_type != payload_type:
        raise Distrust(f"holds a document of the type {envelope.payload_type!r:.80}; {payload_type!r} is needed")
    if len(envelope.signatures) != 1:
        raise Distrust(f"has {len(envelope.signatures)} signatures where one is needed")
    try:
        document = json.loads(envelope.payload)
        if canonical(document) != envelope.payload:
            raise Distrust("holds a document that is not in canonical JSON")
        signer = document.get("predicate", document).pop("signer")
        if signer.keys() != {"name", "role", "key", "at"} or not all(isinstance(each, str) for each in signer.values()):
            raise Distrust("does not say who signed it, in which role and when")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SuiteFault) as error:
        raise Distrust("holds no sound document") from error
    return envelope, document, signer
