"""Folders of bundles, and small sites made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from conformance.model.record import RunRecord
from conformance.report.bundle import parse_bundle, render
from conformance.report.material import Material
from conformance.report.registry.build import build_registry

from . import records

TODAY = date(2026, 11, 10)
TITLE = "Registry of the tests"
FILES = {"birth-registry.meshmark.yaml": b"subject: {}\n"}


def renamed(record: RunRecord, name: str, **facts: Any) -> RunRecord:
    """The record of another subject, version or time."""
    fields = {key: facts.pop(key) for key in ("vendor", "version") if key in facts}
    return replace(record, subject={**record.subject, "name": name, **fields}, **facts)


def bundle_of(record: RunRecord) -> bytes:
    return render(Material(record.to_json(), FILES))


def varied() -> Iterator[tuple[str, bytes]]:
    """Bundles of every outcome, with a history, a duplicate and some that are refused."""
    yield "birth/1.0.meshmark.zip", bundle_of(
        renamed(records.not_conformant(), "birth-registry", version="1.1", finished="2026-10-03T10:00:00.000Z",
                started="2026-10-03T09:00:00.000Z")
    )  # fmt: skip
    newest = bundle_of(records.conformant())
    yield "birth/1.2.meshmark.zip", newest
    yield "birth/1.2-signed.meshmark.zip", parse_bundle(newest, "newest").signed("laboratory", b"{}").to_bytes()
    waived = records.not_conformant()
    kept = [each for each in waived.results if each.verdict != "fail" or each.check == "DISCOVERY-002"]
    results = tuple(each for each in kept if each.verdict in ("pass", "fail", "not-applicable"))
    ids = {each.check for each in results}
    yield "death.meshmark.zip", bundle_of(
        renamed(waived, "death-registry", plan=tuple(each for each in waived.plan if each.check.id in ids),
                results=results, waivers=waived.waivers[:1])
    )  # fmt: skip
    yield "citizens.meshmark.zip", bundle_of(renamed(records.interrupted(), "citizen-id", vendor="Other Ltd"))
    yield "patients.meshmark.zip", bundle_of(renamed(records.not_conformant(), "patient-registry", profile="strict"))
    yield "bad/truncated.meshmark.zip", newest[:1000]
    yield (
        "bad/tomorrow.meshmark.zip",
        bundle_of(renamed(records.conformant(), "from-tomorrow", finished="2031-01-01T00:00:00.000Z")),
    )


def fill(folder: Path) -> Path:
    """Write them below a folder."""
    for name, content in varied():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def small_site(folder: Path, today: date = TODAY) -> Path:
    """A site with a page of every kind, in a temporary folder; returns where it is."""
    build_registry(fill(folder / "bundles"), folder / "site", title=TITLE, today=today)
    return folder / "site"
