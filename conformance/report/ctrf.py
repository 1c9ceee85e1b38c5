"""`ctrf-report.json`: the run in the Common Test Report Format, for dashboards that read one format of all tools.

Invariants: only a pass is `passed`, and `rawStatus` is the verdict itself; a run that is not conformant or incomplete
holds at least one `failed`, since CTRF has no other status at which a gate stops. What CTRF has no word for stands
under `extra`.

    pass         passed         inconclusive, error   other
    fail         failed         not-run               pending
    fail, waived other          not-applicable        skipped
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from conformance.model.record import WaiverState
from conformance.model.verdict import Outcome, Verdict
from conformance.report.documents import evidence_list, filled, identifier, json_document, several_lines
from conformance.report.findings import RecordJson, applied_waivers, area_of, planned, troubled_waivers
from conformance.report.material import Material
from conformance.report.text import one_line, paragraphs
from conformance.report.wording import coverage_sentence, outcome_sentence, waiver_sentence

__all__ = ["STATUSES", "STATUS_OF_WAIVED", "render"]

SPEC_VERSION = "0.0.0"

STATUSES = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.INCONCLUSIVE: "other",
    Verdict.ERROR: "other",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.NOT_RUN: "pending",
}
STATUS_OF_WAIVED = "other"
KNOWN_STATUSES = ("passed", "failed", "skipped", "pending", "other")


def render(material: Material) -> bytes:
    """The record as CTRF."""
    record = material.record
    waived, plan = applied_waivers(record), planned(record)
    tests = [_test(record, result, plan[result["check"]], waived.get(result["check"])) for result in record["results"]]
    tests += _run_tests(record)
    statuses = Counter(test["status"] for test in tests)
    start, stop = _milliseconds(record["started"]), _milliseconds(record["finished"])
    return json_document(
        {
            "reportFormat": "CTRF",
            "specVersion": SPEC_VERSION,
            "reportId": identifier("ctrf", material.digest),
            "timestamp": record["finished"],
            "generatedBy": _tool(record),
            "results": {
                "tool": {
                    "name": one_line(record["suite"]["name"]) or "meshmark",
                    "version": one_line(record["suite"]["version"]),
                },
                "summary": {
                    "tests": len(tests),
                    **{status: statuses[status] for status in KNOWN_STATUSES},
                    "start": start,
                    "stop": stop,
                    "duration": max(0, stop - start),
                    "extra": {
                        "outcome": record["outcome"],
                        "sentence": one_line(outcome_sentence(record)),
                        "coverage": one_line(coverage_sentence(record)),
                        "totals": dict(sorted(record["totals"].items())),
                    },
                },
                "tests": tests,
                "environment": _environment(record),
                "extra": {"record": {"schema": record["schema"], "sha256": material.digest}},
            },
        }
    )


def _tool(record: RecordJson) -> str:
    return one_line(f"{record['suite']['name']} {record['suite']['version']}")


def _test(record: RecordJson, result: RecordJson, entry: RecordJson, waiver: RecordJson | None) -> dict[str, Any]:
    start = _milliseconds(result["started"]) if result["started"] else None
    duration = round(result["duration_s"] * 1000)
    area = area_of(result["check"])
    place = result["place"] or {"path": record["run_file"], "line": None}
    return _base(record, result["check"], result["title"], area) | filled(
        {
            "status": STATUS_OF_WAIVED if waiver else STATUSES[Verdict(result["verdict"])],
            "rawStatus": result["verdict"],
            "duration": duration,
            "start": start,
            "stop": None if start is None else start + duration,
            "message": _message(result, waiver),
            "tags": [area, result["level"], *result["proves"]],
            "labels": filled({"level": result["level"], "requirements": result["proves"]}),
            "type": "conformance",
            "filePath": one_line(place["path"]),
            "line": place["line"],
            "extra": filled(
                {
                    "why": one_line(paragraphs(entry["description"])[0]),
                    "reason": result["reason"],
                    "expected": several_lines(result["expected"]),
                    "seen": several_lines(result["seen"]),
                    "nextStep": several_lines(result["next_step"]),
                    "reproduce": one_line(result["reproduce"]),
                    "waiver": _waiver(waiver),
                    "evidence": evidence_list(result),
                }
            ),
        }
    )


def _run_tests(record: RecordJson) -> list[dict[str, Any]]:
    """One test for each thing that is wrong with the run itself: a tool that counts must not take it for a good one."""
    found = []
    if record["interrupted"]:
        message = f"the run was interrupted before its end\n{record['trouble']}"
        found.append(_run_test(record, "run interrupted", "interrupted", message))
    elif record["outcome"] == Outcome.INCOMPLETE:
        message = f"{outcome_sentence(record)}\n{record['trouble']}"
        found.append(_run_test(record, "run incomplete", "incomplete", message))
    for waiver in troubled_waivers(record):
        state = WaiverState(waiver["state"])
        test = _run_test(record, f"waiver for {waiver['check']}", f"waiver-{state}", waiver_sentence(waiver))
        found.append({**test, "extra": {"waiver": _waiver(waiver)}})
    return found


def _run_test(record: RecordJson, name: str, raw_status: str, message: str) -> dict[str, Any]:
    return {
        **_base(record, "run", name, "run"),
        "status": "failed",
        "rawStatus": raw_status,
        "duration": 0,
        "message": several_lines(message.strip()),
    }


def _base(record: RecordJson, test: str, title: str, area: str) -> dict[str, Any]:
    """The same for the same check of the same subject, so that runs can be compared."""
    subject, profile = record["subject"]["name"], record["profile"]
    return {
        "id": identifier("test", subject, profile, test, title if test == "run" else ""),
        "testId": test if test != "run" else one_line(title).replace(" ", "-"),
        "name": one_line(title if test == "run" else f"{test} {title}"),
        "suite": [one_line(f"{subject} ({profile})"), area],
    }


def _message(result: RecordJson, waiver: RecordJson | None) -> str:
    if result["verdict"] == Verdict.PASS:
        return ""
    parts = {
        "expected": result["expected"],
        "seen" if result["expected"] else "": result["seen"],
        "reason": result["reason"],
        "what to do": result["next_step"],
        "waived": waiver_sentence(waiver) if waiver else "",
    }
    return "\n".join(
        f"{name}: {several_lines(text)}" if name else several_lines(text) for name, text in parts.items() if text
    )


def _waiver(waiver: RecordJson | None) -> dict[str, str] | None:
    if waiver is None:
        return None
    return {
        "reason": several_lines(waiver["reason"]),
        "owner": one_line(waiver["owner"]),
        "expires": waiver["expires"],
        "state": waiver["state"],
    }


def _environment(record: RecordJson) -> dict[str, Any]:
    subject = record["subject"]
    return filled(
        {
            "appName": one_line(subject["name"]),
            "appVersion": one_line(subject["version"]),
            "osPlatform": one_line(record["environment"]["os"]),
            "extra": filled(
                {
                    "vendor": one_line(subject["vendor"]),
                    "role": subject["role"],
                    "profile": one_line(record["profile"]),
                    "topology": record["topology"],
                    "seed": record["seed"],
                    **{name: one_line(value) for name, value in sorted(record["environment"].items()) if name != "os"},
                }
            ),
        }
    )


def _milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
