"""What a registry keeps of each bundle, and of each that it refuses.

Invariants: an entry is a function of the bundle's bytes, the verifier's answer and the language, of nothing else, so it
is kept from build to build under these; every text in it is cut; a bundle that cannot be read, does not add up or
cannot be shown is refused, whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from conformance.model.errors import SuiteFault, UsageError
from conformance.model.verdict import Verdict
from conformance.report.bundle import Bundle, parse_bundle
from conformance.report.findings import RecordJson, applied_waivers
from conformance.report.formats import file_stem
from conformance.report.language import RECORD_LANGUAGE, current, speaking
from conformance.report.proof import Standing, check_standings, requirement_standings
from conformance.report.registry.verification import Finding, FindingKind, Verifier
from conformance.report.text import cut, one_line
from conformance.report.wording import outcome_sentence

__all__ = ["Entry", "Refusal", "read_entry"]

LONGEST_NAME = 160
LONGEST_TEXT = 600
MOST_REQUIREMENTS = 1_000
MOST_CHECKS = 5_000
LONGEST_ID = 64
"""Ids stand in the names of files."""


@dataclass(frozen=True)
class Refusal:
    """A bundle that counts as nothing.

    Attributes:
        path: where it lies, below the folder that was built from.
        sha256: of its bytes; empty when they were not read.
        reason: why.

    """

    path: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A bundle that counts. Values are plain JSON; `name`, `vendor` and the like are cut, their digests are not.

    Attributes:
        file: SHA-256 of the bundle's bytes.
        record: the record's name (`Material.digest`).
        subject_id: stands for the subject's whole name and vendor.
        download: the bundle's file name.
        sentence, told: the outcome in one sentence, for programs in English, and in the language of the site.
        requirements: state, level and waived, by id.
        checks: state, level, waived and reason, by id.
        waived_until: by waived requirement, the first day on which a waiver of it ends.
        texts: requirements' texts, by id.

    """

    file: str
    size: int
    record: str
    subject_id: str
    subject: Mapping[str, str]
    download: str
    profile: str
    suite: Mapping[str, str]
    envoy: str
    outcome: str
    sentence: str
    told: str
    totals: Mapping[str, int]
    started: str
    finished: str
    checks: Mapping[str, list[Any]]
    requirements: Mapping[str, list[Any]]
    waived_until: Mapping[str, str]
    waivers: tuple[Mapping[str, str], ...]
    signatures: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...]
    texts: Mapping[str, str]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Entry:
        """The inverse of `to_json`."""
        lists: dict[str, Any] = {name: tuple(values[name]) for name in ("waivers", "signatures", "findings")}
        return cls(**{**values, **lists})

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)

    @property
    def ended(self) -> datetime:
        """When its run ended."""
        return datetime.fromisoformat(self.finished)

    def check_standings(self) -> dict[str, Standing]:
        """Its checks, to be compared."""
        return {name: Standing(*values) for name, values in self.checks.items()}

    def standing(self, requirement: str, today: date) -> Standing | None:
        """Where a requirement stands on a day: a waiver covers nothing after its last day."""
        values = self.requirements.get(requirement)
        if values is None:
            return None
        state, level, waived = values
        return Standing(state, level, waived=waived and date.fromisoformat(self.waived_until[requirement]) >= today)

    def lapsed(self, today: date) -> list[Mapping[str, str]]:
        """Waivers that held in the run and have ended since."""
        return [
            each for each in self.waivers if each["state"] == "applied" and date.fromisoformat(each["expires"]) < today
        ]

    def said(self) -> list[Finding]:
        """What verification found."""
        return [Finding.from_json(each) for each in self.findings]


def read_entry(content: bytes, path: str, verifier: Verifier) -> Entry | Refusal:
    """Read a bundle, verify it, and keep what a registry shows of it."""
    language = current().code
    # What is kept stands in `index.json`, too, which programs read.
    with speaking(RECORD_LANGUAGE):
        return _read(content, path, verifier, language)


