"""What `meshmark verify` says of a certificate."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from conformance.cli.trusting import read_whole
from conformance.model.errors import ExitCode
from conformance.report.text import one_line
from conformance.report.trust.certificates import (
    CERTIFICATE_SUFFIX,
    Certificate,
    open_certificate,
    open_status_list,
)
from conformance.report.trust.key_files import read_trusted
from conformance.report.trust.sealed import Distrust
from conformance.report.trust.verification import SignedBy
from conformance.report.wording import OUTCOME_WORDS, subject_name, utc

__all__ = ["verify_certificate"]


def verify_certificate(file: Path, trust: tuple[Path, ...], at: datetime, status: Path | None, form: str) -> int:
    """Verify a certificate and print the answer; gives the exit code."""
    trusted = read_trusted(trust)
    content = read_whole(file, f"a *{CERTIFICATE_SUFFIX}")
    listed = None if status is None else read_whole(status, "a status list")
    certificate: Certificate | None = None
    refusals: list[str] = []
    told = "No status list was given (--status), so nothing says that it was not withdrawn."
    try:
        certificate = open_certificate(content, trusted)
        refusals += certificate.flaws(at)
    except Distrust as why:
        refusals.append(f"the certificate {why}")
    try:
        if listed is not None:
            sealed, withdrawn = open_status_list(listed, trusted, at)
            told = f"Not withdrawn, says {sealed.by} on {sealed.at:%Y-%m-%d %H:%M:%S} UTC."
            if certificate and certificate.id in withdrawn:
                refusals.append(f"it was withdrawn: {withdrawn[certificate.id]}")
    except Distrust as why:
        refusals.append(f"the status list {why}")
    refusals = [one_line(f"{each[0].upper()}{each[1:]}.", 600) for each in refusals]
    if form == "json":
        click.echo(json.dumps(_as_json(certificate, refusals, told), indent=2))
    else:
        click.echo("\n".join(_in_words(file, certificate, refusals, told)))
    return int(ExitCode.NOT_CONFORMANT) if refusals else 0


def _as_json(certificate: Certificate | None, refusals: list[str], told: str) -> dict[str, Any]:
    return {
        "verified": not refusals,
        "certificate": certificate.id if certificate else None,
        "statement": {**certificate.facts} if certificate else None,
        "record_sha256": certificate.record if certificate else None,
        "signatures": [SignedBy.of(certificate.sealed).to_json()] if certificate else [],
        "refusals": refusals,
        "remarks": [] if refusals else [told],
    }


def _in_words(file: Path, certificate: Certificate | None, refusals: list[str], told: str) -> list[str]:
    lines = [f"{'REFUSED, not to be trusted' if refusals else 'VERIFIED'}: {file}", *(f"  {each}" for each in refusals)]
    if certificate is None:
        return lines
    facts, signed = certificate.facts, SignedBy.of(certificate.sealed)
    outcome = next((word for each, word in OUTCOME_WORDS.items() if each == facts["outcome"]), facts["outcome"])
    lines += [
        "",
        one_line(f"{outcome}: {_named(certificate)}, profile {facts['profile']}, until {facts['expires']}"),
        *(one_line(f"On condition: {each}") for each in facts["conditions"]),
        one_line(f"Judged by meshmark {facts['suite'].get('version')}, {facts['suite'].get('catalogue_digest')}"),
        one_line(f"Record {certificate.record}"),
        f"Issued by {one_line(signed.name)} as {signed.role} on {utc(signed.at)} (key {signed.key[:16]}…)",
    ]
    return lines if refusals else [*lines, told]


def _named(certificate: Certificate) -> str:
    subject = certificate.facts["subject"]
    return subject_name({"subject": {name: str(subject.get(name, "")) for name in ("name", "vendor", "version")}})
