"""Records that somebody has filled with what breaks reports, and records as large as they get."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from conformance.model.record import RunRecord
from conformance.model.requirements import Level
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Verdict
from conformance.report.findings import RecordJson

from . import records

TEXTS = {
    "html": "</code></summary></details></script><img src=x onerror=alert(1)><script>alert(1)</script><!--",
    "markdown": "](javascript:alert(1)) ![x](http://evil.test/x) **b** [a]: http://evil.test\n# heading\n\n---\n- item",
    "table": "a | b \\| c\n| --- | --- |\n| 1 | 2 |",
    "mentions": "@everyone @org/team #1 !2 &3 GH-4 owner/repo#5 :tada: www.evil.test https://evil.test a@evil.test",
    "backticks": "`` ` ``` ```` x ` ```\n```\n~~~",
    "only backticks": "`" * 70,
    "gherkin": 'x\nScenario: another\n  @tag\n  Given nothing\nExamples:\n| a |\n#language: de\n"""',
    "yaml": "a: b\n- &anchor *alias !!python/object:os.system {x: [1, 2\n---\n...\n%YAML",
    "json": '"}\n{"testRunFinished": {"success": true}}\n',
    "controls": "\x00\x1b[2J\x07\x85\u2028\u2029\ufeff\r\n\t\x7f",
    "direction": "\u202esrever\u202d\u2066\u2069\u200f",
    "half a pair": "\ud83d \udc00 \uffff",
    "blanks": " \n\t ",
    "dollar": "$`x`$ $$y$$ {{ z }} {% raw %} ${HOME}",
    "expanding": "\x00" * 5_000,
    "wide": "\U00010348" * 5_000,
    "megabyte": "<b>`|@x " * 130_000,
}
KEEP = {
    "schema", "check", "level", "verdict", "reason", "kind", "at", "sha256", "started", "finished", "expires", "state",
    "outcome", "catalogue_digest", "envoy_digest", "topology", "role", "runtime", "hosts", "code", "proves",
    "observed",
}  # fmt: skip
"""Fields that the schema holds to a pattern, and evidence, which the formats that are tested with this do not show."""


def filled(record: RecordJson, text: str) -> dict[str, Any]:
    """The record with the text in every field that may hold any."""

    def fill(value: Any, name: str = "") -> Any:
        if name in KEEP:
            return value
        if isinstance(value, dict):
            return {key: fill(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each, name) for each in value]
        return text if isinstance(value, str) else value

    found: dict[str, Any] = fill(record)
    # Here `reason` is text, and not the code that a result has.
    for entry in [*found["plan"], *found["waivers"]]:
        entry["reason"] = text
    return found


def large(number: int = 1_000) -> RunRecord:
    """Results of every verdict, in every area, with much text and evidence; one in ten of them waived."""
    areas = ["MTLS", "POLICY", "AUTHZ", "ROUTE", "RETRY", "BREAK", "RATE", "DISCOVERY", "TRACE", "API"]
    verdicts = [*Verdict, Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    plan, results = [], []
    for index in range(number):
        area, verdict = areas[index % len(areas)], verdicts[index % len(verdicts)]
        unjudged = {"reason": "not declared", "verdict_if_not_run": verdict}
        entry = records.entry(
            f"{area}-{index // len(areas):03d}",
            f"Check number {index} holds in words that say what it is about",
            [f"{area}-R{1 + index % 2}"],
            list(Level)[index % 3],
            **(unjudged if verdict is Verdict.NOT_APPLICABLE else {}),
        )
        plan.append(entry)
        if verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_RUN):
            results.append(entry.unrun_result(f"reason {index}"))
            continue
        # A few checks go through every operation.
        operations = 40 if area == "API" and index < 30 else 0
        observed = {"operations": [{"operation": f"GET /v1/{each}", "breaches": [index]} for each in range(operations)]}
        results.append(
            records.judged(
                entry,
                verdict,
                reason="" if verdict is Verdict.PASS else "some-code",
                expected="something that had to be true " * 10,
                seen="something else that was seen " * 10,
                next_step="look there " * 10,
                expectations=(Expectation("some-code", "expected", "seen", met=verdict is Verdict.PASS),) * 3,
                evidence=(
                    records.KNOWN_CALLER,
                    records.COUNTERS,
                    records.LOG,
                    Evidence("operations", EvidenceKind.CONTRACT, observed, records.AT),
                ),
            )
        )
    failed = [result.check for result in results if result.verdict is Verdict.FAIL]
    waivers = [records.Waiver(check, "known " * 20, "Jane Mwangi", records.date(2027, 1, 1)) for check in failed[::3]]
    return replace(records.record(tuple(plan), tuple(results), waivers), trouble="it went wrong " * 50)


def spoilt(record: RunRecord, text: str) -> dict[str, Any]:
    """The record with this text in every place where words from outside may stand."""
    values = json.loads(json.dumps(record.to_json()))
    fixed = {"check", "level", "verdict", "outcome", "schema", "state", "expires", "started", "finished", "at", "kind"}
    fixed |= {"proves", "reason_code", "code", "topology", "role", "requirements", "timeouts", "sha256"}

    def spoil(value: Any, key: str = "") -> Any:
        if key in fixed:
            return value
        if isinstance(value, dict):
            if key in ("observed", "headers"):
                return {text + name: spoil(each, name) for name, each in value.items()}
            return {name: spoil(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return text + value if isinstance(value, str) else value

    spoilt_values = spoil(values)
    assert isinstance(spoilt_values, dict)
    spoilt_values["requirements"] = {
        each: {"text": text, "level": "MUST", "sources": [text], "unchecked": text} for each in values["requirements"]
    }
    return spoilt_values