def _read(content: bytes, path: str, verifier: Verifier, language: str) -> Entry | Refusal:
    digest = hashlib.sha256(content).hexdigest()
    try:
        bundle = parse_bundle(content, path)
        record = bundle.material.record
        findings = list(verifier.verify(bundle))
        refused = [each.text for each in findings if each.kind is FindingKind.REFUSED]
        if not refused:
            return _entry(content, bundle, record, findings, language)
        reason = "; ".join(refused)
    except UsageError as problem:
        # Of the same bytes, the same reason: not where they lie.
        reason = "; ".join([problem.what, *(problem.detail or "").splitlines()[:2]])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, SuiteFault) as problem:
        reason = f"holds a value that cannot be shown: {type(problem).__name__}: {problem}"
    return Refusal(path, digest, one_line(reason, LONGEST_TEXT))


def _entry(content: bytes, bundle: Bundle, record: RecordJson, findings: list[Finding], language: str) -> Entry:
    if len(record["requirements"]) > MOST_REQUIREMENTS or len(record["results"]) > MOST_CHECKS:
        raise UsageError(
            f"names {len(record['requirements']):,} requirements and {len(record['results']):,} checks, "
            f"of which a registry takes {MOST_REQUIREMENTS:,} and {MOST_CHECKS:,}",
            next_step="keep it apart",
        )
    if too_long := [each for each in [*record["requirements"], *check_standings(record)] if len(each) > LONGEST_ID]:
        raise UsageError(f"has the id {too_long[0][:LONGEST_ID]}…, which is too long", next_step="keep it apart")
    subject = record["subject"]
    with speaking(language):
        told = cut(outcome_sentence(record), LONGEST_TEXT)
    for moment in (record["started"], record["finished"]):
        datetime.fromisoformat(moment)
    return Entry(
        file=hashlib.sha256(content).hexdigest(),
        size=len(content),
        record=bundle.record_digest,
        subject_id=_subject_id(subject),
        subject={name: cut(subject[name], LONGEST_NAME) for name in ("role", "name", "vendor", "version")},
        download=f"{file_stem(subject['name'][:60])}.meshmark.zip",
        profile=cut(record["profile"], LONGEST_NAME),
        suite={name: cut(value, LONGEST_NAME) for name, value in record["suite"].items()},
        envoy=cut(record["environment"]["envoy_version"], LONGEST_NAME),
        outcome=record["outcome"],
        sentence=cut(outcome_sentence(record), LONGEST_TEXT),
        told=told,
        totals=dict(record["totals"]),
        started=record["started"],
        finished=record["finished"],
        checks={
            name: [each.state, each.level, each.waived, each.reason] for name, each in check_standings(record).items()
        },
        requirements={
            name: [each.state, each.level, each.waived] for name, each in requirement_standings(record).items()
        },
        waived_until=_waived_until(record),
        waivers=tuple(
            {name: cut(value, LONGEST_TEXT) for name, value in each.items() if isinstance(value, str)}
            for each in record["waivers"]
        ),
        signatures=tuple(cut(each, LONGEST_NAME) for each in sorted(bundle.signatures)),
        findings=tuple(each.to_json() for each in findings),
        texts={name: cut(each["text"], LONGEST_TEXT) for name, each in sorted(record["requirements"].items())},
    )


def _subject_id(subject: Mapping[str, str]) -> str:
    """Stands in addresses: readable, and different for every name and vendor."""
    whole = f"{len(subject['name'])}:{subject['name']}{subject['vendor']}"
    return f"{file_stem(subject['name'][:40]).lower()}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _waived_until(record: RecordJson) -> dict[str, str]:
    waivers = applied_waivers(record)
    until: dict[str, str] = {}
    for result in record["results"]:
        if result["verdict"] == Verdict.FAIL and result["check"] in waivers:
            for requirement in result["proves"]:
                day = waivers[result["check"]]["expires"]
                until[requirement] = min(day, until.get(requirement, day))
    return until
