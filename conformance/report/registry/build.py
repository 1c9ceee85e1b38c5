"""From a folder of bundles to a site.

Invariants: a second build gives byte for byte what a build from nothing gives on the same day; a bundle is copied as it
was handed in; whatever a page shows of a bundle was rendered from its record, and never copied out of it, so a bundle
cannot bring pages or scripts of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.model.errors import UsageError
from conformance.report.bundle import BUNDLE_SUFFIX, LARGEST_BUNDLE
from conformance.report.findings import area_of
from conformance.report.formats import FORMATS
from conformance.report.language import current
from conformance.report.registry import pages
from conformance.report.registry.certified import NO_CERTIFICATES, STATUS_FILE, Certificates
from conformance.report.registry.entries import Entry, Refusal, read_entry
from conformance.report.registry.feed import render_feed
from conformance.report.registry.index_file import render_index
from conformance.report.registry.register import Register, Subject, make_register
from conformance.report.registry.rendering import NotShownError, Source, make_all
from conformance.report.registry.site import Output, State, files_below, read_state, write_site
from conformance.report.registry.verification import UNTRUSTED, Verifier
from conformance.report.text import one_line

__all__ = ["Built", "build_registry"]

REPORTS = ("html", "junit")
"""Formats that lie beside each bundle; `record.json` is the one in it, whose SHA-256 is the record's name."""

LONGEST_REASON = 600


@dataclass(frozen=True)
class Built:
    """What a build did: what the registry holds, and how many files the site has and how many were made anew."""

    register: Register
    files: int
    made: int


def build_registry(
    folder: Path,
    site: Path,
    *,
    title: str,
    today: date,
    verifier: Verifier = UNTRUSTED,
    certificates: Certificates = NO_CERTIFICATES,
) -> Built:
    """Build the site of all bundles below a folder, in the language of the moment (`language.speaking`).

    Args:
        folder: searched for files `*.meshmark.zip`; links to folders are not followed, and the site is left out.
        site: the site's folder: new, empty, or made by an earlier build.
        title: of the registry.
        today: the day on which expiry is judged.
        verifier: what every bundle must stand.
        certificates: of bundles that are there.

    Raises:
        UsageError: the folder is none, or the site's folder holds what meshmark did not make.
        EnvironmentFault: something cannot be read or written. The old site stays.

    """
    if not folder.is_dir():
        raise UsageError("is no folder", where=str(folder), next_step="name the folder that holds the bundles")
    state = read_state(site)
    reader = _Reader(folder, site, verifier, state)
    while True:
        found = {path: certificates.added_to(each) for path, each in reader.found.items()}
        records = {each.record for each in found.values() if isinstance(each, Entry)}
        unread = [*reader.unread, *certificates.refused(records)]
        register = make_register(found.items(), title=title, today=today, refusals=unread)
        outputs = _outputs(register, reader, certificates)
        try:
            files, made = write_site(site, outputs, reader.to_keep(), state, make_all)
        except NotShownError as flaw:
            reader.refuse(flaw)
            continue
        return Built(register, files, made)


class _Reader:
    """The bundles below a folder; what was found in the same bytes before is not looked for again."""

    def __init__(self, folder: Path, site: Path, verifier: Verifier, state: State) -> None:
        self.found: dict[str, Entry | Refusal] = {}
        self.unread: list[Refusal] = []
        self._places: dict[str, Path] = {}
        self._before = state.kept.get("bundles", {}) if state.kept.get("made_by") == _made_by(verifier) else {}
        texts = state.kept.get("texts", {})
        for place in files_below(folder, BUNDLE_SUFFIX, site):
            path = place.relative_to(folder).as_posix()
            content = self._content(place, path)
            if content is None:
                continue
            digest = hashlib.sha256(content).hexdigest()
            self._places.setdefault(digest, place)
            known = _revived(self._before.get(digest), path, digest, texts)
            self.found[path] = known or read_entry(content, path, verifier)
        self._verifier = verifier

    def source(self, entry: Entry) -> Source:
        """Where a bundle lies."""
        return Source(self._places[entry.file], entry.file)

    def _content(self, place: Path, path: str) -> bytes | None:
        try:
            if not place.is_file():
                self.unread.append(Refusal(path, "", "is no regular file"))
            elif place.stat().st_size > LARGEST_BUNDLE:
                self.unread.append(Refusal(path, "", f"is larger than a bundle may be, {LARGEST_BUNDLE:,} bytes"))
            else:
                return place.read_bytes()
        except OSError as error:
            self.unread.append(Refusal(path, "", f"cannot be read: {error.strerror}"))
        return None

    def refuse(self, flaw: NotShownError) -> None:
        """Count a bundle as nothing after all."""
        for path, each in self.found.items():
            if isinstance(each, Entry) and each.file == flaw.digest:
                why = one_line(f"holds a value that cannot be shown: {flaw.why}", LONGEST_REASON)
                self.found[path] = Refusal(path, flaw.digest, why)

    def to_keep(self) -> dict[str, Any]:
        """Entries without the requirements' texts, which most of them share."""
        bundles: dict[str, Any] = {}
        texts: dict[str, Mapping[str, str]] = {}
        for each in self.found.values():
            if isinstance(each, Refusal):
                bundles[each.sha256] = {"refused": each.reason}
                continue
            values = each.to_json()
            name = _key(values["texts"])
            texts[name] = values["texts"]
            bundles[each.file] = {**values, "texts": name}
        return {"made_by": _made_by(self._verifier), "bundles": bundles, "texts": texts}


