"""Readers of Cucumber get a stream that holds together, and GovStack's web application finds its endpoints in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from conformance.model.record import RunRecord
from conformance.model.verdict import Evidence, EvidenceKind, Result, Verdict
from conformance.report import cucumber
from conformance.report.material import Material

from . import records
from .hostile import TEXTS, filled, large
from .test_properties import run_records

STATUSES = {"UNKNOWN", "PASSED", "SKIPPED", "PENDING", "UNDEFINED", "AMBIGUOUS", "FAILED"}
# Required fields of each message, as the JSON Schema of Cucumber's messages has them.
REQUIRED = {
    "meta": {"protocolVersion", "implementation", "runtime", "os", "cpu"},
    "source": {"uri", "data", "mediaType"},
    "gherkinDocument": {"comments"},
    "pickle": {"id", "uri", "name", "language", "steps", "tags", "astNodeIds"},
    "stepDefinition": {"id", "pattern", "sourceReference"},
    "testRunStarted": {"timestamp"},
    "testCase": {"id", "pickleId", "testSteps"},
    "testCaseStarted": {"attempt", "id", "testCaseId", "timestamp"},
    "testStepStarted": {"testCaseStartedId", "testStepId", "timestamp"},
    "testStepFinished": {"testCaseStartedId", "testStepId", "testStepResult", "timestamp"},
    "testCaseFinished": {"testCaseStartedId", "timestamp", "willBeRetried"},
    "testRunFinished": {"success", "timestamp"},
}
ALLOWED = {
    "gherkinDocument": {"uri", "feature"},
    "pickle": {"location"},
    "testRunStarted": {"id"},
    "testCase": {"testRunStartedId"},
    "testRunFinished": {"message", "exception", "testRunStartedId"},
}
ORDER = list(REQUIRED)


class Stream:
    """The messages of a record, and what they say together."""

    def __init__(self, record: Any) -> None:
        values = record.to_json() if isinstance(record, RunRecord) else record
        content = cucumber.render(Material(values))
        assert content.endswith(b"\n")
        self.messages: list[tuple[str, dict[str, Any]]] = []
        for line in content.decode().split("\n")[:-1]:
            ((kind, message),) = json.loads(line).items()
            self.messages.append((kind, message))

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for each, message in self.messages if each == kind]

    def steps(self, check: str, uri: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Text and result of each step of a check's only test case."""
        (pickle,) = [
            each
            for each in self.all("pickle")
            if each["name"].startswith(f"{check} ") and (each["uri"] == uri if uri else "operations" not in each["uri"])
        ]
        cases = [each for each in self.all("testCase") if each["pickleId"] == pickle["id"]]
        results = {each["testStepId"]: each["testStepResult"] for each in self.all("testStepFinished")}
        texts = {each["id"]: each["text"] for each in pickle["steps"]}
        return [(texts[step["pickleStepId"]], results[step["id"]]) for case in cases for step in case["testSteps"]]


def ids(value: Any) -> Iterator[str]:
    """Every id that something has."""
    if isinstance(value, dict):
        yield from (each for key, each in value.items() if key == "id")
        for each in value.values():
            yield from ids(each)
    elif isinstance(value, list):
        for each in value:
            yield from ids(each)


