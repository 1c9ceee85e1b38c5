"""`NAME.meshmark.zip`: record, reports, contracts and evidence in one file that can be kept, sent, signed and verified.

    record.json               the record's core, as RFC 8785 spells it: its SHA-256 is the record's name
    evidence/SHA256.json      each observation, under the digest by which the record names it
    reports/...               the record rendered for people and for machines
    inputs/...                run file and contracts
    manifest.json             every file above with size and SHA-256; what was left out, and why
    signatures/KEYID.json     envelopes (DSSE) over the manifest; added later

Invariants: the same record and files make the same bytes, on every machine: entries are stored, not compressed, in this
order, with one date. A bundle is read as a whole or refused, and only if it is exactly what would be written from what
stands in it: no bit of it is without meaning. Nothing is ever unpacked to a path that a bundle names.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.model.canonical import canonical
from conformance.model.errors import UsageError
from conformance.report.material import Material
from conformance.report.record_file import parse_record

__all__ = [
    "BUNDLE_SCHEMA",
    "BUNDLE_SUFFIX",
    "Bundle",
    "inside",
    "make_bundle",
    "parse_bundle",
    "read_bundle",
    "render",
]

BUNDLE_SCHEMA = "meshmark/bundle/1"
BUNDLE_SUFFIX = ".meshmark.zip"
RECORD, MANIFEST = "record.json", "manifest.json"
EVIDENCE, REPORTS, INPUTS, SIGNATURES = "evidence/", "reports/", "inputs/", "signatures/"
REPORTS_INSIDE = ("html", "junit")
"""The formats of the reports in a bundle."""
LARGEST_BUNDLE = 64 * 1024 * 1024
LARGEST_EVIDENCE = 24 * 1024 * 1024
"""Bytes of all evidence together; what comes after is left out, and the manifest says so."""
LARGEST_OBSERVATION = 1024 * 1024
MOST_ENTRIES = 20_000
DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows: when a bundle was made stands in the record."""
RENEW = "take the bundle as meshmark wrote it; if it is unchanged, report a bug"


