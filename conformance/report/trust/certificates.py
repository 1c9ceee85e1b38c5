"""Statements of conformance: what a governance body says about a record after its review, until when, and whether it
still says so.

A certificate is an in-toto Statement about the record and the manifest of its bundle, with a predicate of our own. A
status list names the certificates that were withdrawn. Both count only with the signature of a trusted key in the role
`governance`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from conformance.model.errors import UsageError
from conformance.model.requirements import Role
from conformance.model.verdict import now
from conformance.report.bundle import Bundle
from conformance.report.findings import applied_waivers
from conformance.report.text import one_line
from conformance.report.trust.dsse import Envelope
from conformance.report.trust.keys import PublicKey, Signer
from conformance.report.trust.sealed import CLOCK_SKEW, Distrust, Sealed, opened, seal
from conformance.report.trust.signing import STATEMENT_PAYLOAD
from conformance.report.trust.statements import STATEMENT_TYPE, digest_entry

__all__ = [
    "CERTIFICATE",
    "CERTIFICATE_SUFFIX",
    "STATUS_PAYLOAD",
    "Certificate",
    "issue_certificate",
    "open_certificate",
    "open_status_list",
    "revoked_list",
]

CERTIFICATE_SUFFIX = ".certificate.json"
CERTIFICATE = "urn:meshmark:predicate:certificate:1"
STATUS_SCHEMA = "meshmark/status-list/1"
STATUS_PAYLOAD = "application/vnd.meshmark.status-list+json"
ISSUER = Role.GOVERNANCE
FACTS = {"subject": dict, "profile": str, "suite": dict, "outcome": str, "expires": str, "conditions": list}


@dataclass(frozen=True)
class Certificate:
    """A certificate whose signature was verified.

    Attributes:
        facts: subject, profile, topology, features, suite, outcome, waivers, expires, conditions.
        record: SHA-256 of the record that it is about.
        sealed: who signed it, and when.

    """

    facts: Mapping[str, Any]
    record: str
    sealed: Sealed

    @property
    def id(self) -> str:
        """By which a status list names it: the SHA-256 of its statement."""
        return hashlib.sha256(self.sealed.payload).hexdigest()

    @property
    def expires(self) -> date:
        """The last day on which it is good."""
        return date.fromisoformat(self.facts["expires"])

    def flaws(self, at: datetime) -> list[str]:
        """Why it is not good at a moment, but for a withdrawal."""
        found = []
        if self.expires < at.date():
            found.append(f"it has expired on {self.expires}")
        if self.sealed.at > at + CLOCK_SKEW:
            found.append(f"it is dated {self.sealed.at:%Y-%m-%d %H:%M:%S} UTC, which has not come yet")
        return found


def issue_certificate(
    bundle: Bundle, key: Signer, *, expires: date, conditions: Sequence[str], at: str | None = None
) -> Envelope:
    """Certify what a bundle proves; that it was verified, and proves conformance, is for the caller to see to.

    Args:
        bundle: that was verified.
        key: of a governance body.
        expires: the last good day, not after that of a waiver on which conformance rests.
        conditions: under which it holds, in words.
        at: when; now by default.

    Raises:
        UsageError: the key has another role, or the expiry is past or too far.

    """
    _refuse_other_role(key, "a certificate")
    record, signed_at = bundle.material.record, at or now()
    waived = applied_waivers(record)
    if expires.isoformat() < signed_at[:10]:
        raise UsageError(f"{expires} is past", where="--expires", next_step="name a day to come")
    if waived and expires.isoformat() > (last := min(each["expires"] for each in waived.values())):
        raise UsageError(
            f"conformance rests on a waiver that is good until {last}, and no longer",
            where="--expires",
            next_step=f"name {last} or a day before",
        )
    facts = {
        "subject": {name: record["subject"][name] for name in ("role", "name", "vendor", "version")},
        "profile": record["profile"],
        "topology": record["topology"],
        "features": record["features"],
        "suite": dict(record["suite"]),
        "outcome": record["outcome"],
        "waivers": [{name: each[name] for name in ("check", "owner", "expires")} for each in waived.values()],
        "expires": expires.isoformat(),
        "conditions": list(conditions),
    }
    manifest = hashlib.sha256(bundle.manifest_bytes).hexdigest()
    subjects = [digest_entry("record.json", bundle.record_digest), digest_entry("manifest.json", manifest)]
    statement = {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": CERTIFICATE, "predicate": facts}
    return seal(statement, STATEMENT_PAYLOAD, key, signed_at)


def open_certificate(content: bytes, trusted: Mapping[str, PublicKey]) -> Certificate:
    """Verify the signature of a certificate.

    Raises:
        Distrust: it is none, or no trusted governance body has signed it.

    """
    sealed = opened(content, STATEMENT_PAYLOAD, trusted)
    document = sealed.document
    if document.get("predicateType") != CERTIFICATE:
        raise Distrust("is no certificate that this version understands")
    _demand_issuer(sealed)
    facts = document["predicate"]
    try:
        digests = {each["name"]: each["digest"]["sha256"] for each in document["subject"]}
        if not all(isinstance(facts[name], kind) for name, kind in FACTS.items()):
            raise TypeError("a fact of another kind")
        certificate = Certificate(facts, str(digests["record.json"]), sealed)
        date.fromisoformat(facts["expires"])
    except (KeyError, TypeError, ValueError) as error:
        raise Distrust("lacks what a certificate says") from error
    return certificate


def open_status_list(content: bytes, trusted: Mapping[str, PublicKey], at: datetime) -> tuple[Sealed, dict[str, str]]:
    """Verify a status list.

    Returns: who signed it and when, and the reasons of withdrawals by the id of the certificate.

    Raises:
        Distrust: it is none, no trusted governance body has signed it, or it is dated in the future.

    """
    sealed = opened(content, STATUS_PAYLOAD, trusted)
    _demand_issuer(sealed)
    if sealed.document.get("schema") != STATUS_SCHEMA:
        raise Distrust("is no status list that this version understands")
    if sealed.at > at + CLOCK_SKEW:
        raise Distrust(f"is dated {sealed.at:%Y-%m-%d %H:%M:%S} UTC, which has not come yet")
    try:
        entries = sealed.document["revoked"]
        return sealed, {str(each["certificate"]): one_line(str(each["reason"]), 500) for each in entries}
    except (KeyError, TypeError) as error:
        raise Distrust("is no sound status list") from error


def revoked_list(known: bytes | None, certificate: bytes, reason: str, key: Signer) -> Envelope:
    """A status list that names one certificate more.

    Args:
        known: the list so far, signed with the same key; None: there is none.
        certificate: that is withdrawn; signed with the same key.
        reason: in words.
        key: of the governance body.

    Raises:
        UsageError: the key has another role, or list or certificate are not its own.

    """
    _refuse_other_role(key, "a status list")
    own = {key.public.id: key.public}
    try:
        withdrawn = open_certificate(certificate, own).id
        entries = list(opened(known, STATUS_PAYLOAD, own).document["revoked"]) if known is not None else []
    except Distrust as why:
        raise UsageError(f"what is to be changed {why}", next_step="use the key that signed it") from why
    if all(each["certificate"] != withdrawn for each in entries):
        entries.append({"certificate": withdrawn, "at": now(), "reason": reason})
    return seal({"schema": STATUS_SCHEMA, "revoked": entries}, STATUS_PAYLOAD, key)


def _refuse_other_role(key: Signer, what: str) -> None:
    if key.role != ISSUER:
        raise UsageError(
            f"{key.name} signs in the role {key.role}, and {what} is signed in the role {ISSUER}",
            where="--key",
            next_step=f"use a key that was made with --role {ISSUER}",
        )


def _demand_issuer(sealed: Sealed) -> None:
    if sealed.key.role != ISSUER:
        raise Distrust(f"was signed by {sealed.by}, in the wrong role: {ISSUER} is needed")
