"""A bundle, believed for what can be checked in it and for nothing else.

Verified, offline: who signed what, in which role and when; that manifest, record, evidence, contracts and reports
belong together; that totals and outcome follow from the verdicts, and the verdicts from declared reasons and promised
evidence; that the plan is that of the catalogue; that every waiver holds. What cannot be checked is said.

Invariant: whatever is wrong is a refusal; a bundle with a refusal is not verified, whatever else is right in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import conformance
from conformance.model.errors import UsageError
from conformance.model.requirements import Role
from conformance.model.verdict import Outcome
from conformance.report.bundle import EVIDENCE, INPUTS, REPORTS, Bundle, inside, make_bundle
from conformance.report.findings import RecordJson
from conformance.report.language import languages, speaking
from conformance.report.material import Material
from conformance.report.text import one_line
from conformance.report.trust.keys import PublicKey
from conformance.report.trust.known_catalogue import KnownCatalogue
from conformance.report.trust.plans import plan_problems
from conformance.report.trust.sealed import CLOCK_SKEW, Distrust, Sealed, instant, opened
from conformance.report.trust.signing import STATEMENT_PAYLOAD
from conformance.report.trust.statements import PREDICATES, Predicate, statement
from conformance.report.trust.waivers import waiver_problems

__all__ = ["SignedBy", "Verification", "verify_bundle"]


@dataclass(frozen=True)
class SignedBy:
    """A signature that was verified."""

    name: str
    role: Role
    key: str
    at: str

    @classmethod
    def of(cls, sealed: Sealed) -> SignedBy:
        """From what was opened."""
        at = sealed.at.isoformat(timespec="seconds").replace("+00:00", "Z")
        return cls(sealed.key.name, sealed.key.role, sealed.key.id, at)

    def to_json(self) -> dict[str, str]:
        """As `--format json` shows it."""
        return {"name": self.name, "role": self.role.value, "key": self.key, "at": self.at}


@dataclass(frozen=True)
class Verification:
    """What is to be thought of a bundle.

    Attributes:
        record: None if it is not sound.
        record_digest: its name.
        signatures: those that were verified.
        refusals: why it is not to be trusted; empty if it is.
        remarks: what could not be checked.

    """

    record: RecordJson | None
    record_digest: str
    signatures: tuple[SignedBy, ...]
    refusals: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether it is to be trusted. This says nothing about the outcome."""
        return not self.refusals

    @property
    def conformant(self) -> bool:
        """Whether it is to be trusted and says that the subject is conformant, waivers included."""
        good = (Outcome.CONFORMANT, Outcome.CONFORMANT_WITH_WAIVERS)
        return self.verified and self.record is not None and self.record["outcome"] in good

    def to_json(self) -> dict[str, Any]:
        """As `--format json` shows it."""
        record = self.record
        return {
            "verified": self.verified,
            "outcome": record["outcome"] if record else None,
            "totals": record["totals"] if record else None,
            "subject": record["subject"] if record else None,
            "profile": record["profile"] if record else None,
            "suite": record["suite"] if record else None,
            "record_sha256": self.record_digest,
            "signatures": [each.to_json() for each in self.signatures],
            "refusals": list(self.refusals),
            "remarks": list(self.remarks),
        }


def verify_bundle(
    bundle: Bundle,
    trusted: Mapping[str, PublicKey],
    catalogue: KnownCatalogue,
    *,
    at: datetime,
    roles: Collection[Role] = (),
) -> Verification:
    """Verify a bundle.

    Args:
        bundle: as it was read; that it is whole and spelled in the one way is certain then.
        trusted: public keys by their ids.
        catalogue: the one that is held to have judged.
        at: the moment for which it is to be good.
        roles: at least one signature of each is needed. One of any role is needed in any case.

    """
    try:
        material = bundle.material
    except UsageError as flaw:
        return Verification(None, bundle.record_digest, (), (f"The record {flaw.what}.",))
    record = material.record
    signatures: list[SignedBy] = []
    refusals = [
        *_open_signatures(bundle, material, trusted, at, signatures),
        *_missing(signatures, roles),
        *_about_times(record, at),
        *_about_catalogue(record, catalogue, trusted, at),
        *_about_evidence(bundle, record),
        *_about_contracts(bundle, record),
        *_about_reports(bundle, material),
    ]
    told = tuple(one_line(f"{each[0].upper()}{each[1:]}.", 600) for each in refusals)
    return Verification(record, bundle.record_digest, tuple(signatures), told, tuple(_remarks(bundle, record)))


