"""`record.json`: how it is written, and what is refused when it is read back.

Invariants: what `read_record` returns keeps to its schema and does not contradict itself. The digest of a record is
that of its core: the record as RFC 8785 spells it, with each observation replaced by its own digest. So a record has
one name, whether the evidence lies in it, beside it, or had to be left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.model.canonical import digest, plain
from conformance.model.errors import SuiteFault, UsageError
from conformance.model.record import RECORD_SCHEMA, WaiverState
from conformance.model.verdict import Result, Verdict, judge_outcome, totals_of
from conformance.report.findings import NOT_JUDGED, RecordJson, applied_waivers, troubled_waivers
from conformance.report.text import one_line
from conformance.system.folders import bundled

if TYPE_CHECKING:
    from conformance.report.material import Material

__all__ = [
    "contradictions",
    "core_of",
    "parse_record",
    "read_record",
    "render",
    "render_record",
    "schema_path",
]

OLDER_SCHEMAS = ("meshmark/record/1",)
"""Those that are still read: they lack nothing that cannot be computed."""


def schema_path() -> Path:
    """Where the JSON Schema of `record.json` is."""
    return bundled("reports/schemas/record-2.schema.json")


def render_record(record: RecordJson) -> bytes:
    """The record as `record.json` holds it: sorted keys, two blanks of indentation, UTF-8, a line feed at the end.
    Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD.

    Raises:
        SuiteFault: a check put something into its evidence that is not JSON.

    """
    try:
        text = json.dumps(plain(record), ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SuiteFault(
            f"the run record cannot be written as JSON: {error}",
            next_step="report a bug: evidence must be plain JSON, without bytes, infinity or keys that are not text",
        ) from error
    return f"{text}\n".encode()


def render(material: Material) -> bytes:
    """`render_record`, as one of the formats."""
    return render_record(material.record)


def core_of(record: RecordJson) -> dict[str, Any]:
    """The record without the observations themselves, whose digests stay."""
    results = [
        {
            **result,
            "evidence": [
                {name: value for name, value in each.items() if name != "observed"} for each in result["evidence"]
            ],
        }
        for result in record["results"]
    ]
    core: dict[str, Any] = plain({**record, "results": results})
    return core


def read_record(path: Path) -> dict[str, Any]:
    """Read a `record.json`.

    Raises:
        UsageError: the file cannot be read, is no JSON, is no record, does not keep to the record's schema or
            contradicts itself.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), next_step="name the record.json of a finished run"
        ) from error
    return parse_record(content, str(path))


def parse_record(content: bytes, where: str) -> dict[str, Any]:
    """What `read_record` does, for a record that was read already; `where` names it in messages."""
    try:
        record = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"is no JSON: {error}", where=where, next_step="name the record.json of a finished run, unchanged"
        ) from error
    named = record.get("schema") if isinstance(record, dict) else None
    if named != RECORD_SCHEMA and named not in OLDER_SCHEMAS:
        raise UsageError(
            f"has the schema {one_line(repr(named), 80)}; {RECORD_SCHEMA!r} is needed",
            where=where,
            next_step="name a record.json, or read it with the version of meshmark that wrote it",
        )
    try:
        record = _upgraded(record) if named in OLDER_SCHEMAS else record
        problems = _schema_problems(record) or contradictions(record)
    except (AttributeError, KeyError, TypeError) as error:
        problems = [f"is no record of schema {named}: {error!r}"]
    if problems:
        raise UsageError(
            f"is no sound record: {problems[0]}",
            where=where,
            detail="\n".join(problems[1:10]) or None,
            next_step="use the file as meshmark wrote it; if it is unchanged, report a bug",
        )
    return dict(record)


def _upgraded(record: RecordJson) -> dict[str, Any]:
    """A record of the first schema in the present one: digests of the evidence are added; places and declared features
    are not known.
    """
    results = [
        {
            **result,
            "evidence": [{**each, "sha256": digest(plain(each["observed"]))} for each in result["evidence"]],
            "place": None,
        }
        for result in record["results"]
    ]
    waivers = [{**waiver, "signature": None} for waiver in record["waivers"]]
    return {**record, "schema": RECORD_SCHEMA, "features": None, "results": results, "waivers": waivers}


def contradictions(record: RecordJson) -> list[str]:
    """Where a record that keeps to its schema does not add up, in words. An honest record has none.

    Recomputed: results against the plan, the totals, the outcome, and the digests of the evidence that is there.
    """
    plan = {entry["check"]: entry for entry in record["plan"]}
    problems = [
        f"{where}: {moment} is a leap second, which no clock of a run shows"
        for where, moment in _moments(record)
        if not _on_a_clock(moment)
    ]
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
        problems += [
            f"results: {check} has evidence {each['name']!r} that is not what its digest says"
            for each in result["evidence"]
            if "observed" in each and each["sha256"] != digest(plain(each["observed"]))
        ]
        if check not in plan:
            problems.append(f"results: {check} is not in the plan")
        elif result["level"] != plan[check]["level"]:
            problems.append(f"results: {check} has another level than in the plan")
        elif result["title"] != plan[check]["title"]:
            problems.append(f"results: {check} has another title than in the plan")
        elif plan[check]["run"] and verdict == Verdict.NOT_APPLICABLE:
            problems.append(f"results: {check} was to be run, and yet its verdict is {verdict}")
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
        [Result.from_json({**result, "evidence": []}) for result in record["results"]],
        waived=frozenset(waived),
        waiver_problems=bool(troubled_waivers(record)),
        interrupted=record["interrupted"],
    )
    if record["outcome"] != outcome:
        problems.append(f"outcome: is {record['outcome']}, recomputed {outcome}")
    return problems


def _moments(record: RecordJson) -> Iterator[tuple[str, str]]:
    """Every time that stands in a record, and where."""
    yield from ((name, record[name]) for name in ("started", "finished"))
    for result in record["results"]:
        if result["started"] is not None:
            yield f"{result['check']}: started", result["started"]
        yield from ((f"{result['check']}: {each['name']}", each["at"]) for each in result["evidence"])
    for waiver in record["waivers"]:
        if waiver["signature"] is not None:
            yield f"waiver of {waiver['check']}", waiver["signature"]["at"]


def _on_a_clock(moment: str) -> bool:
    """RFC 3339 allows a sixtieth second; the clocks of computers have none."""
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


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
