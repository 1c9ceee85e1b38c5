"""Faults of building blocks and their contracts."""

from __future__ import annotations

from typing import Any

from conformance.faults.areas.common import undecided
from conformance.faults.seeding import patch, seed
from conformance.mesh import WITNESS

PERSON = "/paths/~1v1~1persons~1{personId}"
OTHER_PATHS = (
    "/paths/~1health",
    "/paths/~1v1~1persons",
    "/paths/~1v1~1persons~1searches",
    "/paths/~1v1~1persons~1{personId}~1death",
    "/paths/~1v1~1verifications",
    f"{PERSON}/put",
    f"{PERSON}/delete",
)

seed(
    "api-contract-without-version",
    defect="The contract does not say which version of the interface it describes.",
    contract_patch=({"op": "remove", "path": "/info/version"},),
    caught_by={"API-001": "contract-invalid"},
)


def misbehaving(fault: str) -> tuple[str, ...]:
    """The reference building block with one of its own seeded faults."""
    return ("--fault", fault)


seed(
    "api-field-of-wrong-type",
    defect="One record has a number where the contract says text.",
    subject_arguments=misbehaving("wrong-type"),
    caught_by={"API-002": "contract-breach", "API-003": "contract-breach"},
)
seed(
    "api-field-missing",
    defect="One record lacks a field that the contract requires.",
    subject_arguments=misbehaving("missing-field"),
    caught_by={"API-002": "contract-breach", "API-003": "contract-breach"},
)
seed(
    "api-undeclared-status",
    defect="One record is answered with a status that the contract does not declare.",
    subject_arguments=misbehaving("undeclared-status"),
    caught_by={"API-002": "contract-breach", "API-003": "contract-breach"},
)
seed(
    "api-wrong-content-type",
    defect="One record is sent as plain text.",
    subject_arguments=misbehaving("wrong-content-type"),
    caught_by={"API-002": "contract-breach", "API-003": "contract-breach"},
)
seed(
    "api-correlation-id-missing",
    defect="No answer carries the correlation id that the contract promises.",
    subject_arguments=misbehaving("missing-correlation-id"),
    # A mesh gives a call that has none a correlation id. What is left to see is what a caller's bad one leads to.
    caught_by={"API-003": "contract-breach"},
)
seed(
    "api-operation-missing",
    defect="An operation of the contract is not implemented.",
    subject_arguments=misbehaving("operation-missing"),
    caught_by={"API-002": "contract-breach", "API-003": "contract-breach"},
)
seed(
    "api-server-error-on-unusual-input",
    defect="A name with a character beyond ASCII makes the building block fail with 500.",
    subject_arguments=misbehaving("server-error-on-generated-input"),
    caught_by={"API-003": "server-error"},
)
seed(
    "api-connection-closed",
    defect="One operation ends the connection instead of answering.",
    subject_arguments=misbehaving("closes-connection"),
    caught_by={"API-002": "operation-unanswered", "API-003": "unanswered"},
)
seed(
    "api-operation-hangs",
    defect="One operation is never answered.",
    subject_arguments=misbehaving("hangs"),
    caught_by={"API-002": "operation-unanswered", "API-003": "unanswered"},
)
seed(
    "api-endless-answer",
    defect="One operation begins an answer that never comes to an end.",
    subject_arguments=misbehaving("endless-body"),
    caught_by={"API-002": "operation-unanswered", "API-003": "unanswered"},
)
seed(
    "api-garbage",
    defect="One operation is answered with something that is not HTTP.",
    subject_arguments=misbehaving("garbage"),
    caught_by={"API-002": "operation-unanswered", "API-003": "unanswered"},
)
seed(
    "api-control-unreachable",
    defect="Calls of the control path behind the subject's security server are answered 503.",
    overlays=[
        patch(
            "route",
            f"inbound/{WITNESS}",
            {
                "op": "add",
                "path": "/virtual_hosts/0/routes/0",
                "value": {"match": {"path": f"/{WITNESS}/control"}, "direct_response": {"status": 503}},
            },
        )
    ],
    caught_by={"API-002": undecided("mesh-unusable"), "API-003": undecided("mesh-unusable")},
)


def unresolvable_body() -> dict[str, Any]:
    """A request body that nobody can make: it is of a media type that is none of the usual, with no example."""
    return {"required": True, "content": {"application/x-unheard-of": {"schema": {"type": "object"}}}}


seed(
    "api-operation-inexplicable",
    defect="The contract asks for a request body of which nobody can tell what it looks like.",
    contract_patch=({"op": "add", "path": f"{PERSON}/delete/requestBody", "value": unresolvable_body()},),
    caught_by={"API-002": undecided("operation-unproven"), "API-003": undecided("generation-incomplete")},
)
seed(
    "api-example-of-nobody",
    defect="The contract's only example is a record that the building block does not have.",
    contract_patch=(
        *({"op": "remove", "path": path} for path in OTHER_PATHS),
        {
            "op": "replace",
            "path": "/components/parameters/PersonId/example",
            "value": "99999999-9999-4999-8999-999999999999",
        },
    ),
    caught_by={"API-002": undecided("nothing-succeeded")},
)
