"""What the registry's pages show: each function gives the values of one template.

Invariants: a page is a function of the register and of one part of it; nothing is judged here, and every link is
relative.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.model.verdict import Outcome
from conformance.report.bundle import Bundle
from conformance.report.comparison import OUTCOME_CLAUSES, items_of, summary_of
from conformance.report.findings import area_of
from conformance.report.formats import file_stem
from conformance.report.html import SYMBOLS
from conformance.report.language import current, say
from conformance.report.registry.certified import STATUS_FILE
from conformance.report.registry.entries import Entry
from conformance.report.registry.matrix import cells, column_groups, legend
from conformance.report.registry.register import Register, Subject
from conformance.report.templating import page_environment
from conformance.report.text import count, cut, series
from conformance.report.wording import OUTCOME_WORDS, area_title, totals_sentence

__all__ = ["bundle_page", "changes_of", "matrix_page", "profile_id", "profiles_of", "subject_page"]

MOST_NEWEST = 50
MOST_RUNS_SHOWN = 8
MOST_FILES = 500
MOST_REFUSED = 2_000
WIDEST_PRINT = 24
BODY_CLASSES = {outcome: f"outcome-{outcome}" for outcome in Outcome}


def matrix_page(register: Register, *, area: str = "", profile: str = "") -> bytes:
    """The index; or the matrix of one area, or of those subjects whose newest bundle is of one profile."""
    subjects = [each for each in register.subjects if not profile or each.latest.profile == profile]
    latest = [each.latest for each in subjects]
    named = register.columns(latest)
    columns = [each for each in named if not area or area_of(each) == area]
    whole = not area and not profile
    texts = register.texts()
    missing = len({name for each in latest for name in each.requirements}) - len(named)
    rows = [_row(each, register, columns) for each in subjects]
    context = {
        "tone": "",
        "root": "" if whole else "../",
        "registry": register.title,
        "heading": _heading(register, area, profile),
        "as_of": register.today.isoformat() if whole else "",
        "summary": _summary(register, latest),
        "rows": rows,
        "groups": column_groups(columns),
        "many": len(columns) > WIDEST_PRINT,
        "left_out": say("registry.no_column", number=missing) if missing else "",
        "outcomes": _outcomes(latest),
        "meanings": legend(),
        "texts": [(each, texts[each]) for each in columns] if area else [],
        "areas": [
            (each, title, each == area)
            for each, title, _ in column_groups(register.columns([each.latest for each in register.subjects]))
        ],
        "profiles": [
            {"id": profile_id(name), "name": name, "number": number, "current": name == profile}
            for name, number in profiles_of(register).items()
        ],
        "today": register.today,
        "expiries": register.expiries() if whole else [],
        "names": {each.id: each.latest.subject["name"] for each in register.subjects},
        "newest": register.entries[:MOST_NEWEST],
        "refusals": register.refusals[:MOST_REFUSED],
        "refused_number": len(register.refusals),
    }
    return _rendered("index", context)


def subject_page(register: Register, subject: Subject) -> bytes:
    """A subject with its history."""
    latest, shown = subject.latest, subject.entries[:MOST_RUNS_SHOWN]
    texts = {name: text for each in reversed(subject.entries) for name, text in each.texts.items()}
    groups = [
        (area, title, [_requirement(name, register, shown, texts) for name in found])
        for area, title, found in column_groups(register.columns(shown))
    ]
    context = {
        "tone": BODY_CLASSES[Outcome(latest.outcome)],
        "registry": register.title,
        "name": latest.subject["name"],
        "latest": latest,
        **_outcome(latest),
        "lapsed": latest.lapsed(register.today),
        "runs": [
            {"entry": each, "changes": changes_of(each, before), "lapsed": [], **_outcome(each)}
            for each, before in zip(subject.entries, [*subject.entries[1:], None], strict=True)
        ],
        "shown": [{"entry": each} for each in shown],
        "more_runs": len(subject.entries) > len(shown),
        "groups": groups,
        "meanings": legend(),
    }
    return _rendered("subject", context)


def bundle_page(
    register: Register,
    subject: Subject,
    entry: Entry,
    bundle: Bundle,
    *,
    certificates: Sequence[str] = (),
    listed: bool = False,
) -> bytes:
    """A bundle, and how to verify it again, with its certificates, whose files lie beside the page. `listed`: a status
    list says which of them were withdrawn.
    """
    place = subject.entries.index(entry)
    before = subject.entries[place + 1] if place + 1 < len(subject.entries) else None
    context = {
        "tone": BODY_CLASSES[Outcome(entry.outcome)],
        "registry": register.title,
        "entry": entry,
        **_outcome(entry),
        "newer": subject.latest if place else None,
        "changes": changes_of(entry, before),
        "totals_sentence": totals_sentence({"totals": entry.totals}),
        "findings": entry.findings,
        "certificates": certificates,
        "status": f" --status {STATUS_FILE}" if listed else "",
        "lapsed": [each["check"] for each in entry.lapsed(register.today)],
        "files": bundle.manifest["files"],
        "most_files": MOST_FILES,
        "left_out": len(bundle.manifest.get("left_out", [])),
    }
    return _rendered("bundle", context)


def changes_of(entry: Entry, before: Entry | None) -> str:
    """What became of the checks since the result before, in words; empty if there is none."""
    if before is None:
        return ""
    return summary_of(items_of(before.check_standings(), entry.check_standings(), {}))


def profiles_of(register: Register) -> dict[str, int]:
    """The profiles of the newest bundles, and of how many each is."""
    names = [each.latest.profile for each in register.subjects]
    return {name: names.count(name) for name in sorted(set(names))}


def profile_id(profile: str) -> str:
    """Stands in addresses."""
    return f"{file_stem(profile[:40]).lower()}-{hashlib.sha256(profile.encode()).hexdigest()[:8]}"


def _rendered(name: str, context: Mapping[str, Any]) -> bytes:
    return page_environment().get_template(f"registry/{name}.html.j2").render(language=current(), **context).encode()


def _row(subject: Subject, register: Register, columns: Sequence[str]) -> dict[str, Any]:
    entry = subject.latest
    return {
        "id": subject.id,
        "name": entry.subject["name"],
        "short": cut(entry.subject["name"], 60),
        "entry": entry,
        "lapsed": entry.lapsed(register.today),
        "cells": cells(entry.standing(each, register.today) for each in columns),
        **_outcome(entry),
    }


def _requirement(name: str, register: Register, shown: Sequence[Entry], texts: Mapping[str, str]) -> dict[str, Any]:
    standings = [each.standing(name, register.today) for each in shown]
    return {
        "id": name,
        "level": next((each.level for each in standings if each), None),
        "text": texts.get(name, ""),
        "cells": cells(standings),
    }


def _outcome(entry: Entry) -> dict[str, str]:
    outcome = Outcome(entry.outcome)
    symbol = "waived" if outcome is Outcome.CONFORMANT_WITH_WAIVERS else SYMBOLS[outcome]
    return {"outcome_word": OUTCOME_WORDS[outcome], "symbol": symbol}


def _outcomes(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    found = [each.outcome for each in entries]
    return [{"id": each.value, "word": OUTCOME_CLAUSES[each], "number": found.count(each)} for each in Outcome]


def _summary(register: Register, latest: Sequence[Entry]) -> str:
    parts = [say(f"registry_count.{each['id']}", number=each["number"]) for each in _outcomes(latest) if each["number"]]
    lapsed = sum(1 for each in latest if each.lapsed(register.today))
    if lapsed:
        parts.append(say("registry.lapsed_outcomes", number=lapsed))
    subjects = count(len(latest), "subject")
    sentence = say("registry.summary", subjects=subjects, parts=series(parts)) if parts else say("registry.empty")
    if not register.refusals:
        return sentence
    refused = say("registry.refused_bundles", number=len(register.refusals))
    return f"{sentence} {refused}"


def _heading(register: Register, area: str, profile: str) -> str:
    if area:
        return area_title(area)
    return say("registry.profile", profile=cut(profile, 80)) if profile else register.title