def references(value: Any) -> Iterator[str]:
    """Every id that something refers to."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key.endswith("Id"):
                yield each
            elif key.endswith("Ids"):
                yield from each
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def assert_sound(stream: Stream) -> None:
    """The grammar of messages: fields, order, ids, times, and beginnings that end."""
    known: set[str] = set()
    begun: dict[str, str] = {}
    for kind, message in stream.messages:
        assert REQUIRED[kind] <= message.keys() <= REQUIRED[kind] | ALLOWED.get(kind, set())
        new = list(ids(message))
        assert len(new) == len(set(new))
        assert not known.intersection(new)
        known.update(new)
        assert known.issuperset(references(message)), (kind, message)
        if kind == "testCaseStarted":
            assert not begun, "the attempt before has not finished"
            begun[message["id"]] = ""
        elif kind == "testStepStarted":
            assert begun[message["testCaseStartedId"]] == ""
            begun[message["testCaseStartedId"]] = message["testStepId"]
        elif kind == "testStepFinished":
            assert begun[message["testCaseStartedId"]] == message["testStepId"]
            begun[message["testCaseStartedId"]] = ""
            assert message["testStepResult"]["status"] in STATUSES
            assert message["testStepResult"]["duration"].keys() == {"seconds", "nanos"}
        elif kind == "testCaseFinished":
            assert begun.pop(message["testCaseStartedId"]) == ""
        if "timestamp" in message:
            assert 0 <= message["timestamp"]["nanos"] < 10**9
    assert not begun
    kinds = [kind for kind, _ in stream.messages]
    assert (kinds[0], kinds[-1]) == ("meta", "testRunFinished")
    for kind in ("meta", "testRunStarted", "testRunFinished"):
        assert kinds.count(kind) == 1
    assert {each["testCaseId"] for each in stream.all("testCaseStarted")} == {
        each["id"] for each in stream.all("testCase")
    }
    executed = [(each["testCaseStartedId"], each["testStepId"]) for each in stream.all("testStepFinished")]
    assert len(executed) == len(set(executed)) == sum(len(each["testSteps"]) for each in stream.all("testCase"))
    assert_source_agrees(stream)


def assert_source_agrees(stream: Stream) -> None:
    """Each keyword, name and tag stands in the source on the line that the document gives."""
    sources = {each["uri"]: each["data"].split("\n") for each in stream.all("source")}
    assert len(sources) == len(stream.all("source"))
    for document in stream.all("gherkinDocument"):
        lines, feature = sources[document["uri"]], document["feature"]
        scenarios = [child["scenario"] for child in feature["children"]]
        for node in (feature, *scenarios):
            at = node["location"]["line"] - 1
            assert lines[at].strip() == f"{node['keyword']}: {node['name']}"
            assert lines[at - 1].split() == [tag["name"] for tag in node["tags"]]
            assert {tag["location"]["line"] for tag in node["tags"]} == {at}
        for step in (step for scenario in scenarios for step in scenario["steps"]):
            assert lines[step["location"]["line"] - 1].strip() == f"{step['keyword']}{step['text']}"
        keywords = [
            line for line in lines if re.match(r"\s*(Feature|Rule|Background|Scenario|Examples|Given|Then)\b", line)
        ]
        assert len(keywords) == 1 + sum(1 + len(scenario["steps"]) for scenario in scenarios)
        assert all(re.fullmatch(r"@[^\s@#]+", tag["name"]) for node in (feature, *scenarios) for tag in node["tags"])


@pytest.mark.parametrize("make", [records.conformant, records.not_conformant, records.interrupted])
def test_the_stream_holds_together(make: Any) -> None:
    assert_sound(Stream(make()))


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_the_stream_of_any_record_holds_together(record: RunRecord) -> None:
    assert_sound(Stream(record))


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_stays_in_its_place(name: str) -> None:
    record = filled(records.not_conformant().to_json(), TEXTS[name])
    stream = Stream(record)
    assert_sound(stream)
    assert [kind for kind, _ in stream.messages] == [kind for kind, _ in Stream(records.not_conformant()).messages]
    assert all(len(each["source"]["data"]) < 20_000 for each in ({"source": one} for one in stream.all("source")))


def test_a_pass_passes_both_steps() -> None:
    assert [result["status"] for _, result in Stream(records.not_conformant()).steps("MTLS-002")] == ["PASSED"] * 2


def test_a_fail_fails_the_step_that_says_what_had_to_hold() -> None:
    (_, given_step), (text, then) = Stream(records.not_conformant()).steps("MTLS-001")
    assert (given_step["status"], then["status"]) == ("PASSED", "FAILED")
    assert text == "MTLS-001 holds: A caller without a mesh certificate is refused"
    assert then["exception"]["type"] == "meshmark.fail"
    assert "what to do: Set require_client_certificate" in then["message"]
    assert "reproduce: meshmark certify" in then["message"]


@pytest.mark.parametrize(("check", "verdict"), [("BREAK-001", "inconclusive"), ("TRACE-001", "error")])
def test_what_could_not_judge_fails_before_anybody_is_judged(check: str, verdict: str) -> None:
    (text, given_step), (_, then) = Stream(records.not_conformant()).steps(check)
    assert (given_step["status"], then["status"]) == ("FAILED", "SKIPPED")
    assert text == "the honest case works and the check can judge"
    assert given_step["exception"]["type"] == f"meshmark.{verdict}"


@pytest.mark.parametrize("check", ["TRACE-004", "RATE-004"])
def test_what_was_not_judged_has_no_test_case_and_says_why(check: str) -> None:
    stream = Stream(records.not_conformant())
    assert stream.steps(check) == []
    scenarios = [child["scenario"] for each in stream.all("gherkinDocument") for child in each["feature"]["children"]]
    (found,) = [each for each in scenarios if each["name"].startswith(check)]
    assert re.fullmatch(r"    Verdict (not-run|not-applicable): .{10,}", found["description"])


def test_a_waived_fail_stays_failed_and_is_tagged() -> None:
    stream = Stream(records.not_conformant())
    assert stream.steps("DISCOVERY-002")[1][1]["status"] == "FAILED"
    assert "waiver: failed, waived until 2027-01-31 by Jane Mwangi" in stream.steps("DISCOVERY-002")[1][1]["message"]
    tagged = [each["name"] for each in stream.all("pickle") if "@waived" in [tag["name"] for tag in each["tags"]]]
    assert [name.split()[0] for name in tagged] == ["DISCOVERY-002"]


def test_tags_name_check_level_verdict_and_requirements() -> None:
    (pickle,) = [each for each in Stream(records.not_conformant()).all("pickle") if "POLICY-002" in each["name"]]
    assert [tag["name"] for tag in pickle["tags"]] == [
        "@area=POLICY", "@POLICY-002", "@level=MUST", "@verdict=pass",
        "@requirement=POLICY-R2", "@requirement=POLICY-R1",
    ]  # fmt: skip


def test_a_run_is_successful_only_if_it_is_conformant_and_every_step_passed() -> None:
    assert Stream(records.conformant()).all("testRunFinished")[0]["success"] is True
    assert Stream(records.not_conformant()).all("testRunFinished")[0]["success"] is False
    finish = Stream(records.interrupted()).all("testRunFinished")[0]
    assert finish["success"] is False
    assert finish["exception"]["message"] == "Ctrl-C after 1 of 4 checks"


def test_the_time_of_a_check_is_kept() -> None:
    stream = Stream(records.not_conformant())
    assert [result["duration"] for _, result in stream.steps("ROUTE-003")] == [
        {"seconds": 0, "nanos": 0},
        {"seconds": 6, "nanos": 310_000_000},
    ]


def test_a_duration_beyond_all_measure_is_bounded() -> None:
    first, *rest = records.not_conformant().results
    endless = replace(records.not_conformant(), results=(replace(first, duration_s=1e300), *rest))
    assert_sound(Stream(endless))
    assert Stream(endless).steps("MTLS-001")[1][1]["duration"]["seconds"] == 10**9


# ---------------------------------------------------------------------- endpoints


def with_operations(verdict: Verdict) -> RunRecord:
    """API-001 and API-002 with evidence as the checks of contracts leave it; one operation is at fault."""
    fault = verdict is Verdict.FAIL
    exercised = {
        "operations": [
            {"operation": "GET /v1/births/{id}", "status": 200, "breaches": []},
            {"operation": "POST /v1/births", "status": 500, "breaches": [{"kind": "status"}] if fault else []},
            {"operation": "DELETE /v1/births/{id}", "obstacle": "no example"},
            {"operation": "no operation"},
            "neither",
        ]
    }
    generated = {"contracts": [{"operations": ["GET /v1/births/{id}"], "failures": []}, 7]}
    results: list[Result] = []
    for result in records.not_conformant().results:
        if result.check == "API-001":
            evidence = Evidence("operations", EvidenceKind.CONTRACT, exercised, records.AT)
            results.append(replace(result, verdict=verdict, evidence=(evidence,)))
        elif result.check == "API-002":
            evidence = Evidence("generated input", EvidenceKind.CONTRACT, generated, records.AT)
            results.append(replace(result, evidence=(evidence,)))
        else:
            results.append(result)
    return replace(records.not_conformant(), results=tuple(results))


def endpoints(stream: Stream) -> dict[tuple[str, str], list[str]]:
    """Checks by method and endpoint, found as GovStack's web application finds them: the first tag of each kind."""
    found: dict[tuple[str, str], list[str]] = {}
    for document in stream.all("gherkinDocument"):
        names = [tag["name"] for tag in document["feature"]["tags"]]
        method = next((name[8:] for name in names if name.startswith("@method=")), None)
        endpoint = next((name[10:] for name in names if name.startswith("@endpoint=")), None)
        if method and endpoint:
            checks = [child["scenario"]["name"].split()[0] for child in document["feature"]["children"]]
            found[method, endpoint] = checks
    return found


