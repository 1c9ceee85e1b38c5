"""The schemas of the standards that reports are written in, and records to write in them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverState
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Verdict
from conformance.report.material import Material

from . import records

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMAS = Path(os.environ.get("MESHMARK_REPORT_SCHEMAS", REPOSITORY.parent / "shared/schemas"))
LARGEST_RUN = 1_000


@cache
def validator(name: str) -> Any:
    path = SCHEMAS / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set MESHMARK_REPORT_SCHEMAS to the folder of the standards' schemas")
    return jsonschema_rs.validator_for(json.loads(path.read_bytes()), validate_formats=True)


def problems(name: str, content: bytes) -> list[str]:
    """Where a report does not keep to its standard."""
    errors = validator(name).iter_errors(json.loads(content))
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}"[:300] for error in errors]


def waiver_troubles() -> RunRecord:
    waivers = (
        AppliedWaiver(Waiver("MTLS-001", "soon", "Jane Mwangi", date(2026, 10, 31)), WaiverState.EXPIRED),
        AppliedWaiver(Waiver("MTLS-002", "no longer needed", "", date(9999, 12, 31)), WaiverState.UNUSED),
        AppliedWaiver(Waiver("ROUTE-003", "far away", "Jane Mwangi", date(9999, 12, 31)), WaiverState.APPLIED),
    )
    return replace(records.not_conformant(), waivers=waivers)


def nothing_known() -> RunRecord:
    """What a run may leave empty, left empty."""
    record = records.interrupted()
    subject = {"role": "building-block", "name": "x", "vendor": "", "version": "", "contracts": []}
    results = tuple(replace(each, place=None, reason="", seen="") for each in record.results)
    environment = dict.fromkeys(record.environment, "")
    return replace(
        record, subject=subject, results=results, environment=environment, run_file="", trouble="", waivers=()
    )


def hostile(text: str) -> RunRecord:
    """The same text wherever a run file, a building block or a forged record can put any."""
    record = records.not_conformant()
    results = tuple(
        replace(
            each,
            title=text,
            expected=text,
            seen=text,
            next_step=text,
            reproduce=text,
            expectations=(Expectation("some-code", text, text, met=False),),
            evidence=(Evidence(text, EvidenceKind.NOTE, {text: text}, records.AT),),
            place=replace(each.place, path=text) if each.place else None,
        )
        for each in record.results
    )
    plan = tuple(
        replace(
            entry,
            check=replace(entry.check, title=text, description=text, remedy=text),
            reason=text if entry.reason else "",
        )
        for entry in record.plan
    )
    waivers = tuple(replace(each, waiver=replace(each.waiver, reason=text, owner=text)) for each in record.waivers)
    return replace(
        record,
        suite={**record.suite, "version": text},
        subject={**record.subject, "name": text, "vendor": text, "version": text},
        plan=plan,
        results=results,
        waivers=waivers,
        run_file=text,
        trouble=text,
        requirements=tuple(replace(each, text=text) for each in record.requirements),
        environment=dict.fromkeys(record.environment, text),
    )


def large() -> Material:
    """A run of a thousand checks with evidence, every third of which failed."""
    plan, results = [], []
    for number in range(LARGEST_RUN):
        entry = records.entry(
            f"OWN{number // 900}-{number % 900:03}", f"Thing {number} holds", ["MTLS-R1"], records.Level.MUST
        )
        evidence = tuple(
            Evidence(
                f"observation {each}",
                EvidenceKind.EXCHANGE,
                {"number": number, "each": each, "body": "x" * 200},
                records.AT,
            )
            for each in range(3)
        )
        verdict = Verdict.FAIL if number % 3 == 0 else Verdict.PASS
        facts = {"expected": "it holds", "seen": "it did not"} if verdict is Verdict.FAIL else {}
        plan.append(entry)
        results.append(records.judged(entry, verdict, evidence=evidence, **facts))
    return Material(records.record(tuple(plan), tuple(results)).to_json())


RECORDS = {
    "conformant": records.conformant,
    "not-conformant": records.not_conformant,
    "interrupted": records.interrupted,
    "waiver-troubles": waiver_troubles,
    "nothing-known": nothing_known,
}
HOSTILE = {
    "controls": "a\x00b\x1b[31m\u202ec\r\n\x85",
    "only-blanks": " \n\t ",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "![x](javascript:alert(1)) [y](0) {0} {{ insert: param, x }} `` # *a*\n\n# b\n- c",
    "surrogate": "half \ud83d pair",
    "megabyte": "<b>" * 350_000,
    "path": "../../\\etc/passwd?#%2e%2e:{bundled}//x y",
}
