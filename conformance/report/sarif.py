"""`results.sarif`: what failed, at lines of the run file and the contract, for code scanning (SARIF 2.1.0, OASIS).

Invariants: a result is a fail, and every fail is a result; nothing is ever a SARIF `pass`. What gave no proof is a
notification of the tool, what was left out is a rule that is switched off, and the totals of all verdicts stand in the
run's properties, so that nobody takes silence for a pass. A waiver suppresses its result and stays visible.

    pass           -                            inconclusive, error, not-run   notification
    fail           result                       not-applicable                 rule that is not enabled
    fail, waived   result, suppressed           waiver that does not hold      notification; suppression `rejected`
"""

from __future__ import annotations

from typing import Any

from conformance.model.canonical import digest
from conformance.model.record import WaiverState
from conformance.model.requirements import Level
from conformance.model.verdict import Outcome, Verdict, exit_code_of
from conformance.report.documents import evidence_list, filled, identifier, json_document, several_lines
from conformance.report.findings import UNPROVEN, RecordJson, troubled_waivers, with_verdict
from conformance.report.material import Material
from conformance.report.sarif_places import BASES, Places
from conformance.report.sarif_rules import LEVELS, RUN_TROUBLE, WAIVER_TROUBLE, driver, message, taxonomy
from conformance.report.text import one_line
from conformance.report.wording import coverage_sentence, outcome_sentence, waiver_sentence

__all__ = ["render"]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
NOTIFICATION_LEVELS = {Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "warning", Verdict.NOT_RUN: "warning"}


def render(material: Material) -> bytes:
    """The record as SARIF."""
    run = _Run(material).to_json()
    return json_document({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


class _Run:
    """One run of the suite."""

    def __init__(self, material: Material) -> None:
        self._digest = material.digest
        self._record: RecordJson = material.record
        self._places = Places(self._record)
        self._rules = {entry["check"]: number for number, entry in enumerate(self._record["plan"])}

    def to_json(self) -> dict[str, Any]:
        record = self._record
        waivers = {waiver["check"]: waiver for waiver in record["waivers"]}
        return {
            "tool": {"driver": driver(record)},
            "taxonomies": [taxonomy(record)],
            "automationDetails": {
                "id": one_line(f"meshmark/{record['profile']}/{record['subject']['name']}/{self._digest}"),
                "guid": identifier("sarif", self._digest),
            },
            "originalUriBaseIds": {name: {"description": {"text": text}} for name, text in BASES.items()},
            "artifacts": self._places.artifacts,
            "columnKind": "unicodeCodePoints",
            "invocations": [self._invocation()],
            "results": [
                self._result(result, waivers.get(result["check"]))
                for result in with_verdict(record["results"], Verdict.FAIL)
            ],
            "properties": {
                "outcome": record["outcome"],
                "sentence": one_line(outcome_sentence(record)),
                "coverage": one_line(coverage_sentence(record)),
                "totals": dict(sorted(record["totals"].items())),
                "recordSha256": self._digest,
            },
        }

    def _result(self, result: RecordJson, waiver: RecordJson | None) -> dict[str, Any]:
        named = [self._record["subject"]["name"], self._record["profile"], result["check"], result["reason"]]
        return {
            "ruleId": result["check"],
            "ruleIndex": self._rules[result["check"]],
            "kind": "fail",
            "level": LEVELS[Level(result["level"])],
            "message": message(_story(result)),
            "locations": self._places.locations(result),
            "partialFingerprints": {"subjectProfileCheckReason/v1": digest(named)},
            "suppressions": [_suppression(waiver)] if waiver else [],
            "properties": filled(
                {
                    "verdict": result["verdict"],
                    "reason": result["reason"],
                    "requirements": result["proves"],
                    "reproduce": one_line(result["reproduce"]),
                    "evidence": evidence_list(result),
                }
            ),
        }

    def _invocation(self) -> dict[str, Any]:
        record = self._record
        unproven = with_verdict(record["results"], *UNPROVEN)
        return {
            "executionSuccessful": not (record["interrupted"] or record["trouble"] or record["totals"]["error"]),
            "exitCode": int(exit_code_of(Outcome(record["outcome"]))),
            "exitCodeDescription": one_line(outcome_sentence(record)),
            "startTimeUtc": record["started"],
            "endTimeUtc": record["finished"],
            "ruleConfigurationOverrides": [
                {
                    "descriptor": self._rule(entry["check"]),
                    "configuration": {"enabled": False},
                    "properties": {"reason": one_line(entry["reason"])},
                }
                for entry in record["plan"]
                if not entry["run"]
            ],
            "toolExecutionNotifications": [*map(self._unproven, unproven), *self._troubles()],
            "toolConfigurationNotifications": [
                {
                    "descriptor": {"id": WAIVER_TROUBLE},
                    "level": "error",
                    "message": message(f"{waiver['check']}: {waiver_sentence(waiver)}"),
                    "associatedRule": self._rule(waiver["check"]),
                }
                for waiver in troubled_waivers(record)
            ],
        }

    def _unproven(self, result: RecordJson) -> dict[str, Any]:
        verdict = Verdict(result["verdict"])
        return filled(
            {
                "descriptor": {"id": verdict.value},
                "level": NOTIFICATION_LEVELS[verdict],
                "message": message(_story(result)),
                "associatedRule": self._rule(result["check"]),
                "timeUtc": result["started"],
                "locations": self._places.locations(result),
                "properties": filled({"level": result["level"], "reason": result["reason"]}),
            }
        )

    def _troubles(self) -> list[dict[str, Any]]:
        record = self._record
        texts = ["the run was interrupted before its end"] if record["interrupted"] else []
        if record["trouble"]:
            texts.append(record["trouble"])
        if record["outcome"] == Outcome.INCOMPLETE:
            texts.append(outcome_sentence(record))
        return [{"descriptor": {"id": RUN_TROUBLE}, "level": "error", "message": message(text)} for text in texts]

    def _rule(self, check: str) -> dict[str, Any]:
        return {"id": check, "index": self._rules.get(check, -1)}


def _suppression(waiver: RecordJson) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted" if waiver["state"] == WaiverState.APPLIED else "rejected",
        "justification": one_line(waiver_sentence(waiver)),
        "properties": {
            "reason": one_line(waiver["reason"]),
            "owner": one_line(waiver["owner"]),
            "expires": waiver["expires"],
            "state": waiver["state"],
        },
    }


def _story(result: RecordJson) -> str:
    """What a reader of a code-scanning page needs; the first line stands alone in lists."""
    parts = {
        "Expected": result["expected"],
        "Seen": result["seen"],
        "What to do": result["next_step"],
        "Reproduce": result["reproduce"],
    }
    told = [f"{name}: {several_lines(text)}" for name, text in parts.items() if text]
    return "\n".join([one_line(f"{result['check']} {result['title']}"), *told])
