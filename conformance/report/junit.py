"""`junit.xml`: the run for tools that read JUnit and for gates that count failures and errors.

Invariants: a check is shown without a child element, which JUnit takes for a pass, only if it passed; a run that is not
conformant or incomplete holds at least one failure or error, also when no single check carries the blame.

    pass            -                        inconclusive    error type="inconclusive"
    fail            failure                  error           error type="error"
    fail, waived    skipped, with the waiver not-run, not-applicable   skipped, with the reason
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import datetime

from conformance.model.record import WaiverState
from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import RecordJson, applied_waivers, area_of, planned, troubled_waivers
from conformance.report.language import say
from conformance.report.material import Material
from conformance.report.text import cut, one_line, paragraphs, visible
from conformance.report.wording import coverage_sentence, outcome_sentence, totals_sentence, waiver_sentence

__all__ = ["render"]


def render(material: Material) -> bytes:
    """The record as JUnit XML (the `xunit1` family, in which a test case has a file and properties)."""
    record = material.record
    waived = applied_waivers(record)
    plan = planned(record)
    cases = [
        _check_case(record, result, plan[result["check"]], waived.get(result["check"])) for result in record["results"]
    ]
    cases += _run_cases(record)
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    started = datetime.fromisoformat(record["started"])
    took = max(0.0, (datetime.fromisoformat(record["finished"]) - started).total_seconds())
    common = {key: str(number) for key, number in counts.items()} | {"time": f"{took:.3f}"}
    top = ET.Element("testsuites", {"name": "meshmark", **common})
    suite = ET.SubElement(
        top,
        "testsuite",
        {
            "name": one_line(f"{record['subject']['name']} ({record['profile']})"),
            **common,
            "timestamp": record["started"],
        },
    )
    _add_properties(suite, _run_properties(material))
    suite.extend(cases)
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'.encode()


def _run_properties(material: Material) -> dict[str, str]:
    record = material.record
    return {
        "summary": outcome_sentence(record),
        "outcome": record["outcome"],
        "profile": record["profile"],
        "suite-version": record["suite"]["version"],
        "seed": str(record["seed"]),
        "record-sha256": material.digest,
        "totals": totals_sentence(record),
        "coverage": coverage_sentence(record),
    } | {f"total-{name}": str(number) for name, number in sorted(record["totals"].items())}


def _check_case(record: RecordJson, result: RecordJson, entry: RecordJson, waiver: RecordJson | None) -> ET.Element:
    case = _case(record, area_of(result["check"]), f"{result['check']} {result['title']}", result["duration_s"])
    facts = {"level": result["level"], "verdict": result["verdict"], "requirements": ", ".join(result["proves"])}
    if waiver:
        facts["waived"] = waiver_sentence(waiver)
    _add_properties(case, facts)
    verdict = Verdict(result["verdict"])
    if waiver:
        _add(case, "skipped", "waived", waiver_sentence(waiver), _story(result, entry))
    elif verdict is Verdict.FAIL:
        _add(case, "failure", result["reason"] or verdict, result["seen"] or result["reason"], _story(result, entry))
    elif verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR):
        _add(case, "error", verdict, f"{result['reason']}: {result['seen']}", _story(result, entry))
    elif verdict in (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE):
        _add(case, "skipped", verdict, result["seen"] or result["reason"], "")
    return case


def _run_cases(record: RecordJson) -> list[ET.Element]:
    """One case for each thing that is wrong with the run itself: a tool that counts must not take it for a good one."""
    found = []
    if record["interrupted"]:
        case = _case(record, "run", say("junit.run_interrupted"), 0.0)
        _add(case, "error", "interrupted", say("trouble.interrupted"), record["trouble"])
        found.append(case)
    elif record["outcome"] == Outcome.INCOMPLETE:
        case = _case(record, "run", say("junit.run_incomplete"), 0.0)
        _add(case, "error", "incomplete", outcome_sentence(record), record["trouble"])
        found.append(case)
    for waiver in troubled_waivers(record):
        case = _case(record, "run", say(f"junit.waiver_{WaiverState(waiver['state'])}", check=waiver["check"]), 0.0)
        _add(case, "failure", f"waiver-{waiver['state']}", waiver_sentence(waiver), "")
        found.append(case)
    return found


def _case(record: RecordJson, area: str, name: str, duration: float) -> ET.Element:
    facts = {"classname": area, "name": one_line(name), "file": one_line(record["run_file"]), "time": f"{duration:.3f}"}
    return ET.Element("testcase", facts)


def _add(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    ET.SubElement(case, tag, {"type": kind, "message": one_line(message)}).text = visible(text) or None


def _add_properties(parent: ET.Element, facts: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": one_line(value)})


def _story(result: RecordJson, entry: RecordJson) -> str:
    """What a reader of a CI page needs, without opening another file."""
    texts = {
        "junit.why": one_line(paragraphs(entry["description"])[0]),
        "summary.expected": result["expected"],
        "summary.seen": result["seen"],
        "summary.reason": result["reason"],
        "junit.what_to_do": result["next_step"],
        "summary.reproduce": result["reproduce"],
    }
    parts = {f"{say(name)}:": text for name, text in texts.items()}
    width = max(map(len, parts)) + 1
    return "\n".join(
        f"{name:<{width}}{re.sub(chr(10), chr(10) + ' ' * width, cut(text))}" for name, text in parts.items() if text
    )