def _revived(known: Any, path: str, digest: str, texts: Mapping[str, Any]) -> Entry | Refusal | None:  # noqa: ANN401
    """What an earlier build found in the same bytes; nothing if that cannot be told any more."""
    try:
        if "refused" in known:
            return Refusal(path, digest, known["refused"])
        return Entry.from_json({**known, "texts": texts[known["texts"]]})
    except (KeyError, TypeError):
        return None


def _outputs(register: Register, reader: _Reader, certificates: Certificates) -> Iterator[Output]:
    everything = [register.title, register.today.isoformat(), _shown(register)]
    # Pages of areas and profiles do not show the day, but what has ended by it.
    as_listed = [register.title, [[each.id, _now(each.latest, register)] for each in register.subjects]]
    as_listed.append([[each.path, each.sha256] for each in register.refusals])
    yield Output("index.html", _key("index", everything), lambda: pages.matrix_page(register))
    yield Output("index.json", _key("json", everything), lambda: render_index(register))
    yield Output("feed.xml", _key("feed", everything), lambda: render_feed(register))
    for area in {area_of(each) for each in register.columns([each.latest for each in register.subjects])}:
        make = partial(pages.matrix_page, register, area=area)
        yield Output(f"areas/{area}.html", _key("area", area, as_listed), make)
    for profile in pages.profiles_of(register):
        make = partial(pages.matrix_page, register, profile=profile)
        yield Output(f"profiles/{pages.profile_id(profile)}.html", _key("profile", profile, as_listed), make)
    for subject in register.subjects:
        history = [_now(each, register) for each in subject.entries]
        make = partial(pages.subject_page, register, subject)
        yield Output(f"subjects/{subject.id}.html", _key("subject", register.title, history), make)
        for entry in subject.entries:
            yield from _bundle_outputs(register, reader.source, subject, entry, certificates)
    if (status := certificates.status) is not None:
        yield Output(STATUS_FILE, _key("status", hashlib.sha256(status).hexdigest()), lambda: status)


def _bundle_outputs(
    register: Register,
    source_of: Callable[[Entry], Source],
    subject: Subject,
    entry: Entry,
    certificates: Certificates,
) -> Iterator[Output]:
    folder, source = f"bundles/{entry.record}", source_of(entry)
    place = subject.entries.index(entry)
    before = subject.entries[place + 1] if place + 1 < len(subject.entries) else None
    newer = subject.latest.file if place else ""
    certified = certificates.of(entry.record)
    names, listed = [each.name for each in certified], certificates.status is not None
    key = _key("bundle", register.title, _now(entry, register), before.file if before else "", newer, names, listed)
    yield Output(
        f"{folder}/index.html",
        key,
        lambda: pages.bundle_page(register, subject, entry, source.bundle(), certificates=names, listed=listed),
    )
    for each in certified:
        yield Output(f"{folder}/{each.name}", _key("certificate", each.name), partial(bytes, each.content))
    yield Output(f"{folder}/{entry.download}", _key("copy", entry.file), source.content)
    yield Output(f"{folder}/record.json", _key("record", entry.record), source.record)
    for name in REPORTS:
        make = partial(source.rendered, name)
        yield Output(f"{folder}/{FORMATS[name].file_name}", _key(name, entry.file), make, apart=True)
    if before is not None:
        changes = partial(source.changes_since, source_of(before))
        yield Output(f"{folder}/changes.html", _key("changes", before.file, entry.file), changes, apart=True)


def _now(entry: Entry, register: Register) -> list[Any]:
    """What an entry shows on the day of the build."""
    return [entry.file, entry.findings, [each["check"] for each in entry.lapsed(register.today)]]


def _shown(register: Register) -> list[Any]:
    return [
        [_now(each, register) for subject in register.subjects for each in subject.entries],
        [[each.path, each.sha256, each.reason] for each in register.refusals],
        register.paths,
    ]


def _key(*parts: Any) -> str:  # noqa: ANN401 -- any value of JSON
    values = json.dumps([_maker(), current().code, *parts], sort_keys=True).encode()
    return hashlib.sha256(values).hexdigest()


def _made_by(verifier: Verifier) -> str:
    return _key("bundles", verifier.name)


@cache
def _maker() -> str:
    """A digest of all that decides how a page looks: this version's code and templates."""
    from conformance import report  # noqa: PLC0415 -- the package that this module belongs to

    digest = hashlib.sha256(__version__.encode())
    room = Path(report.__file__).parent
    for file in sorted(each for each in room.rglob("*") if each.is_file() and each.suffix != ".pyc"):
        digest.update(f"{file.relative_to(room)}:".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
