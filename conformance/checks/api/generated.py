"""Each operation of the contract, called with input that nobody thought of."""

from __future__ import annotations

from typing import Any

from conformance.checks.catalogue import check
from conformance.probe import EvidenceKind, Feature, FuzzReport, Probe


@check(
    id="API-003",
    title="Generated input finds no server error and no breach of the contract",
    proves=["API-R3", "API-R6"],
    needs=[Feature.API],
    evidence=["control call", "generated input"],
    fails={
        "server-error": "No generated request is answered with a 5xx.",
        "unanswered": "Every generated request is answered, in full and as HTTP.",
        "contract-breach": "Every answer to a generated request is one that the contract declares.",
    },
    inconclusive={
        "mesh-unusable": "A call to the witness behind the same security server is answered.",
        "generation-incomplete": "Input can be generated for every operation, and the generator comes to its end.",
    },
    remedy="Repeat a failing request by the command that stands with it in the evidence. Let the building "
    "block check its input and refuse what is wrong with a declared 4xx, never with a 5xx or a closed "
    "connection; if the answer is right, declare it in the contract.",
)
async def generated_input_finds_nothing(probe: Probe) -> None:
    """Callers make mistakes and attackers make them on purpose; neither may get more than a declared refusal.

    Schemathesis generates valid and invalid requests from each contract (its examples, the borders of every schema,
    random ones), with a fixed seed, and sends them over mutual TLS straight to the subject's security server. What that
    one refuses by itself, such as an encoded slash in a path, says nothing about the building block: it is counted, not
    judged; but every operation needs an answer of the building block itself. The budget stands in the run file;
    operations that it excludes are named in the evidence.
    """
    control = await probe.call("/control")
    probe.record_exchange("control call", control)
    probe.require("mesh-unusable", control.status == 200, seen=control.summary)

    reports = [await probe.contracts.generate_input(contract) for contract in probe.subject.contracts]
    probe.record("generated input", EvidenceKind.CONTRACT, {"contracts": [_described(report) for report in reports]})

    total = f"{sum(report.requests for report in reports)} requests"
    by_reason = {"server-error": {"server-error"}, "unanswered": {"no-answer"}}
    failures = [failure for report in reports for failure in report.failures]
    for reason, kinds in by_reason.items():
        found = [f"{each.operation}: {each.message} ({each.count} times)" for each in failures if each.kind in kinds]
        probe.expect(reason, not found, seen="; ".join(found[:3]) or total)
    breaches = [f"{each.operation} {each.kind}: {each.message}" for each in failures]
    probe.expect("contract-breach", not breaches, seen="; ".join(breaches[:3]) or total)

    skipped = set(probe.subject.skipped_operations)
    incomplete = [error.message for report in reports for error in report.errors]
    incomplete += [f"{key}: {why}" for report in reports for key, why in report.left_out if key not in skipped]
    incomplete += [f"{key}: no generated request reached it" for report in reports for key in _unreached(report)]
    incomplete += [f"the generator ended by {report.ended}" for report in reports if report.ended != "complete"]
    probe.require("generation-incomplete", not incomplete, seen="; ".join(incomplete[:3]) or total)


def _unreached(report: FuzzReport) -> list[str]:
    unjudged = {each.operation for each in report.unjudged}
    return sorted(unjudged.difference(report.operations_covered))


def _described(report: FuzzReport) -> dict[str, Any]:
    return {
        "requests": report.requests,
        "operations": list(report.operations_covered),
        "left_out": [f"{key}: {why}" for key, why in report.left_out],
        "seed": report.seed,
        "ended": report.ended,
        "errors": [error.message for error in report.errors],
        "unjudged": [f"{each.operation}: {each.reason} ({each.count} times)" for each in report.unjudged],
        "failures": [
            {
                "operation": failure.operation,
                "kind": failure.kind,
                "status": failure.status,
                "count": failure.count,
                "message": failure.message,
                "reproduce": failure.reproduce,
            }
            for failure in report.failures
        ],
    }