@dataclass(frozen=True)
class Bundle:
    """What stands in a bundle.

    Attributes:
        content: every file that the manifest names, by its path.
        manifest: as it stands in `manifest.json`.
        signatures: envelopes, by key id.

    """

    content: Mapping[str, bytes] = field(repr=False)
    manifest: Mapping[str, Any]
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def material(self) -> Material:
        """The record with all evidence that is there, and the files that it is about.

        Raises:
            UsageError: the record is not sound.

        """
        record = parse_record(self.content[RECORD], f"{RECORD} of the bundle")
        results = [
            {**result, "evidence": [self._with_observation(each) for each in result["evidence"]]}
            for result in record["results"]
        ]
        files = {
            path.removeprefix(INPUTS): content for path, content in self.content.items() if path.startswith(INPUTS)
        }
        return Material({**record, "results": results}, files, bundled=self.content[RECORD])

    @property
    def record_digest(self) -> str:
        """The name of its record."""
        return hashlib.sha256(self.content[RECORD]).hexdigest()

    @property
    def manifest_bytes(self) -> bytes:
        """What signatures are over."""
        return canonical(self.manifest)

    def signed(self, key_id: str, envelope: bytes) -> Bundle:
        """The same bundle with one signature more."""
        return replace(self, signatures={**self.signatures, key_id: envelope})

    def to_bytes(self) -> bytes:
        """The file."""
        entries = {**self.content, MANIFEST: self.manifest_bytes}
        entries |= {f"{SIGNATURES}{key}.json": self.signatures[key] for key in sorted(self.signatures)}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path, content in entries.items():
                entry = zipfile.ZipInfo(path, DATE)
                entry.create_system = 3
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, content)
        return packed.getvalue()

    def _with_observation(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        content = self.content.get(f"{EVIDENCE}{evidence['sha256']}.json")
        if content is None:
            return {**evidence}
        try:
            return {**evidence, "observed": json.loads(content)}
        except (ValueError, RecursionError) as error:
            raise UsageError(
                "holds evidence that is no JSON", where=f"{evidence['sha256']}.json of the bundle", next_step=RENEW
            ) from error


def render(material: Material) -> bytes:
    """The bundle of a record."""
    return make_bundle(material).to_bytes()


def make_bundle(material: Material) -> Bundle:
    """Put everything together.

    Raises:
        UsageError: it would be larger than a bundle may be.

    """
    from conformance.report.formats import FORMATS  # noqa: PLC0415 -- it knows this module by name

    kept, left_out = _evidence(material)
    # Reports show what the bundle holds, so that they can be rendered anew from it, and compared.
    shown = _without(material, {each["sha256"] for each in left_out})
    content = {RECORD: material.core, **kept}
    for name in REPORTS_INSIDE:
        content[f"{REPORTS}{FORMATS[name].file_name}"] = FORMATS[name].of(shown)
    for path in sorted(material.files):
        place = f"{INPUTS}{inside(path)}"
        if place in content:
            raise UsageError(
                f"two files of the run would lie at {place}",
                where=path,
                next_step="give the contracts names that differ in more than the way to their folder",
            )
        content[place] = material.files[path]
    files = [{"path": path, "size": len(each), "sha256": _sha256(each)} for path, each in content.items()]
    manifest = {"schema": BUNDLE_SCHEMA, "record": _sha256(content[RECORD]), "files": files, "left_out": left_out}
    bundle = Bundle(content, manifest)
    size = sum(map(len, content.values()))
    if size > LARGEST_BUNDLE - LARGEST_OBSERVATION:
        raise UsageError(
            f"a bundle holds at most {LARGEST_BUNDLE:,} bytes, this one would have {size:,}",
            next_step="make the contracts smaller, or send record.json",
        )
    return bundle


def read_bundle(path: Path) -> Bundle:
    """Read a bundle.

    Raises:
        UsageError: it cannot be read, is no bundle, is damaged, or holds anything that a bundle does not.

    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BUNDLE + 1)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), next_step=f"name a file *{BUNDLE_SUFFIX}"
        ) from error
    return parse_bundle(content, str(path))


def parse_bundle(content: bytes, where: str) -> Bundle:
    """What `read_bundle` does, for bytes; `where` names them in messages."""
    try:
        bundle = _parsed(content)
    except _Unsound as flaw:
        raise UsageError(str(flaw), where=where, next_step=RENEW) from flaw
    # Whatever has no meaning (times, comments, order, spelling of JSON) has one spelling only.
    if bundle.to_bytes() != content:
        raise UsageError("is not spelled as meshmark spells a bundle", where=where, next_step=RENEW)
    return bundle


class _Unsound(Exception):  # noqa: N818 -- never leaves this module
    """What is wrong with a bundle."""


def _parsed(content: bytes) -> Bundle:
    if len(content) > LARGEST_BUNDLE:
        raise _Unsound(f"is larger than a bundle may be, {LARGEST_BUNDLE:,} bytes")
    entries = _entries(content)
    try:
        manifest = json.loads(entries.pop(MANIFEST))
        named = {each["path"]: each["sha256"] for each in manifest["files"]}
        schema, record = manifest["schema"], manifest["record"]
        left_out = [each["sha256"] for each in manifest["left_out"]]
        if not all(isinstance(each, str) for each in [*named.values(), *left_out]):
            raise TypeError("a digest is text")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _Unsound(f"has no sound {MANIFEST}") from error
    if schema != BUNDLE_SCHEMA:
        raise _Unsound(f"has the schema {str(schema)[:80]!r}; {BUNDLE_SCHEMA!r} is needed")
    signatures = {
        path.removeprefix(SIGNATURES).removesuffix(".json"): entries.pop(path)
        for path in list(entries)
        if path.startswith(SIGNATURES)
    }
    _compare(entries, named)
    if named.get(RECORD) != record:
        raise _Unsound(f"has no {RECORD} of the digest that its {MANIFEST} names")
    return Bundle(entries, manifest, signatures)


def _compare(entries: Mapping[str, bytes], named: Mapping[str, str]) -> None:
    """Refuse files that the manifest does not name, and those that are not what it says."""
    if missing := sorted(named.keys() - entries.keys()):
        raise _Unsound(f"lacks {missing[0][:200]!r}, which its {MANIFEST} names")
    if unknown := sorted(entries.keys() - named.keys()):
        raise _Unsound(f"holds {unknown[0][:200]!r}, which its {MANIFEST} does not name")
    for path, each in entries.items():
        if _sha256(each) != named[path]:
            raise _Unsound(f"{path[:200]} was changed: its digest is not the one in {MANIFEST}")


def _entries(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = archive.infolist()
            names = [each.filename for each in found]
            if len(found) > MOST_ENTRIES:
                raise _Unsound(f"holds {len(found):,} files, at most {MOST_ENTRIES:,} are taken")
            if twice := [name for name, times in Counter(names).items() if times > 1]:
                raise _Unsound(f"holds {twice[0][:200]!r} twice")
            for each in found:
                # Stored, so no entry can be larger than the file itself.
                if each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1:
                    raise _Unsound(f"holds {each.filename[:200]!r} compressed or encrypted, which a bundle never is")
                if inside(each.filename) != each.filename:
                    raise _Unsound(f"holds a file at {each.filename[:200]!r}, which is no place in a bundle")
            return {each.filename: archive.read(each) for each in found}
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _Unsound(f"is no whole zip file: {str(error)[:200]}") from error


def _evidence(material: Material) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The observations by their place in the bundle, and what is left out."""
    kept: dict[str, bytes] = {}
    left_out: list[dict[str, Any]] = []
    room = LARGEST_EVIDENCE
    for result in material.record["results"]:
        for each in result["evidence"]:
            path = f"{EVIDENCE}{each['sha256']}.json"
            if path in kept or "observed" not in each:
                continue
            content = canonical(each["observed"])
            if len(content) > min(room, LARGEST_OBSERVATION):
                why = "larger than an observation may be" if len(content) > LARGEST_OBSERVATION else "no room was left"
                entry = {"check": result["check"], "name": each["name"], "size": len(content), "why": why}
                left_out.append({**entry, "sha256": each["sha256"]})
                continue
            kept[path] = content
            room -= len(content)
    return dict(sorted(kept.items())), left_out


def _without(material: Material, left_out: Set[str]) -> Material:
    if not left_out:
        return material
    results = [
        {
            **result,
            "evidence": [
                {name: value for name, value in each.items() if name != "observed" or each["sha256"] not in left_out}
                for each in result["evidence"]
            ],
        }
        for result in material.record["results"]
    ]
    return Material({**material.record, "results": results}, material.files)


def inside(path: str) -> str:
    """A path that stays inside, whatever the record or the bundle says."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join("".join(c if c.isprintable() and c not in ':*?"<>|' else "_" for c in part) for part in parts)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
