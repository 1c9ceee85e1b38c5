"""Certificates that lie among the bundles of a registry: which bundle each is about, and whether it is good.

Invariants: a certificate counts only with the signature of a trusted governance body; one that has expired or was
withdrawn is shown as that; whatever does not count is refused, with the reason, and never left out in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from conformance.report.registry.entries import Entry, Refusal
from conformance.report.registry.site import files_below
from conformance.report.registry.verification import Finding, FindingKind
from conformance.report.text import cut, one_line
from conformance.report.trust.certificates import (
    CERTIFICATE_SUFFIX,
    Certificate,
    open_certificate,
    open_status_list,
)
from conformance.report.trust.keys import PublicKey
from conformance.report.trust.sealed import Distrust

__all__ = ["NO_CERTIFICATES", "STATUS_FILE", "Certificates", "Certified", "read_certificates"]

STATUS_FILE = "status-list.json"
LARGEST_CERTIFICATE = 1024 * 1024
LONGEST_TEXT = 300


@dataclass(frozen=True)
class Certified:
    """A certificate.

    Attributes:
        path: where it lies, below the folder that was built from.
        name: of its file in the site.
        content: its bytes.
        finding: what it says of its bundle, on the day of the build.

    """

    path: str
    name: str
    content: bytes = field(repr=False)
    finding: Finding


@dataclass(frozen=True)
class Certificates:
    """All of them.

    Attributes:
        by_record: by the name of the record that they are about.
        refusals: files that do not count.
        status: the status list that says which were withdrawn; None: nobody gave one.

    """

    by_record: Mapping[str, tuple[Certified, ...]] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    status: bytes | None = None

    def of(self, record: str) -> tuple[Certified, ...]:
        """Those of a record."""
        return self.by_record.get(record, ())

    def added_to(self, found: Entry | Refusal) -> Entry | Refusal:
        """What was found, and what certificates say of it."""
        if isinstance(found, Refusal):
            return found
        findings = tuple(each.finding.to_json() for each in self.of(found.record))
        return replace(found, findings=(*found.findings, *findings))

    def refused(self, records: Set[str]) -> list[Refusal]:
        """What does not count in a registry of these records."""
        return [
            *self.refusals,
            *(
                Refusal(each.path, hashlib.sha256(each.content).hexdigest(), "certifies a record that is not here")
                for record, several in self.by_record.items()
                if record not in records
                for each in several
            ),
        ]


NO_CERTIFICATES = Certificates()


def read_certificates(
    folder: Path, site: Path, trusted: Mapping[str, PublicKey], status: bytes | None, at: datetime
) -> Certificates:
    """Read all certificates below a folder.

    Args:
        folder: searched for files `*.certificate.json`.
        site: that is built, and left out.
        trusted: keys, by their ids.
        status: a status list; None: there is none, so nothing says that a certificate was not withdrawn.
        at: the moment at which they shall be good.

    Raises:
        Distrust: the status list is not to be trusted.

    """
    withdrawn = {} if status is None else open_status_list(status, trusted, at)[1]
    by_record: dict[str, tuple[Certified, ...]] = {}
    refusals = []
    for path, content in _found(folder, site):
        if isinstance(content, Refusal):
            refusals.append(content)
            continue
        digest = hashlib.sha256(content).hexdigest()
        try:
            certificate = open_certificate(content, trusted)
        except Distrust as why:
            refusals.append(Refusal(path, digest, one_line(f"the certificate {why}", LONGEST_TEXT)))
            continue
        one = Certified(path, f"{digest[:16]}{CERTIFICATE_SUFFIX}", content, _finding(certificate, withdrawn, at))
        known = by_record.get(certificate.record, ())
        # The same file may lie there twice.
        if one.name not in {each.name for each in known}:
            by_record[certificate.record] = (*known, one)
    return Certificates(by_record, tuple(refusals), status)


def _finding(certificate: Certificate, withdrawn: Mapping[str, str], at: datetime) -> Finding:
    name, day = cut(certificate.sealed.key.name, LONGEST_TEXT), certificate.expires.isoformat()
    if (reason := withdrawn.get(certificate.id)) is not None:
        why = one_line(reason, LONGEST_TEXT)
        return Finding.known(FindingKind.WARNING, "finding_text.withdrawn", name=name, reason=why)
    if flaws := certificate.flaws(at):
        why = one_line("; ".join(flaws), LONGEST_TEXT)
        return Finding.known(FindingKind.WARNING, "finding_text.not_good", name=name, reason=why)
    conditions = len(certificate.facts["conditions"])
    key = "finding_text.certified_on_conditions" if conditions else "finding_text.certified"
    return replace(Finding.known(FindingKind.NOTE, key, name=name, number=conditions), expires=day)


def _found(folder: Path, site: Path) -> Iterator[tuple[str, bytes | Refusal]]:
    for place in files_below(folder, CERTIFICATE_SUFFIX, site):
        path = place.relative_to(folder).as_posix()
        try:
            if not place.is_file() or place.stat().st_size > LARGEST_CERTIFICATE:
                yield path, Refusal(path, "", f"is no regular file of at most {LARGEST_CERTIFICATE:,} bytes")
            else:
                yield path, place.read_bytes()
        except OSError as error:
            yield path, Refusal(path, "", f"cannot be read: {error.strerror}")
