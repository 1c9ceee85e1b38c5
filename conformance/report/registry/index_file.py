"""`index.json`: the registry for programs, in a documented shape (`reports/schemas/registry-1.schema.json`)."""

from __future__ import annotations

from typing import Any

from conformance.report.language import RECORD_LANGUAGE, speaking
from conformance.report.record_file import render_record
from conformance.report.registry.entries import Entry
from conformance.report.registry.register import Register, Subject

__all__ = ["REGISTRY_SCHEMA", "render_index"]

REGISTRY_SCHEMA = "meshmark/registry/1"
"""Names the shape of `index.json`."""


def render_index(register: Register) -> bytes:
    """The file, in English whatever the site speaks. Texts are cut, as everywhere; the records hold them whole."""
    with speaking(RECORD_LANGUAGE):
        expiries = register.expiries()
    return render_record(
        {
            "schema": REGISTRY_SCHEMA,
            "title": register.title,
            "as_of": register.today.isoformat(),
            "subjects": [_subject(each) for each in register.subjects],
            "bundles": [_bundle(each, register) for each in register.entries],
            "refused": [
                {"path": each.path, "sha256": each.sha256 or None, "reason": each.reason} for each in register.refusals
            ],
            "expiries": [
                {
                    "day": each.day.isoformat(),
                    "subject": each.subject_id,
                    "record": each.record,
                    "what": each.what,
                    "state": each.state,
                }
                for each in expiries
            ],
            "requirements": register.texts(),
        }
    )


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "id": subject.id,
        "name": subject.latest.subject["name"],
        "vendor": subject.latest.subject["vendor"],
        "page": f"subjects/{subject.id}.html",
        "latest": subject.latest.record,
        "records": [each.record for each in subject.entries],
    }


def _bundle(entry: Entry, register: Register) -> dict[str, Any]:
    folder = f"bundles/{entry.record}"
    named = {name: getattr(entry, name) for name in ("profile", "outcome", "sentence", "started", "finished", "size")}
    return {
        **named,
        "record": entry.record,
        "sha256": entry.file,
        "paths": list(register.paths[entry.record]),
        "page": f"{folder}/index.html",
        "report": f"{folder}/report.html",
        "bundle": f"{folder}/{entry.download}",
        "subject": {"id": entry.subject_id, **entry.subject},
        "suite": dict(entry.suite),
        "envoy": entry.envoy,
        "totals": dict(entry.totals),
        "waivers": [dict(each) for each in entry.waivers],
        "waivers_lapsed": [each["check"] for each in entry.lapsed(register.today)],
        "signatures": list(entry.signatures),
        "findings": [{name: each[name] for name in ("kind", "text", "expires")} for each in entry.findings],
        "requirements": {
            name: {"state": standing.state, "level": standing.level, "waived": standing.waived}
            for name in entry.requirements
            if (standing := entry.standing(name, register.today))
        },
    }