def test_each_operation_is_a_feature_with_the_tags_that_govstack_reads() -> None:
    stream = Stream(with_operations(Verdict.PASS))
    assert_sound(stream)
    assert endpoints(stream) == {
        ("DELETE", "/v1/births/{id}"): ["API-001"],
        ("GET", "/v1/births/{id}"): ["API-001", "API-002"],
        ("POST", "/v1/births"): ["API-001"],
    }


def test_a_failed_check_is_shown_with_the_operations_at_fault_only() -> None:
    stream = Stream(with_operations(Verdict.FAIL))
    assert_sound(stream)
    assert endpoints(stream) == {("GET", "/v1/births/{id}"): ["API-002"], ("POST", "/v1/births"): ["API-001"]}
    statuses = [result["status"] for _, result in stream.steps("API-001", "features/operations/002.feature")]
    assert statuses == ["PASSED", "FAILED"]


def test_an_endpoint_with_anything_in_it_is_one_tag() -> None:
    strange = {"operations": [{"operation": "GET /a b/@x#y/é\u202e\n@endpoint=/z"}]}
    result = replace(
        records.not_conformant().results[-1],
        evidence=(Evidence("operations", EvidenceKind.CONTRACT, strange, records.AT),),
    )
    record = records.not_conformant()
    stream = Stream(replace(record, results=(*record.results[:-1], result)))
    assert_sound(stream)
    assert list(endpoints(stream)) == [("GET", "/a%20b/%40x%23y/%C3%A9%E2%80%AE%0A%40endpoint=/z")]


def test_a_thousand_results_with_evidence_hold_together() -> None:
    record = large()
    stream = Stream(record)
    assert_sound(stream)
    areas = [each for each in stream.all("pickle") if "operations" not in each["uri"]]
    assert len(areas) == len(record.results)
