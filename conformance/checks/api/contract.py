"""The contract itself."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import EvidenceKind, Feature, Probe


@check(
    id="API-001",
    title="Every contract is a valid OpenAPI document",
    proves=["API-R1"],
    needs=[Feature.API],
    evidence=["contracts"],
    fails={"contract-invalid": "Every contract keeps the rules of the OpenAPI version that it declares."},
    remedy="Mend the contract at the file, line and column that stand with each problem in the evidence, and "
    "publish the mended document; a validator in the contract's own build keeps it sound.",
)
async def contract_is_valid(probe: Probe) -> None:
    """Others generate clients from the contract, so what is wrong in it goes wrong at everybody who calls.

    Each document is read strictly (duplicate keys, references to nowhere, to other hosts or out of its folder are
    problems) and validated against the OpenAPI specification that it names. Every problem is listed with file, line
    and column. Operations of an invalid document are still exercised by the other checks, as far as they can be read.
    """
    described = []
    errors = []
    for contract in probe.subject.contracts:
        problems = contract.problems
        errors += [problem for problem in problems if problem.severity == "error"]
        described.append(
            {
                "path": contract.path.name,
                "sha256": contract.sha256,
                "openapi": contract.openapi_version,
                "operations": [operation.key for operation in contract.operations],
                "problems": [f"{each.location}: {each.severity}: {each.message}" for each in problems],
            }
        )
    probe.record("contracts", EvidenceKind.CONTRACT, {"documents": described})
    seen = "no problem"
    if errors:
        seen = f"{len(errors)} problems; the first at {errors[0].location}: {errors[0].message}"
    probe.expect("contract-invalid", not errors, seen=seen)
