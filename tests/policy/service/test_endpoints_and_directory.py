"""Endpoints that come and go while a service runs, and the directory in the shapes of X-Road."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from policy_admin_parts import AGENCY, ANY, MINISTRY, STRANGER, Admin, Json, flaws_of, problem_of, service

from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind
from conformance.policy.service.access import allows, rule_endpoints

REGISTRY = "/v1/policies/service/registry"
ENDPOINTS = "/v1/services/registry/endpoints"
AGENCY_METHODS = "/v1/directory/MESH/GOV/1001/registry"


async def endpoints(http: httpx.AsyncClient) -> list[Json]:
    found: list[Json] = (await http.get(REGISTRY)).json()["endpoints"]
    return found


async def test_an_endpoint_comes_changes_and_goes_each_in_a_version_of_its_own(editor: httpx.AsyncClient) -> None:
    address = f"{ENDPOINTS}/127.0.0.1:8081"
    assert (await editor.put(address, json={"weight": 3})).status_code == 201
    assert (await endpoints(editor))[1] == {"host": "127.0.0.1", "port": 8081, "weight": 3}
    assert (await editor.put(address, json={})).status_code == 200
    assert (await endpoints(editor))[1] == {"host": "127.0.0.1", "port": 8081}
    again = await editor.put(address, json={})
    assert (again.status_code, again.json()["changed"]) == (200, False)
    assert (await editor.delete(address, headers={"x-change-note": "moved"})).json()["version"] == 4
    problem_of(await editor.delete(address), 404)
    assert len(await endpoints(editor)) == 1
    entry = (await editor.get("/v1/versions/4")).json()
    assert (entry["note"], entry["author"]["role"]) == ("moved", "editor")


async def test_an_address_is_the_same_however_it_is_written(editor: httpx.AsyncClient) -> None:
    assert (await editor.put(f"{ENDPOINTS}/[0:0:0:0:0:0:0:1]:81", json={})).status_code == 201
    assert (await editor.put(f"{ENDPOINTS}/[::1]:81", json={})).status_code == 200
    assert (await editor.put(f"{ENDPOINTS}/%5B::1%5D%3A81", json={})).status_code == 200
    assert (await endpoints(editor))[1] == {"host": "::1", "port": 81}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "1.2.3:80", "host:80", "::1:80", "[127.0.0.1:80", "%FF"]
)
async def test_an_address_that_is_none_is_refused(editor: httpx.AsyncClient, address: str) -> None:
    assert flaws_of(await editor.put(f"{ENDPOINTS}/{address}", json={})) == [("address", "")]
    assert flaws_of(await editor.delete(f"{ENDPOINTS}/{address}")) == [("address", "")]


async def test_an_endpoint_is_judged_with_its_service(editor: httpx.AsyncClient) -> None:
    address = f"{ENDPOINTS}/127.0.0.1:8081"
    assert flaws_of(await editor.put(address, json={"weight": 0})) == [("service/registry", "/endpoints/1/weight")]
    assert flaws_of(await editor.put(address, json={"weight": "1"})) == [("", "/weight")]
    assert flaws_of(await editor.put(address, json={"port": 1})) == [("", "/port")]
    problem_of(await editor.put("/v1/services/nobody/endpoints/127.0.0.1:1", json={}), 404)


async def test_endpoints_that_many_add_at_once_are_all_there(admin: Admin, editor: httpx.AsyncClient) -> None:
    ports = range(9000, 9006)
    answers = await asyncio.gather(*(editor.put(f"{ENDPOINTS}/127.0.0.1:{port}", json={}) for port in ports))
    assert {answer.status_code for answer in answers} == {201}
    assert {each["port"] for each in await endpoints(editor)} == {8080, *ports}
    assert await admin.store.version() == 1 + len(ports)


async def test_members_are_listed_with_their_identifiers(admin: Admin) -> None:
    async with admin.http(MINISTRY) as http:
        answer = await http.get("/v1/directory/listClients")
    assert answer.json() == {
        "member": [
            {
                "name": "agency",
                "id": {
                    "object_type": "SUBSYSTEM",
                    "xroad_instance": "MESH",
                    "member_class": "GOV",
                    "member_code": "1001",
                    "subsystem_code": "registry",
                },
            },
            {
                "name": "ministry",
                "id": {
                    "object_type": "MEMBER",
                    "xroad_instance": "MESH",
                    "member_class": "GOV",
                    "member_code": "1002",
                },
            },
        ]
    }


async def test_a_member_sees_all_methods_and_which_of_them_it_may_call(admin: Admin) -> None:
    async with admin.http(MINISTRY) as ministry, admin.http(AGENCY) as agency:
        (offered,) = (await ministry.get(f"{AGENCY_METHODS}/listMethods")).json()["service"]
        assert offered == {
            "object_type": "SERVICE",
            "service_type": "REST",
            "xroad_instance": "MESH",
            "member_class": "GOV",
            "member_code": "1001",
            "subsystem_code": "registry",
            "service_code": "births",
            "name": "registry",
            "endpoint_list": [{"method": "GET", "path": "/v1/births"}, {"method": "POST", "path": "/v1/births"}],
        }
        (allowed,) = (await ministry.get(f"{AGENCY_METHODS}/allowedMethods")).json()["service"]
        assert allowed == offered | {"endpoint_list": [{"method": "GET", "path": "/v1/births"}]}
        assert (await agency.get(f"{AGENCY_METHODS}/allowedMethods")).json() == {"service": []}
        assert (await agency.get("/v1/directory/MESH/GOV/1002/listMethods")).json() == {"service": []}


async def test_the_directory_says_what_the_newest_version_says(admin: Admin, editor: httpx.AsyncClient) -> None:
    async with admin.http(MINISTRY) as ministry:
        assert (await ministry.get(f"{AGENCY_METHODS}/allowedMethods")).json()["service"]
        await editor.put(REGISTRY, json=service(access=[]), headers=ANY)
        assert (await ministry.get(f"{AGENCY_METHODS}/allowedMethods")).json()["service"] == []
        for number in (1, 2):
            for member in ("ministry", "agency"):
                body = {"kind": "member", "name": member, "identity": f"spiffe://other.test/{member}-{number}"}
                await editor.put(f"/v1/policies/member/{member}", json=body, headers=ANY)
        problem_of(await ministry.get("/v1/directory/listClients"), 403)
        assert (await editor.get("/v1/directory/listClients")).json() == {"member": []}


async def test_strangers_are_told_nothing_and_members_nothing_of_those_who_are_not_there(admin: Admin) -> None:
    async with admin.http(STRANGER) as stranger, admin.http(MINISTRY) as ministry:
        for path in ("/v1/directory/listClients", f"{AGENCY_METHODS}/listMethods", f"{AGENCY_METHODS}/allowedMethods"):
            problem_of(await stranger.get(path), 403)
        for path in ("MESH/GOV/1001", "MESH/GOV/1002/registry", "XX/GOV/1002", "MESH/GOV/%00"):
            problem_of(await ministry.get(f"/v1/directory/{path}/listMethods"), 404)


EXACT, PREFIX = PathMatchKind.EXACT, PathMatchKind.PREFIX


@pytest.mark.parametrize(
    ("paths", "template", "expected"),
    [
        ([], "/v1/births", True),
        ([(EXACT, "/v1/births")], "/v1/births", True),
        ([(EXACT, "/v1/births/7")], "/v1/births", False),
        ([(EXACT, "/v1/births/7")], "/v1/births/{id}", True),
        ([(EXACT, "/v1/births/7/parents")], "/v1/births/{id}", False),
        ([(PREFIX, "/v1/births")], "/v1/births/{id}", True),
        ([(PREFIX, "/v1/birth")], "/v1/births", False),
        ([(PREFIX, "/v1/births/7")], "/v1/births/{id}", True),
        ([(PREFIX, "/v1/births/7")], "/v1/births", False),
        ([(PREFIX, "/v1/7.json")], "/v1/{id}.json", True),
        ([(PREFIX, "/v1/7.xml")], "/v1/{id}.json", False),
        ([(PREFIX, "/")], "/v1/births", True),
        ([(EXACT, "/v2"), (PREFIX, "/v1")], "/v1/births", True),
    ],
)
def test_an_operation_is_allowed_if_any_call_of_it_is(
    paths: Sequence[tuple[PathMatchKind, str]], template: str, expected: bool
) -> None:
    operation = Operation("GET", template)
    matches = tuple(PathMatch(kind, path) for kind, path in paths)
    assert allows(AccessRule("spiffe://mesh.test/a", paths=matches), operation) is expected
    assert allows(AccessRule("spiffe://mesh.test/a", ("GET",), matches, (operation,)), operation) is expected
    assert not allows(AccessRule("spiffe://mesh.test/a", ("POST",), matches), operation)
    assert not allows(AccessRule("spiffe://mesh.test/a", (), matches, (Operation("POST", template),)), operation)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (AccessRule("c"), [("*", "**")]),
        (AccessRule("c", ("GET", "PUT")), [("GET", "**"), ("PUT", "**")]),
        (
            AccessRule("c", ("GET",), (PathMatch(PREFIX, "/v1"), PathMatch(EXACT, "/v2"))),
            [("GET", "/v1/**"), ("GET", "/v2")],
        ),
        (AccessRule("c", ("GET",), (), (Operation("GET", "/a"), Operation("PUT", "/a"))), [("GET", "/a")]),
    ],
)
def test_what_may_be_called_of_a_service_without_a_contract_is_written_in_x_roads_way(
    rule: AccessRule, expected: list[tuple[str, str]]
) -> None:
    assert list(rule_endpoints(rule)) == expected


async def test_a_service_without_a_contract_shows_what_its_rules_allow(admin: Admin, editor: httpx.AsyncClient) -> None:
    rules = [{"caller": "ministry", "methods": ["GET"]}] * 1
    plain = service(access=rules)
    del plain["contract"]
    await editor.put(REGISTRY, json=plain, headers=ANY)
    async with admin.http(MINISTRY) as ministry:
        (offered,) = (await ministry.get(f"{AGENCY_METHODS}/listMethods")).json()["service"]
        (allowed,) = (await ministry.get(f"{AGENCY_METHODS}/allowedMethods")).json()["service"]
    assert offered["endpoint_list"] == []
    assert allowed["endpoint_list"] == [{"method": "GET", "path": "**"}]
