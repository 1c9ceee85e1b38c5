"""Each operation of the contract, called once with an honest request."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import EvidenceKind, Exercised, Feature, Probe


@check(
    id="API-002",
    title="Every operation answers through the mesh as the contract says",
    proves=["API-R2", "API-R3"],
    needs=[Feature.API],
    evidence=["control call", "operations"],
    fails={
        "operation-unanswered": "The building block itself answers a request to every operation of its contract.",
        "contract-breach": "Status, media type, headers and body of every answer are what the contract declares.",
    },
    inconclusive={
        "mesh-unusable": "A call to the witness behind the same security server is answered.",
        "operation-unproven": "To every operation an honest request can be built and brought, and its answer judged.",
        "nothing-succeeded": "At least one operation of every contract answers with a success.",
    },
    remedy="Look at the operation named under what was seen: let the building block answer as its contract "
    "says, or declare in the contract what it answers (status, media type, headers, schema). If "
    "nothing answers, look into the building block's log and at the address in the run file.",
)
async def operations_keep_the_contract(probe: Probe) -> None:
    """Callers rely on the contract alone, so an answer that it does not declare is one that nobody is prepared for.

    From the contract's examples and schemas one request is built for each operation, parents first, deletions last. It
    goes from the calling application through both security servers; whether the building block itself answered is read
    from its security server's access log, and openapi-core validates the answer against the contract. What a
    security server refuses by itself, such as an encoded slash in a path, proves nothing about the building block.
    """
    control = await probe.call("/control")
    probe.record_exchange("control call", control)
    probe.require("mesh-unusable", control.status == 200, seen=control.summary)

    exercised: list[Exercised] = []
    succeeded = []
    for contract in probe.subject.contracts:
        of_contract = await probe.contracts.exercise(contract)
        exercised += of_contract
        succeeded.append(any(each.succeeded for each in of_contract))
    probe.record("operations", EvidenceKind.CONTRACT, {"operations": [each.to_json() for each in exercised]})

    called = [each for each in exercised if not each.obstacle]
    refused = [f"{each.operation}: {_how(each)}" for each in called if each.refused]
    unanswered = [f"{each.operation}: {_how(each)}" for each in called if not each.answered and not each.refused]
    end = probe.end_of_subject()
    seen = "; ".join(unanswered) or f"{len(called) - len(refused)} operations answered"
    probe.expect("operation-unanswered", not unanswered, seen=f"{seen}; the building block {end}" if end else seen)

    breaches = [f"{each.operation} {breach.kind}: {breach.message}" for each in called for breach in each.breaches]
    probe.expect("contract-breach", not breaches, seen=_some(breaches) or f"{len(called)} answers as declared")

    unproven = [f"{each.operation}: {each.obstacle}" for each in exercised if each.obstacle]
    unproven += refused
    unproven += [f"{each.operation}: {breach.message}" for each in called for breach in each.unjudgeable]
    probe.require("operation-unproven", not unproven, seen=_some(unproven) or "all operations could be exercised")
    probe.require("nothing-succeeded", all(succeeded), seen=", ".join(_status(each) for each in called))


def _how(each: Exercised) -> str:
    answer = each.exchange.summary if each.exchange else "not called"
    line = each.line or {}
    said = f"security server {line.get('server')}: {line.get('flags')} {line.get('details')}"
    return f"{answer} ({said})" if line else answer


def _status(each: Exercised) -> str:
    return f"{each.operation} {each.exchange.status if each.exchange else '-'}"


def _some(found: list[str], most: int = 5) -> str:
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more
