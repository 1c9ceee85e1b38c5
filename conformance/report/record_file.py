"""`record.json`: how it is written, and what is refused when it is read back.

Invariants: one record has one spelling (sorted keys, two blanks of indentation, UTF-8, a line feed at the end), so its
SHA-256 names it; what `read_record` returns keeps to its schema and does not contradict itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from conformance.model.errors import SuiteFault, UsageError
from conformance.model.record import RECORD_SCHEMA, WaiverState
from conformance.model.verdict import Result, Verdict, judge_outcome, totals_of
from conformance.report.findings import NOT_JUDGED, RecordJson, applied_waivers, troubled_waivers
from conformance.report.text import one_line
from conformance.system.folders import bundled

__all__ = ["contradictions", "digest_of", "read_record", "render_record", "schema_path"]

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def schema_path() -> Path:
    """Where the JSON Schema of `record.json` is."""
    return bundled("reports/schemas/record-1.schema.json")


def render_record(record: RecordJson) -> bytes:
    """The record as `record.json` holds it. Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD.

    Raises:
        SuiteFault: a check put something into its evidence that is not JSON.

    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SuiteFault(
            f"the run record cannot be written as JSON: {error}",
            next_step="report a bug: evidence must be plain JSON, without bytes, infinity or keys that are not text",
        ) from error
    return (LONE_SURROGATE.sub("\ufffd", text) + "\n").encode()


def digest_of(record: RecordJson) -> str:
    """SHA-256 of `record.json`, in hexadecimal."""
    return hashlib.sha256(render_record(record)).hexdigest()


def read_record(path: Path) -> dict[str, Any]:
    """Read a `record.json`.

    Raises:
        UsageError: the file cannot be read, is no JSON, is no record, does not keep to the record's schema or
            contradicts itself.

    """
    try:
        record = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), next_step="name the record.json of a finished run"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"is no JSON: {error}", where=str(path), next_step="name the record.json of a finished run, unchanged"
        ) from error
    named = record.get("schema") if isinstance(record, dict) else None
    if named != RECORD_SCHEMA:
        raise UsageError(
            f"has the schema {one_line(repr(named), 80)}; {RECORD_SCHEMA!r} is needed",
            where=str(path),
            next_step="name a record.json, or read it with the version of meshmark that wrote it",
        )
    problems = _schema_problems(record) or contradictions(record)
    if problems:
        raise UsageError(
            f"is no sound record: {problems[0]}",
            where=str(path),
            detail="\n".join(problems[1:10]) or None,
            next_step="use the file as meshmark wrote it; if it is unchanged, report a bug",
        )
    return dict(record)


def contradictions(record: RecordJson) -> list[str]:
    """Where a record that keeps to its schema does not add up, in words. An honest record has none.

    Recomputed: results against the plan, the totals, and the outcome.
    """
    plan = {entry["check"]: entry for entry in record["plan"]}
    problems = []
    for where in ("plan", "results"):
        times = Counter(entry["check"] for entry in record[where])
        problems += [f"{where}: {check} stands there {number} times" for check, number in times.items() if number > 1]
    found = {result["check"] for result in record["results"]}
    problems += [f"results: {check} of the plan is missing" for check in plan if check not in found]
    for result in record["results"]:
        check, verdict = result["check"], result["verdict"]
        problems += [
            f"requirements: {each}, which {check} proves, is missing"
            for each in result["proves"]
            if each not in record["requirements"]
        ]
        if check not in plan:
            problems.append(f"results: {check} is not in the plan")
        elif result["level"] != plan[check]["level"]:
            problems.append(f"results: {check} has another level than in the plan")
        elif result["title"] != plan[check]["title"]:
            problems.append(f"results: {check} has another title than in the plan")
        elif not plan[check]["run"] and verdict not in NOT_JUDGED:
            problems.append(f"results: {check} was left out of the run, and yet its verdict is {verdict}")
    waived = applied_waivers(record)
    failed = {result["check"] for result in record["results"] if result["verdict"] == Verdict.FAIL}
    problems += [
        f"waivers: the one for {check} is {WaiverState.APPLIED}, and yet the check did not fail"
        for check in waived
        if check not in failed
    ]
    totals = totals_of([Verdict(result["verdict"]) for result in record["results"]])
    totals |= {"waived": len(waived), "planned": len(record["plan"])}
    problems += [
        f"totals: {name} is {record['totals'][name]}, counted {number}"
        for name, number in totals.items()
        if record["totals"][name] != number
    ]
    outcome = judge_outcome(
        [Result.from_json(result) for result in record["results"]],
        waived=frozenset(waived),
        waiver_problems=bool(troubled_waivers(record)),
        interrupted=record["interrupted"],
    )
    if record["outcome"] != outcome:
        problems.append(f"outcome: is {record['outcome']}, recomputed {outcome}")
    return problems


def _schema_problems(record: RecordJson) -> list[str]:
    import jsonschema_rs  # noqa: PLC0415 -- only reading needs it, and a run should start fast

    schema = json.loads(schema_path().read_bytes())
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    try:
        errors = list(validator.iter_errors(record))
    except ValueError as error:  # half a surrogate pair, or nested beyond all measure
        return [one_line(str(error), 300)]
    places = ["/".join(map(str, error.instance_path)) or "the whole record" for error in errors]
    return [one_line(f"{place}: {error.message}", 300) for place, error in zip(places, errors, strict=True)]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
