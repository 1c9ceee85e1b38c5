"""Entries put in order: by subject, newest first, two bundles of one record being one.

Invariants: the order in which bundles were found changes nothing; a bundle dated after the day of the build is refused,
for it would stay the newest of its subject whatever came after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from conformance.report.language import say
from conformance.report.proof import catalogue_order
from conformance.report.registry.entries import Entry, Refusal
from conformance.report.registry.verification import FindingKind

__all__ = ["Expiry", "Register", "Subject", "make_register"]

CLOCK_TOLERANCE = timedelta(hours=14)
"""How far a day in any time zone may be ahead of UTC."""
MOST_COLUMNS = 800
SOON = timedelta(days=30)


@dataclass(frozen=True)
class Subject:
    """A name of a vendor, and every run of it, newest first."""

    id: str
    entries: tuple[Entry, ...]

    @property
    def latest(self) -> Entry:
        """The one that counts."""
        return self.entries[0]


@dataclass(frozen=True, order=True)
class Expiry:
    """Something that ends on a day."""

    day: date
    subject_id: str
    record: str
    what: str
    state: str


@dataclass(frozen=True)
class Register:
    """All that a registry shows.

    Attributes:
        today: the day on which expiry is judged.
        paths: by record, where its bundles lie, below the folder that was built from.

    """

    title: str
    today: date
    subjects: tuple[Subject, ...]
    refusals: tuple[Refusal, ...]
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """All of them, newest first."""
        return sorted((each for subject in self.subjects for each in subject.entries), key=_newest)

    def columns(self, entries: Sequence[Entry]) -> list[str]:
        """The requirements that these name, in the catalogue's order; if there are too many, those that most name."""
        named: dict[str, int] = {}
        for each in entries:
            for requirement in each.requirements:
                named[requirement] = named.get(requirement, 0) + 1
        most = sorted(named, key=lambda each: (-named[each], catalogue_order(each)))[:MOST_COLUMNS]
        return sorted(most, key=catalogue_order)

    def texts(self) -> dict[str, str]:
        """The requirements' texts, as the newest bundle that names them has them."""
        return {name: text for each in reversed(self.entries) for name, text in each.texts.items()}

    def expiries(self) -> list[Expiry]:
        """What ends when, of each subject's newest bundle, in the language of the moment; the earliest first."""
        found = []
        for subject in self.subjects:
            entry = subject.latest
            ends = [
                (each["expires"], say("registry.ends_waiver", check=each["check"], owner=each["owner"]))
                for each in entry.waivers
                if each["state"] == "applied"
            ]
            ends += [(each.expires, each.text) for each in entry.said() if each.expires]
            found += [
                Expiry(date.fromisoformat(day), subject.id, entry.record, what, self._state(date.fromisoformat(day)))
                for day, what in ends
            ]
        return sorted(found)

    def _state(self, day: date) -> str:
        left = (day - self.today).days
        if left < 0:
            return say("registry.ended")
        if left <= SOON.days:
            return say("registry.ends_today") if left == 0 else say("registry.ends_soon", number=left)
        return say("registry.holds")


def make_register(
    found: Iterable[tuple[str, Entry | Refusal]], *, title: str, today: date, refusals: Iterable[Refusal] = ()
) -> Register:
    """Put everything in order.

    Args:
        found: each bundle's path, and what it holds.
        title: of the registry.
        today: the day of the build.
        refusals: of files that were not even read.

    """
    latest_end = datetime.combine(today, time.max, UTC) + CLOCK_TOLERANCE
    refused = list(refusals)
    by_record: dict[str, list[tuple[str, Entry]]] = {}
    for path, each in found:
        if isinstance(each, Refusal):
            refused.append(Refusal(path, each.sha256, each.reason))
        elif each.ended > latest_end:
            refused.append(Refusal(path, each.file, f"is dated in the future: its run ended at {each.finished}"))
        else:
            by_record.setdefault(each.record, []).append((path, each))
    by_subject: dict[str, list[Entry]] = {}
    for same in by_record.values():
        # Of which verification says least against it, then the one that most vouch for; then order plays no part.
        entry = min((each for _, each in same), key=_preference)
        by_subject.setdefault(entry.subject_id, []).append(entry)
    subjects = [Subject(name, tuple(sorted(entries, key=_newest))) for name, entries in by_subject.items()]
    return Register(
        title=title,
        today=today,
        subjects=tuple(sorted(subjects, key=_reading_order)),
        refusals=tuple(sorted(refused, key=lambda each: (each.path, each.sha256))),
        paths={record: tuple(sorted(path for path, _ in same)) for record, same in sorted(by_record.items())},
    )


def _preference(entry: Entry) -> tuple[int, int, str]:
    warnings = sum(1 for each in entry.said() if each.kind is FindingKind.WARNING)
    return (warnings, -len(entry.signatures), entry.file)


def _newest(entry: Entry) -> tuple[float, str]:
    return (-entry.ended.timestamp(), entry.record)


def _reading_order(subject: Subject) -> tuple[str, str, str]:
    named = subject.latest.subject
    return (named["name"].casefold(), named["vendor"].casefold(), subject.id)