def _open_signatures(
    bundle: Bundle, material: Material, trusted: Mapping[str, PublicKey], at: datetime, found: list[SignedBy]
) -> Iterator[str]:
    """Fill `found`, and say what is wrong with the others."""
    manifest = hashlib.sha256(bundle.manifest_bytes).hexdigest()
    names = {kind: name for name, kind in PREDICATES.items()}
    for name, envelope in sorted(bundle.signatures.items()):
        try:
            sealed = opened(envelope, STATEMENT_PAYLOAD, trusted)
            document = sealed.document
            predicate: Predicate = names[document["predicateType"]]  # type: ignore[assignment]
            if sealed.key.id != name:
                raise Distrust("does not lie under the id of its key")
            if document != statement(material, predicate, manifest=manifest):
                raise Distrust(f"by {sealed.by} is about another record or another bundle")
            if sealed.at > at + CLOCK_SKEW:
                raise Distrust(f"by {sealed.by} is dated {sealed.at:%Y-%m-%d %H:%M:%S} UTC, which has not come yet")
            if sealed.at < instant(material.record["finished"]) - CLOCK_SKEW:
                raise Distrust(f"by {sealed.by} is dated {sealed.at:%Y-%m-%d %H:%M:%S} UTC, before its run has ended")
        except Distrust as why:
            yield f"the signature {name[:12]!r} {why}"
        except (KeyError, TypeError):
            yield f"the signature {name[:12]!r} is no statement about a record"
        else:
            found.append(SignedBy.of(sealed))


def _missing(signatures: Collection[SignedBy], roles: Collection[Role]) -> Iterator[str]:
    if not signatures:
        yield "nobody who is trusted has signed it"
    for role in sorted(set(roles) - {each.role for each in signatures}):
        yield f"nobody who is trusted has signed it in the role {role}"


def _about_times(record: RecordJson, at: datetime) -> Iterator[str]:
    started, finished = instant(record["started"]), instant(record["finished"])
    if finished < started:
        yield "the run ends before it begins"
    if finished > at + CLOCK_SKEW:
        yield f"the run ends at {finished:%Y-%m-%d %H:%M:%S} UTC, which has not come yet"


def _about_catalogue(
    record: RecordJson, catalogue: KnownCatalogue, trusted: Mapping[str, PublicKey], at: datetime
) -> Iterator[str]:
    """The judge: known or not; and with a known one, the plan and the waivers."""
    suite = record["suite"]
    if suite["name"] != "meshmark":
        yield f"the suite {suite['name']!r:.80} is not known"
        return
    if suite["catalogue_digest"] != catalogue.digest or suite["version"] != catalogue.version:
        yield (
            f"the catalogue is not known: the record names that of meshmark {suite['version']!r:.40}, "
            f"{suite['catalogue_digest']}, and at hand is that of {catalogue.version}, {catalogue.digest}; "
            "give the right one by --catalogue"
        )
        return
    yield from plan_problems(record, catalogue)
    if record["profile"] in catalogue.profiles:
        signed_by = catalogue.profiles[record["profile"]]["waivers_signed_by"]
        yield from waiver_problems(record, signed_by, trusted, at)


def _about_evidence(bundle: Bundle, record: RecordJson) -> Iterator[str]:
    named = {
        each["sha256"]: (result["check"], each["name"]) for result in record["results"] for each in result["evidence"]
    }
    left_out = {each["sha256"] for each in bundle.manifest["left_out"]}
    held = {
        path.removeprefix(EVIDENCE).removesuffix(".json"): path for path in bundle.content if path.startswith(EVIDENCE)
    }
    for sha256, (check, name) in named.items():
        if sha256 not in held and sha256 not in left_out:
            yield f"the evidence {name!r:.80} of {check} is missing, and the manifest does not say that it was left out"
    for sha256, path in held.items():
        if sha256 not in named:
            yield f"{path!r:.120} is evidence of nothing in the record"
        if hashlib.sha256(bundle.content[path]).hexdigest() != sha256:
            yield f"{path!r:.120} is not what its name says"


def _about_contracts(bundle: Bundle, record: RecordJson) -> Iterator[str]:
    for contract in record["subject"]["contracts"]:
        content = bundle.content.get(INPUTS + inside(contract["path"]))
        if content is not None and hashlib.sha256(content).hexdigest() != contract["sha256"]:
            yield f"the contract {contract['path']!r:.120} is not the one that was judged"


def _about_reports(bundle: Bundle, material: Material) -> Iterator[str]:
    if material.record["suite"]["version"] != conformance.__version__:
        return
    flaws: list[list[str]] = []
    # Whoever made the bundle chose a language, and a bundle does not name it.
    for code in languages():
        with speaking(code):
            again = make_bundle(material).content
        reports = [path for path in again.keys() | bundle.content.keys() if path.startswith(REPORTS)]
        flaws.append([path for path in sorted(reports) if again.get(path) != bundle.content.get(path)])
        if not flaws[-1]:
            return
    for path in min(flaws, key=len):
        yield f"{path!r:.120} is not what the record says: render it anew, and do not read this one"


def _remarks(bundle: Bundle, record: RecordJson) -> Iterator[str]:
    if number := len(bundle.manifest["left_out"]):
        were = "observation was" if number == 1 else "observations were"
        yield f"{number:,} {were} left out of the bundle for their size; only digests are there."
    for contract in record["subject"]["contracts"]:
        if INPUTS + inside(contract["path"]) not in bundle.content:
            yield one_line(f"The contract {contract['path']!r} is not in the bundle; its digest is in the record.", 300)
    if record["suite"]["version"] != conformance.__version__:
        yield (
            f"The reports in the bundle were made by meshmark {one_line(record['suite']['version'], 40)} and were not "
            "compared with the record: render them anew by `meshmark report render`."
        )
