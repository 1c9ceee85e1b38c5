from __future__ import annotations

import pytest
from one_server import OneServer, births
from rendering_cases import BIRTHS, HEALTH, below

from conformance.model.policy import AccessRule, Operation

RULES = (
    AccessRule(
        HEALTH,
        operations=(
            Operation("GET", "/v1/births/{birthId}"),
            Operation("POST", "/v1/births"),
            Operation("GET", "/v1/report-{year}.{format}"),
        ),
    ),
    AccessRule(BIRTHS, methods=("GET",), paths=(below("/v1"),), operations=(Operation("GET", "/{any}/births"),)),
)

LET_THROUGH = [
    ("health", "GET", "/v1/births/4711"),
    ("health", "GET", "/v1/births/4711?with=query/and/slashes"),
    ("health", "POST", "/v1/births"),
    ("health", "GET", "/v1/report-2026.csv"),
    ("births", "GET", "/v1/births"),
]
REFUSED = [
    ("health", "GET", "/v1/births"),
    ("health", "GET", "/v1/births/"),
    ("health", "DELETE", "/v1/births/4711"),
    ("health", "GET", "/v1/births/4711/parents"),
    ("health", "GET", "/v1/births/..;x"),
    ("health", "GET", "/v1/reportX2026.csv"),
    ("health", "GET", "/v1/report-2026/x.csv"),
    ("health", "GET", "/V1/births/4711"),
    ("births", "GET", "/v2/births"),
    ("births", "GET", "/v1/deaths"),
    ("gateway", "GET", "/v1/births/4711"),
]


async def test_operations_of_the_contract_are_what_rules_let_through(server: OneServer):
    block = await births(server, access=RULES)
    for caller, method, path in LET_THROUGH:
        answer = await server.call(f"/births{path}", method, caller=caller)
        assert answer.status_code == 200, (caller, method, path)
        assert answer.json()["target"] == path
    arrived = len(block.arrivals)
    for caller, method, path in REFUSED:
        answer = await server.call(f"/births{path}", method, caller=caller)
        assert (answer.status_code, answer.text) == (403, "RBAC: access denied"), (caller, method, path)
    assert len(block.arrivals) == arrived == len(LET_THROUGH)


async def test_an_operation_that_a_template_fits_is_not_opened_by_it(server: OneServer):
    named = (Operation("GET", "/v1/births/{birthId}"), Operation("GET", "/v1/{kind}/latest"))
    others = (Operation("GET", "/v1/births/statistics"), Operation("GET", "/v1/deaths/{id}"))
    await births(server, access=(AccessRule(HEALTH, operations=named),), contract=(*named, *others))
    expected = {
        "/v1/births/7": 200,
        "/v1/births/latest": 200,
        "/v1/marriages/latest": 200,
        "/v1/births/statistics": 403,
        # It is left open which of the two operations this is, and only one of them is named.
        "/v1/deaths/latest": 403,
    }
    assert {path: (await server.call(f"/births{path}")).status_code for path in expected} == expected


async def test_a_rule_that_is_taken_away_acts_on_an_open_connection(server: OneServer):
    await births(server)
    async with await server.peer() as client:
        assert (await client.get("/births/any")).status_code == 200
        await births(server, access=())
        await server.answers(lambda answer: answer.status_code == 403)
        assert (await client.get("/births/any")).status_code == 403


@pytest.mark.parametrize("path", ["/deaths/any", "/", "/r1/MESH/GOV/1/births/any", "/birth/any", "/birthsany"])
async def test_what_is_not_there_is_refused(server: OneServer, path):
    await births(server)
    assert (await server.call(path)).status_code in (403, 404)
