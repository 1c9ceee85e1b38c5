"""Signed waivers: who answers for a known fail, of which subject, until when, and that somebody allows it.

    {schema: meshmark/waiver/1, check, subject: {name, vendor, version}, reason, owner, expires, signer}

Name, vendor and version may be patterns with `*` and `?`. A record carries the signed waiver as a whole, so whoever
verifies it needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Any

from conformance.model.record import Waiver, WaiverSignature, WaiverState
from conformance.report.findings import RecordJson
from conformance.report.text import one_line
from conformance.report.trust.dsse import Envelope
from conformance.report.trust.keys import PublicKey, Signer
from conformance.report.trust.sealed import CLOCK_SKEW, Distrust, Sealed, instant, opened, seal

__all__ = ["WAIVER_PAYLOAD", "WAIVER_SCHEMA", "open_waiver", "seal_waiver", "waiver_problems"]

WAIVER_SCHEMA = "meshmark/waiver/1"
WAIVER_PAYLOAD = "application/vnd.meshmark.waiver+json"
SUBJECT = ("name", "vendor", "version")
HELD = (WaiverState.APPLIED, WaiverState.UNUSED)
"""States of waivers that were good on the day of the run."""


def seal_waiver(waiver: Waiver, subject: Mapping[str, str], key: Signer, at: str | None = None) -> Envelope:
    """Sign a waiver for the subjects whose `name`, `vendor` and `version` fit these patterns."""
    document = {
        "schema": WAIVER_SCHEMA,
        "check": waiver.check,
        "subject": {name: subject[name] for name in SUBJECT},
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires.isoformat(),
    }
    return seal(document, WAIVER_PAYLOAD, key, at)


def open_waiver(content: bytes, subject: Mapping[str, Any], trusted: Mapping[str, PublicKey]) -> Waiver:
    """Verify a signed waiver.

    Args:
        content: the envelope.
        subject: `name`, `vendor` and `version` of what it is to be used for.
        trusted: keys by their ids.

    Raises:
        Distrust: it is none, no trusted key has signed it, it was changed, or it is for another subject.

    """
    sealed = opened(content, WAIVER_PAYLOAD, trusted)
    document = sealed.document
    texts = [document.get(name) for name in ("check", "reason", "owner", "expires")]
    patterns = document.get("subject")
    if (
        document.get("schema") != WAIVER_SCHEMA
        or not all(isinstance(each, str) and each for each in texts)
        or not isinstance(patterns, dict)
        or patterns.keys() != set(SUBJECT)
        or not all(isinstance(each, str) for each in patterns.values())
    ):
        raise Distrust("is no waiver that this version understands")
    for name in SUBJECT:
        if not fnmatchcase(subject[name], patterns[name]):
            raise Distrust(
                f"is for another subject: its {name} has to be {one_line(patterns[name], 80)!r}, "
                f"here: {one_line(subject[name], 80)!r}"
            )
    try:
        expires = date.fromisoformat(document["expires"])
    except ValueError as error:
        raise Distrust("has a last day that is no date") from error
    return Waiver(document["check"], document["reason"], document["owner"], expires, _signature(sealed, content))


def waiver_problems(
    record: RecordJson, signed_by: str | None, trusted: Mapping[str, PublicKey], at: datetime
) -> Iterator[str]:
    """Why waivers of a record do not hold, in words.

    Args:
        record: that carries them.
        signed_by: the role whose signature its profile asks for.
        trusted: keys by their ids.
        at: the moment for which the record is to be good.

    """
    started, finished = instant(record["started"]), instant(record["finished"])
    for waiver in record["waivers"]:
        about = f"the waiver for {waiver['check']}"
        for problem in _about_state(waiver, signed_by, started.date(), finished.date(), at.date()):
            yield f"{about} {problem}"
        if waiver["state"] in HELD:
            for problem in _about_signature(waiver, record["subject"], signed_by, trusted, finished):
                yield f"{about} {problem}"


def _about_state(waiver: RecordJson, signed_by: str | None, started: date, finished: date, at: date) -> Iterator[str]:
    state, signature, last = waiver["state"], waiver["signature"], date.fromisoformat(waiver["expires"])
    if state == WaiverState.EXPIRED and last >= finished:
        yield "is called expired, and had not"
    if state == WaiverState.UNSIGNED and (signed_by is None or (signature and signature["role"] == signed_by)):
        yield "is called unsigned, and the profile asks for no other signature"
    if state in HELD and last < started:
        yield f"had expired on {last}, before the run"
    elif state in HELD and last < at:
        yield f"has expired on {last}"


def _about_signature(
    waiver: RecordJson,
    subject: Mapping[str, Any],
    signed_by: str | None,
    trusted: Mapping[str, PublicKey],
    finished: datetime,
) -> Iterator[str]:
    signature = waiver["signature"]
    if signature is None:
        if signed_by is not None:
            yield f"is not signed, and the profile asks for the signature of {signed_by}"
        return
    try:
        again = open_waiver(signature["envelope"].encode(), subject, trusted)
    except Distrust as why:
        yield str(why)
        return
    assert again.signature is not None  # noqa: S101 -- it was opened by its signature
    said = tuple(waiver[name] for name in ("check", "reason", "owner", "expires"))
    if said != (again.check, again.reason, again.owner, again.expires.isoformat()) or dict(signature) != asdict(
        again.signature
    ):
        yield "is not the one that was signed"
    if signed_by is not None and again.signature.role != signed_by:
        yield f"is signed in the wrong role, {again.signature.role}: the profile asks for {signed_by}"
    if instant(again.signature.at) > finished + CLOCK_SKEW:
        yield "was signed after the run that it is for"


def _signature(sealed: Sealed, content: bytes) -> WaiverSignature:
    at = sealed.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return WaiverSignature(sealed.key.name, sealed.key.role.value, sealed.key.id, at, content.decode())
