"""The record as in-toto Statements (v1): Test Result v0.1 and Simple Verification Result v0.2.

    verdict                   test-result          svr
    pass                      passedTests          counts for the properties
    fail, waived              warnedTests          -
    fail, error, inconclusive failedTests          -
    not-run, not-applicable   in none of the lists -

`result` is PASSED for a conformant subject, WARNED for one with waivers, FAILED for everything else, incomplete runs
included. A property of svr is a requirement of the profile that at least one check proved and none left open, and
`MESHMARK_CONFORMANT_TO_PROFILE` for a subject that is conformant, without waivers. The lists hold the ids of checks;
all verdicts stand in `verdicts`, an addition of ours, which readers that do not know it ignore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from conformance.model.canonical import canonical
from conformance.model.verdict import Outcome, Verdict
from conformance.report.findings import RecordJson, applied_waivers
from conformance.report.material import Material

__all__ = [
    "PREDICATES",
    "STATEMENT_TYPE",
    "SVR",
    "TEST_RESULT",
    "Predicate",
    "digest_entry",
    "render_svr",
    "render_test_result",
    "statement",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SVR = "https://in-toto.io/attestation/svr/v0.2"

Predicate = Literal["test-result", "svr"]
PREDICATES: Mapping[str, str] = {"test-result": TEST_RESULT, "svr": SVR}
"""Predicate types by the names that `--predicate` takes."""


def render_test_result(material: Material) -> bytes:
    """The statement, unsigned, as JSON."""
    return canonical(statement(material, "test-result")) + b"\n"


def render_svr(material: Material) -> bytes:
    """The statement, unsigned, as JSON."""
    return canonical(statement(material, "svr")) + b"\n"


def statement(material: Material, predicate: Predicate, *, manifest: str | None = None) -> dict[str, Any]:
    """A statement about a record.

    Args:
        material: the record.
        predicate: which of the two.
        manifest: SHA-256 of the manifest of the bundle that the record is in.

    """
    record = material.record
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(material, manifest),
        "predicateType": PREDICATES[predicate],
        "predicate": _test_result(record) if predicate == "test-result" else _svr(record),
    }


def digest_entry(name: str, sha256: str) -> dict[str, Any]:
    """What in-toto calls a ResourceDescriptor."""
    return {"name": name, "digest": {"sha256": sha256.removeprefix("sha256:")}}


def _subjects(material: Material, manifest: str | None) -> list[dict[str, Any]]:
    record = material.record
    subjects = [digest_entry("record.json", material.digest)]
    if manifest:
        subjects.append(digest_entry("manifest.json", manifest))
    subjects += [digest_entry(each["path"], each["sha256"]) for each in record["subject"]["contracts"]]
    environment = record["environment"]
    if environment["envoy_digest"]:
        subjects.append(digest_entry(f"envoy {environment['envoy_version']}", environment["envoy_digest"]))
    return subjects


def _test_result(record: RecordJson) -> dict[str, Any]:
    waived = applied_waivers(record)
    verdicts = {result["check"]: result["verdict"] for result in record["results"]}
    bad = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE)
    return {
        "result": {Outcome.CONFORMANT: "PASSED", Outcome.CONFORMANT_WITH_WAIVERS: "WARNED"}.get(
            Outcome(record["outcome"]), "FAILED"
        ),
        "configuration": [
            digest_entry(f"catalogue of meshmark {record['suite']['version']}", record["suite"]["catalogue_digest"])
        ],
        "passedTests": [check for check, verdict in verdicts.items() if verdict == Verdict.PASS],
        "warnedTests": [check for check in verdicts if check in waived],
        "failedTests": [check for check, verdict in verdicts.items() if verdict in bad and check not in waived],
        "verdicts": verdicts,
        **_about(record),
    }


def _svr(record: RecordJson) -> dict[str, Any]:
    suite = record["suite"]
    conformant = ["MESHMARK_CONFORMANT_TO_PROFILE"] if record["outcome"] == Outcome.CONFORMANT else []
    return {
        "verifier": {
            "id": f"urn:meshmark:verifier:{suite['version']}",
            "policies": [digest_entry(f"catalogue of meshmark {suite['version']}", suite["catalogue_digest"])],
        },
        "timeCreated": record["finished"],
        "properties": conformant + [f"MESHMARK_{each}" for each in _proven(record)],
        **_about(record),
    }


def _proven(record: RecordJson) -> list[str]:
    """Requirements of the profile that a check proved, and that no other check contradicts or leaves open."""
    verdicts: dict[str, set[str]] = {}
    for result in record["results"]:
        for requirement in result["proves"]:
            verdicts.setdefault(requirement, set()).add(result["verdict"])
    return [
        identifier
        for identifier, about in sorted(record["requirements"].items())
        if about["level"] is not None
        and verdicts.get(identifier, set()) - {Verdict.NOT_APPLICABLE.value} == {Verdict.PASS.value}
    ]


def _about(record: RecordJson) -> dict[str, Any]:
    subject = record["subject"]
    return {
        "outcome": record["outcome"],
        "profile": record["profile"],
        "judged": {name: subject[name] for name in ("role", "name", "vendor", "version")},
    }
