"""Signatures on a bundle: each a statement about its manifest and its record, in an envelope of its own."""

from __future__ import annotations

import hashlib

from conformance.model.errors import UsageError
from conformance.report.bundle import Bundle
from conformance.report.trust.keys import Signer
from conformance.report.trust.sealed import seal
from conformance.report.trust.statements import Predicate, statement

__all__ = ["STATEMENT_PAYLOAD", "sign_bundle"]

STATEMENT_PAYLOAD = "application/vnd.in-toto+json"


def sign_bundle(bundle: Bundle, key: Signer, *, predicate: Predicate = "test-result", at: str | None = None) -> Bundle:
    """The bundle with one signature more.

    Args:
        bundle: unsigned, or signed by others.
        key: of the signer.
        predicate: of the statement that is signed.
        at: when; now by default.

    Raises:
        UsageError: this key has signed it already, or its record is not sound.

    """
    if key.public.id in bundle.signatures:
        raise UsageError("is signed with this key already", next_step="keep it as it is, or sign with another key")
    manifest = hashlib.sha256(bundle.manifest_bytes).hexdigest()
    signed = seal(statement(bundle.material, predicate, manifest=manifest), STATEMENT_PAYLOAD, key, at)
    return bundle.signed(key.public.id, signed.to_bytes())
