"""The ground on which two records stand: what differs in it limits what their comparison means.

Invariants: only what differs is named, the weightiest first, each with what it limits; nothing is judged. Words are in
the language of the moment, but for the names by which JSON knows the differences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import UsageError
from conformance.model.yaml_source import parse_yaml
from conformance.report.findings import RecordJson, planned
from conformance.report.language import say
from conformance.report.material import Material
from conformance.report.proof import catalogue_order
from conformance.report.wording import waiver_sentence

__all__ = ["Difference", "ground_differences"]

MOST_NAMED = 12
SETTINGS = {
    "suite version": ("suite", "version"),
    "catalogue": ("suite", "catalogue_digest"),
    "profile": ("profile",),
    "topology": ("topology",),
}
MACHINES = {
    "Envoy version": ("environment", "envoy_version"),
    "Envoy digest": ("environment", "envoy_digest"),
    "runtime": ("environment", "runtime"),
    "hosts": ("environment", "hosts"),
    "timeouts": ("timeouts",),
    "seed": ("seed",),
}


@dataclass(frozen=True)
class Difference:
    """One thing in which the grounds differ; `what` names it in JSON."""

    what: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """What it is called."""
        return say(f"ground_name.{self._key}")

    @property
    def limits(self) -> str:
        """What it means for the comparison."""
        return say(f"ground_limits.{self._key}")

    @property
    def _key(self) -> str:
        return self.what.replace(" ", "-")

    def to_json(self) -> dict[str, str]:
        """As it stands in a comparison."""
        return {"what": self.what, "before": self.before, "after": self.after, "limits": self.limits}


def ground_differences(before: Material, after: Material) -> list[Difference]:
    """In what the grounds of two runs differ; empty if they stand on the same."""
    found = _found(before, after)
    return [Difference(what, one or "—", other or "—") for what, one, other in found if one != other]


def _found(before: Material, after: Material) -> Iterator[tuple[str, str, str]]:
    one, other = before.record, after.record

    def told(what: str, tell: Callable[[RecordJson], str]) -> tuple[str, str, str]:
        return what, tell(one), tell(other)

    yield told("subject", _subject)
    if _ended(one) > _ended(other):
        yield told("order", lambda record: str(record["finished"]))
    yield from ((what, _at(one, *path), _at(other, *path)) for what, path in SETTINGS.items())
    yield _apart("contracts", _contracts(one), _contracts(other))
    yield from _run_files(before, after)
    yield _apart("left out of the plan", _left_out(one, other), _left_out(other, one))
    yield _apart("waivers", _waivers(one), _waivers(other))
    yield told("interrupted", lambda record: say("ground.yes") if record["interrupted"] else say("ground.no"))
    yield from ((what, _at(one, *path), _at(other, *path)) for what, path in MACHINES.items())
    yield told("subject version", lambda record: str(record["subject"]["version"]))


def _run_files(before: Material, after: Material) -> Iterator[tuple[str, str, str]]:
    one, other = (each.files.get(each.record["run_file"]) for each in (before, after))
    declared, declared_now = _features(one), _features(other)
    if declared is not None and declared_now is not None:
        yield "declared features", _features_told(declared), _features_told(declared_now)
    elif declared is not None or declared_now is not None:
        yield "declared features (not known)", _features_told(declared), _features_told(declared_now)
    if one is not None and other is not None:
        yield "run file", _digest(one), _digest(other)


def _features_told(features: list[str] | None) -> str:
    if features is None:
        return say("ground.unknown")
    return say("series.between").join(features) or say("ground.none")


def _digest(content: bytes) -> str:
    return f"SHA-256 {hashlib.sha256(content).hexdigest()}"


def _subject(record: RecordJson) -> str:
    subject = record["subject"]
    named = f"{subject['name']} ({subject['role']})"
    return say("subject.by", name=named, vendor=subject["vendor"]) if subject["vendor"] else named


def _ended(record: RecordJson) -> str:
    """Sorts as times do: all are in UTC, and spelled alike but for fractions of seconds."""
    return str(record["finished"]).removesuffix("Z")


def _at(record: RecordJson, *path: str) -> str:
    value: Any = record
    for part in path:
        value = value[part]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value[name]}" for name in sorted(value))
    return str(value)


def _apart(what: str, one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str, str]:
    """Two sets of named values without what both have, in words."""
    return what, _named(one, other), _named(other, one)


def _named(values: Mapping[str, str], without: Mapping[str, str]) -> str:
    left = [f"{name}: {value}" if value else name for name, value in values.items() if without.get(name) != value]
    more = [say("more.checks", number=len(left) - MOST_NAMED)] if len(left) > MOST_NAMED else []
    return "; ".join([*left[:MOST_NAMED], *more])


def _contracts(record: RecordJson) -> dict[str, str]:
    return {each["path"]: f"SHA-256 {each['sha256']}" for each in record["subject"]["contracts"]}


def _left_out(record: RecordJson, other: RecordJson) -> dict[str, str]:
    """What one plan left out and the other ran."""
    plan, theirs = planned(record), planned(other)
    ids = [each for each in plan if not plan[each]["run"] and each in theirs and theirs[each]["run"]]
    return {each: plan[each]["reason"] for each in sorted(ids, key=catalogue_order)}


def _waivers(record: RecordJson) -> dict[str, str]:
    return {each["check"]: waiver_sentence(each) for each in record["waivers"]}


def _features(run_file: bytes | None) -> list[str] | None:
    """What a run file declares, if it is at hand and can be read."""
    if run_file is None:
        return None
    try:
        values = parse_yaml(run_file.decode(), source="run file").value
    except (UsageError, UnicodeDecodeError):
        return None
    declared = values.get("features", []) if isinstance(values, dict) else None
    return sorted(map(str, declared)) if isinstance(declared, list) else None
