"""Whatever a run leaves behind, every format tells the same story about it, and none tells a better one."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.model.record import PlanEntry, RunRecord, Waiver
from conformance.model.requirements import Area, Level
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Outcome, Result, Verdict
from conformance.report import html, junit
from conformance.report.material import Material
from conformance.report.record_file import contradictions, render_record
from conformance.report.summary import summarize
from conformance.report.wording import outcome_sentence, totals_sentence

from . import records
from .pages import Page

NASTY = ["", "<b>&amp;</b>", "\x00\x1b[2J", "\ud83d", "\u202e", "line\nline\r\n", "]]>", "x" * 5_000]
texts = st.one_of(st.text(max_size=20), st.sampled_from(NASTY))
names = st.one_of(st.text(min_size=1, max_size=20), st.sampled_from(NASTY[1:]))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
messages = st.fixed_dictionaries(
    {"status": json_values},
    optional={"headers": st.one_of(st.dictionaries(texts, json_values, max_size=2), st.lists(st.lists(texts)), texts)},
)
observations = st.dictionaries(
    st.one_of(st.sampled_from(["request", "response", "before", "after", "status", "headers", "body"]), texts),
    st.one_of(json_values, messages),
    max_size=4,
)
evidence = st.builds(Evidence, names, st.sampled_from(EvidenceKind), observations, st.just(records.AT))
expectations = st.builds(Expectation, st.just("some-code"), texts, texts, met=st.booleans())


@st.composite
def run_records(draw: st.DrawFn) -> RunRecord:
    identifiers = draw(
        st.lists(
            st.builds("{}-{:03d}".format, st.sampled_from([*Area, "OWN"]), st.integers(0, 999)), unique=True, max_size=6
        )
    )
    plan: list[PlanEntry] = []
    results: list[Result] = []
    for identifier in identifiers:
        verdict, level = draw(st.sampled_from(Verdict)), draw(st.sampled_from(Level))
        area = identifier.partition("-")[0]
        left_out: dict[str, Any] = (
            {"reason": draw(names), "verdict_if_not_run": verdict} if verdict is Verdict.NOT_APPLICABLE else {}
        )
        entry = records.entry(identifier, draw(names), [f"{area}-R1", f"{area}-R2"], level, **left_out)
        plan.append(entry)
        if verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_RUN):
            results.append(entry.unrun_result(draw(texts)))
        else:
            results.append(
                records.judged(
                    entry,
                    verdict,
                    reason="" if verdict is Verdict.PASS else "some-code",
                    expected=draw(texts),
                    seen=draw(texts),
                    expectations=tuple(draw(st.lists(expectations, max_size=2))),
                    evidence=tuple(draw(st.lists(evidence, max_size=2))),
                )
            )
    waivers = [
        Waiver(identifier, draw(texts), draw(texts), draw(st.dates(date(2026, 1, 1), date(2027, 12, 31))))
        for identifier in draw(st.lists(st.sampled_from(identifiers), unique=True) if identifiers else st.just([]))
    ]
    made = records.record(tuple(plan), tuple(results), waivers)
    return replace(made, interrupted=draw(st.booleans()), trouble=draw(texts), run_file=draw(texts))


WORDS = {
    "planned": r"checks? in the plan",
    "pass": "passed",
    "fail": "failed",
    "waived": "waived",
    "inconclusive": "inconclusive",
    "error": "errors?",
    "not-applicable": "not applicable",
    "not-run": "not run",
}


def numbers_of(sentence: str) -> dict[str, int]:
    found = {name: re.findall(rf"(\d+) {word}", sentence) for name, word in WORDS.items()}
    assert all(len(numbers) == 1 or name == "waived" for name, numbers in found.items())
    return {name: int(numbers[0]) if numbers else 0 for name, numbers in found.items()}


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_totals_agree_in_every_format(record: RunRecord) -> None:
    values, totals = record.to_json(), record.totals
    assert contradictions(values) == []
    assert json.loads(render_record(values))["totals"] == totals

    assert numbers_of(summarize(values)[1]) == totals
    suite = ET.fromstring(junit.render(Material(values)))[0]  # noqa: S314 -- our own output
    properties = {str(each.get("name")): str(each.get("value")) for each in suite.findall("properties/property")}
    assert {name: int(properties[f"total-{name}"]) for name in totals} == totals

    page = Page.of(html.render(Material(values)))
    cells = {
        str(cell.attributes["data-total"]): int(cell.text) for cell in page.all("td") if "data-total" in cell.attributes
    }
    assert cells | {"waived": totals["waived"]} == totals
    assert numbers_of(page.by_id("bar-title").text) == totals
    anchors = [str(element.attributes.get("id")) for element in page.all("article", "tr")]
    assert sorted(anchor for anchor in anchors if anchor != "None") == sorted(entry.check.id for entry in record.plan)


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_nothing_but_a_pass_is_ever_shown_as_a_pass(record: RunRecord) -> None:
    values = record.to_json()
    top = ET.fromstring(junit.render(Material(values)))  # noqa: S314 -- our own output
    cases = {
        str(case.get("name")).split(" ")[0]: case for case in top.iter("testcase") if case.get("classname") != "run"
    }
    page = Page.of(html.render(Material(values)))
    for result in record.results:
        passed = result.verdict is Verdict.PASS
        marks = [child.tag for child in cases[result.check] if child.tag != "properties"]
        assert (marks == []) == passed
        if result.verdict not in (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE):
            assert ("is-pass" in str(page.by_id(result.check).attributes["class"])) == passed


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_a_gate_that_counts_failures_and_errors_stops_every_run_that_is_not_conformant(record: RunRecord) -> None:
    suite = ET.fromstring(junit.render(Material(record.to_json())))[0]  # noqa: S314 -- our own output
    cases = suite.findall("testcase")
    counted = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    assert suite.get("tests") == str(len(cases))
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == list(map(str, counted.values()))
    if record.outcome in (Outcome.NOT_CONFORMANT, Outcome.INCOMPLETE):
        assert counted["failure"] + counted["error"] > 0


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_the_summary_is_one_clean_line_after_another_and_says_what_the_page_says(record: RunRecord) -> None:
    values = record.to_json()
    lines = summarize(values)
    assert not any(re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", line) for line in lines)
    assert lines[1] == totals_sentence(values)
    assert outcome_sentence(values).endswith(".")
    assert ": ." not in outcome_sentence(values)
    for result in record.results:
        if result.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE):
            assert any(result.check in line for line in lines)
