"""`cucumber-messages.ndjson`: the run as Cucumber messages, one JSON object a line, for tools that read Cucumber.

A feature is an area of the catalogue and a scenario is a check, with two steps:

    Given the honest case works and the check can judge       fails on an inconclusive or error
    Then  what holds when the check passes                    fails on a fail, waived or not

Of a check that could not judge the second step is skipped, so nobody is blamed. A check that was not run, or does not
apply, is a scenario (a pickle) of which no test case was made. Each operation that a check names in its evidence is a
feature of its own with the tags `@method=` and `@endpoint=`, by which GovStack's web application finds it; there a
failed check is a scenario only of the operations at fault.

Invariants: every test case but that of a pass has a failed step, because some readers, among them GovStack's web
application, take a case without one for passed, and others rank UNKNOWN as better than PASSED. Every id that is
referred to exists, and every test case that is started finishes. The same record makes the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count as counter
from typing import Any

from conformance.model.verdict import Outcome, Verdict
from conformance.report.cucumber_features import GIVEN, THEN, Feature, Scenario, features_of
from conformance.report.findings import NOT_JUDGED, RecordJson, applied_waivers
from conformance.report.material import Material
from conformance.report.text import cut, one_line, visible
from conformance.report.wording import outcome_sentence, waiver_sentence

__all__ = ["PROTOCOL_VERSION", "render"]

PROTOCOL_VERSION = "34.2.1"
"""Of the message schema that this is written for."""
LONGEST_MESSAGE = 2_000
LONGEST_DURATION = 1e9
"""Seconds; a record may hold any number, and nothing that is measured takes thirty years."""
GHERKIN = "text/x.cucumber.gherkin+plain"
DEFINITIONS = {GIVEN: "^the honest case works and the check can judge$", THEN: r"^[A-Z][A-Z0-9]+-\d{3} holds: .*$"}

Message = dict[str, Any]


def render(material: Material) -> bytes:
    """The record as newline-delimited JSON."""
    lines = (json.dumps(message, ensure_ascii=False) for message in _Stream(material.record).messages())
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True)
class _Case:
    """A result of which a test case was made, and the id of its only attempt."""

    result: RecordJson
    started_id: str
    message: Message


@dataclass
class _Stream:
    """All messages of a record, in the order in which Cucumber would send them."""

    record: RecordJson
    run: str = "run"
    cases: list[_Case] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: counter(1))

    @cached_property
    def waived(self) -> dict[str, RecordJson]:
        """The waivers that cover a fail, by check."""
        return applied_waivers(self.record)

    def messages(self) -> Iterator[Message]:
        yield {"meta": self._meta()}
        for feature in features_of(self.record):
            yield from self._feature(feature)
        for keyword, source in DEFINITIONS.items():
            pattern = {"source": source, "type": "REGULAR_EXPRESSION"}
            reference = {"uri": "meshmark", "location": {"line": 1}}
            yield {"stepDefinition": {"id": keyword, "pattern": pattern, "sourceReference": reference}}
        yield {"testRunStarted": {"timestamp": _split(_instant(self.record["started"])), "id": self.run}}
        yield from ({"testCase": case.message} for case in self.cases)
        for case in self.cases:
            yield from self._executed(case)
        yield {"testRunFinished": self._finish()}

    def _id(self) -> str:
        return str(next(self.ids))

    def _meta(self) -> Message:
        environment, suite = self.record["environment"], self.record["suite"]
        system, _, machine = environment["os"].rpartition(" ")
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "implementation": {"name": one_line(suite["name"]), "version": one_line(suite["version"])},
            "runtime": {"name": "python", "version": one_line(environment["python"])},
            "os": {"name": one_line(system or environment["os"]) or "unknown"},
            "cpu": {"name": one_line(machine) or "unknown"},
        }

    def _feature(self, feature: Feature) -> Iterator[Message]:
        """Source, document and pickles of a feature."""
        yield {"source": {"uri": feature.uri, "data": feature.source, "mediaType": GHERKIN}}
        tags = [self._tag(name, 1) for name in feature.tags]
        children, pickles = [], []
        for scenario, line in zip(feature.scenarios, feature.lines, strict=True):
            node = self._scenario(scenario, line)
            children.append({"scenario": node})
            pickles.append((scenario, self._pickle(feature, scenario, node, [*tags, *node["tags"]])))
        yield {
            "gherkinDocument": {
                "uri": feature.uri,
                "feature": {
                    "location": {"line": feature.line, "column": 1},
                    "tags": tags,
                    "language": "en",
                    "keyword": "Feature",
                    "name": feature.name,
                    "description": "",
                    "children": children,
                },
                "comments": [],
            }
        }
        for scenario, pickle in pickles:
            yield {"pickle": pickle}
            if scenario.result["verdict"] not in NOT_JUDGED:
                self._make_case(scenario, pickle)

    def _tag(self, name: str, line: int) -> Message:
        return {"location": {"line": line}, "name": name, "id": self._id()}

    def _scenario(self, scenario: Scenario, line: int) -> Message:
        steps = [
            {
                "location": {"line": line + 1 + scenario.description_lines + number},
                "keyword": f"{keyword} ",
                "keywordType": kind,
                "text": text,
                "id": self._id(),
            }
            for number, (keyword, kind, text) in enumerate(scenario.steps)
        ]
        return {
            "location": {"line": line, "column": 3},
            "tags": [self._tag(name, line - 1) for name in scenario.tags],
            "keyword": "Scenario",
            "name": scenario.name,
            "description": scenario.description,
            "steps": steps,
            "examples": [],
            "id": self._id(),
        }

    def _pickle(self, feature: Feature, scenario: Scenario, node: Message, tags: list[Message]) -> Message:
        steps = [
            {"astNodeIds": [step["id"]], "id": self._id(), "type": step["keywordType"], "text": step["text"]}
            for step in node["steps"]
        ]
        return {
            "id": self._id(),
            "uri": feature.uri,
            "location": node["location"],
            "name": scenario.name,
            "language": "en",
            "steps": steps,
            "tags": [{"name": tag["name"], "astNodeId": tag["id"]} for tag in tags],
            "astNodeIds": [node["id"]],
        }

    def _make_case(self, scenario: Scenario, pickle: Message) -> None:
        case = self._id()
        steps = [
            {"id": self._id(), "pickleStepId": step["id"], "stepDefinitionIds": [keyword]}
            for step, keyword in zip(pickle["steps"], DEFINITIONS, strict=True)
        ]
        message = {"id": case, "pickleId": pickle["id"], "testSteps": steps, "testRunStartedId": self.run}
        self.cases.append(_Case(scenario.result, self._id(), message))

    def _executed(self, case: _Case) -> Iterator[Message]:
        """A test case from its start to its end: the first step takes no time, the second all of it."""
        result = case.result
        took = timedelta(seconds=min(result["duration_s"], LONGEST_DURATION))
        begin = _instant(result["started"] or self.record["started"])
        attempt = {"testCaseStartedId": case.started_id}
        started = {"attempt": 0, "id": case.started_id, "testCaseId": case.message["id"], "timestamp": _split(begin)}
        yield {"testCaseStarted": started}
        steps = zip(case.message["testSteps"], self._outcomes(result), (timedelta(), took), strict=True)
        for step, outcome, duration in steps:
            about = attempt | {"testStepId": step["id"]}
            yield {"testStepStarted": {**about, "timestamp": _split(begin)}}
            found = {"duration": _split(duration), **outcome}
            yield {"testStepFinished": {**about, "testStepResult": found, "timestamp": _split(begin + duration)}}
        yield {"testCaseFinished": {**attempt, "timestamp": _split(begin + took), "willBeRetried": False}}

    def _outcomes(self, result: RecordJson) -> tuple[Message, Message]:
        """What became of the two steps."""
        verdict = Verdict(result["verdict"])
        passed: Message = {"status": "PASSED"}
        if verdict is Verdict.PASS:
            return passed, {"status": "PASSED"}
        failed = {
            "status": "FAILED",
            "message": self._story(result),
            "exception": {"type": f"meshmark.{verdict}", "message": one_line(result["seen"] or result["reason"], 500)},
        }
        return (passed, failed) if verdict is Verdict.FAIL else (failed, {"status": "SKIPPED"})

    def _story(self, result: RecordJson) -> str:
        waiver = self.waived.get(result["check"])
        parts = {
            "verdict": result["verdict"],
            "waiver": waiver_sentence(waiver) if waiver else "",
            "expected": result["expected"],
            "seen": result["seen"],
            "reason": result["reason"],
            "what to do": result["next_step"],
            "reproduce": result["reproduce"],
        }
        return visible("\n".join(f"{name}: {cut(text, LONGEST_MESSAGE)}" for name, text in parts.items() if text))

    def _finish(self) -> Message:
        """The standard calls a run successful when no step failed; ours must be conformant as well."""
        record = self.record
        judged = {result["verdict"] for result in record["results"]}.difference(NOT_JUDGED)
        outcome = Outcome(record["outcome"])
        finish: Message = {
            "success": outcome is Outcome.CONFORMANT and judged == {Verdict.PASS},
            "message": one_line(outcome_sentence(record)),
            "timestamp": _split(_instant(record["finished"])),
            "testRunStartedId": self.run,
        }
        if record["interrupted"] or record["trouble"]:
            finish["exception"] = {"type": "meshmark.trouble", "message": one_line(record["trouble"] or "interrupted")}
        return finish


def _instant(instant: str) -> timedelta:
    """How long after the epoch."""
    return datetime.fromisoformat(instant) - datetime.fromtimestamp(0, UTC)


def _split(span: timedelta) -> Message:
    """A time or a duration as whole seconds and the nanoseconds after them."""
    return {
        "seconds": span // timedelta(seconds=1),
        "nanos": span % timedelta(seconds=1) // timedelta(microseconds=1) * 1_000,
    }
