"""`conformance-report.yaml`: a summary in the shape of the Gateway API's ConformanceReport, for those who read such.

`core` holds the mandatory checks, `extended` the recommended and optional ones. The Gateway API knows passed, failed
and skipped only, and the checks that passed are not named; what that loses stands beside it under `meshmark`.

Invariants: the `apiVersion` is ours, so that nobody takes the file for one of the Gateway API's; `result` is `success`
only if at least one check passed and every other one is not applicable, and that of `core` only if the subject is
conformant, too; a waived fail stays among the failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from conformance.model.requirements import Level
from conformance.model.verdict import Outcome, Verdict
from conformance.report import wording
from conformance.report.findings import UNPROVEN, RecordJson, applied_waivers, by_reason, with_verdict
from conformance.report.material import Material
from conformance.report.text import one_line

__all__ = ["API_VERSION", "render"]

API_VERSION = "conformance.meshmark/v1"
LONGEST_TEXT = 500
NEVER_WRAP = 2**31 - 1
WHOLE_RUN = {
    Outcome.CONFORMANT: "success",
    Outcome.CONFORMANT_WITH_WAIVERS: "success",
    Outcome.NOT_CONFORMANT: "failure",
    Outcome.INCOMPLETE: "partial",
}
"""The result of mandatory checks that all passed: a waiver that does not hold, or an interruption, spoils it."""


def render(material: Material) -> bytes:
    """The record as YAML."""
    record = material.record
    core, extended = (
        [result for result in record["results"] if (result["level"] == Level.MUST) is mandatory]
        for mandatory in (True, False)
    )
    levels = {"core": _status(core)} | ({"extended": _status(extended)} if extended else {})
    if levels["core"]["result"] == "success":
        levels["core"]["result"] = WHOLE_RUN[Outcome(record["outcome"])]
    subject = record["subject"]
    profile = {"name": _text(record["profile"]), "summary": _text(wording.outcome_sentence(record))}
    report = {
        "apiVersion": API_VERSION,
        "kind": "ConformanceReport",
        "date": record["finished"],
        "implementation": {
            "organization": _text(subject["vendor"]),
            "project": _text(subject["name"]),
            "version": _text(subject["version"]),
            # A record does not hold them.
            "url": "",
            "contact": [],
        },
        "mode": record["topology"],
        "profiles": [profile | levels],
        "meshmark": _beyond(material),
    }
    return yaml.dump(
        report, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=NEVER_WRAP, encoding="utf-8"
    )


def _status(results: Sequence[RecordJson]) -> dict[str, Any]:
    """One support level, with the Gateway API's fields and words."""
    passed, failed, skipped = (
        [result["check"] for result in with_verdict(results, *verdicts)]
        for verdicts in ((Verdict.PASS,), (Verdict.FAIL,), UNPROVEN)
    )
    # Theirs is a success when nothing was tested; ours is not, since nothing is then proven.
    result = "failure" if failed else "partial" if skipped or not passed else "success"
    status: dict[str, Any] = {
        "result": result,
        "statistics": {"Passed": len(passed), "Failed": len(failed), "Skipped": len(skipped)},
    }
    return status | {name: ids for name, ids in (("skippedTests", skipped), ("failedTests", failed)) if ids}


def _beyond(material: Material) -> dict[str, Any]:
    """What the Gateway API's format has no place for."""
    record = material.record
    reasons = by_reason(with_verdict(record["results"], Verdict.NOT_RUN, Verdict.NOT_APPLICABLE))
    return {
        "outcome": record["outcome"],
        "record": f"sha256:{material.digest}",
        "suite": f"{_text(record['suite']['name'])} {_text(record['suite']['version'])}",
        "interrupted": record["interrupted"],
        "trouble": _text(record["trouble"]),
        "totals": dict(sorted(record["totals"].items())),
        "checks": {
            verdict.value: [result["check"] for result in with_verdict(record["results"], verdict)]
            for verdict in Verdict
        },
        "waived": sorted(applied_waivers(record)),
        "waivers": [
            {name: _text(waiver[name]) for name in ("check", "state", "owner", "expires", "reason")}
            for waiver in record["waivers"]
        ],
        "unjudged": [{"reason": _text(why), "checks": checks} for why, checks in reasons.items()],
        "leftOpen": [
            "implementation.url and implementation.contact: a record does not hold them",
            "supportedFeatures and unsupportedFeatures: a record names checks, not features; what a subject does not "
            "declare is not-applicable, with the reason under unjudged",
            "gatewayAPIVersion and gatewayAPIChannel: the Gateway API was not tested",
        ],
    }


def _text(text: str) -> str:
    return one_line(text, LONGEST_TEXT)
