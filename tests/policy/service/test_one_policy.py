"""One policy at a time: read, made, replaced, patched, removed; and everything that is wrong with it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from policy_admin_parts import (
    AGENCY_POLICY,
    ANY,
    JSON_PATCH,
    MERGE,
    MINISTRY_POLICY,
    flaws_of,
    member,
    problem_of,
    service,
)

REGISTRY = "/v1/policies/service/registry"
CLINIC = "/v1/policies/member/clinic"


async def test_a_new_policy_is_created_and_comes_back_as_it_was_written(editor: httpx.AsyncClient) -> None:
    clinic = {"name": "clinic", "identity": "spiffe://mesh.test/security-server/clinic", "kind": "member"}
    made = await editor.put(CLINIC, json=clinic)
    assert made.status_code == 201
    assert made.headers["etag"] == '"2"'
    assert made.json() == {
        "version": 2,
        "changed": True,
        "changes": [{"kind": "member", "name": "clinic", "change": "created"}],
    }
    read = await editor.get(CLINIC)
    assert read.headers["etag"] == '"2"'
    assert list(read.json().items()) == list(clinic.items())


async def test_the_answer_leads_to_the_status_of_the_version(editor: httpx.AsyncClient) -> None:
    for made in (
        await editor.put(CLINIC, json=member("clinic")),
        await editor.put("/v1/services/registry/endpoints/127.0.0.1:81", json={}),
        await editor.post("/v1/rollback", json={"to": 1}),
    ):
        status = await editor.get(urljoin(str(made.request.url), made.headers["location"]))
        assert status.json()["version"] == made.json()["version"]


async def test_the_policy_of_the_mesh_need_not_say_its_name(editor: httpx.AsyncClient) -> None:
    made = await editor.put("/v1/policies/mesh/mesh", json={"kind": "mesh", "instance": "XA"})
    assert made.status_code == 201
    assert (await editor.get("/v1/policies/mesh/mesh")).json() == {"kind": "mesh", "instance": "XA"}


async def test_replacing_needs_the_entity_tag_under_which_the_policy_was_read(editor: httpx.AsyncClient) -> None:
    changed = service(timeout_s=3)
    unsaid = await editor.put(REGISTRY, json=changed)
    assert problem_of(unsaid, 428)["type"] == "urn:meshmark:problem:precondition-required"
    assert unsaid.headers["etag"] == '"1"'
    assert (await editor.put(REGISTRY, json=changed, headers={"if-match": '"1"'})).headers["etag"] == '"2"'
    stale = await editor.put(REGISTRY, json=service(timeout_s=4), headers={"if-match": '"1"'})
    assert problem_of(stale, 412)["errors"] == [
        {"document": "service/registry", "pointer": "", "reason": "was changed in version 2", "version": 2}
    ]
    assert (await editor.get(REGISTRY)).json() == changed


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": "*"}, 200),
        ({"if-match": '"7", "1"'}, 200),
        ({"if-match": 'W/"1"'}, 412),
        ({"if-match": '"7"'}, 412),
        ({"if-match": '"seven"'}, 412),
        ({"if-none-match": "*"}, 412),
        ({"if-match": "1"}, 422),
        ({"if-match": ""}, 422),
        ({"if-none-match": '"1"'}, 422),
        ({"if-match": '"1"', "if-none-match": "*"}, 422),
    ],
)
async def test_conditions_are_those_of_http(editor: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    answer = await editor.put(REGISTRY, json=service(timeout_s=3), headers=headers)
    assert answer.status_code == status, answer.text
    twice = [("if-match", '"1"'), ("if-match", '"1"')]
    assert flaws_of(await editor.put(REGISTRY, json=service(), headers=twice)) == [("If-Match", "")]


async def test_what_is_not_there_matches_nothing(editor: httpx.AsyncClient) -> None:
    for headers in (ANY, {"if-match": '"1"'}):
        problem_of(await editor.put(CLINIC, json=member("clinic"), headers=headers), 412)
    assert (await editor.put(CLINIC, json=member("clinic"), headers={"if-none-match": "*"})).status_code == 201


async def test_the_same_again_makes_no_version(editor: httpx.AsyncClient) -> None:
    again = await editor.put(REGISTRY, json=service(), headers=ANY)
    assert again.status_code == 200
    assert again.json() == {
        "version": 1,
        "changed": False,
        "changes": [{"kind": "service", "name": "registry", "change": "unchanged"}],
    }
    assert again.headers["etag"] == '"1"'


async def test_a_reader_who_has_it_already_is_told_so(editor: httpx.AsyncClient) -> None:
    answer = await editor.get(REGISTRY, headers={"if-none-match": '"9", "1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert (await editor.get(REGISTRY, headers={"if-none-match": '"9"'})).status_code == 200


async def test_an_old_version_can_be_read(editor: httpx.AsyncClient) -> None:
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=ANY)
    assert (await editor.get(REGISTRY, params={"version": 1})).json() == service()
    problem_of(await editor.get(REGISTRY, params={"version": 3}), 404)
    for wrong in ("0", "-1", "x", "1.0", "+1", "٣", "9" * 30):
        assert flaws_of(await editor.get(REGISTRY, params={"version": wrong})) == [("version", "")]


@pytest.mark.parametrize(
    ("patch", "headers"),
    [
        ({"timeout_s": 3, "code": None}, MERGE),
        ([{"op": "add", "path": "/timeout_s", "value": 3}, {"op": "remove", "path": "/code"}], JSON_PATCH),
    ],
)
async def test_a_part_is_changed_by_either_kind_of_patch(
    editor: httpx.AsyncClient, patch: object, headers: dict[str, str]
) -> None:
    answer = await editor.patch(REGISTRY, content=json.dumps(patch), headers=headers | {"if-match": '"1"'})
    assert answer.status_code == 200, answer.text
    expected = service(timeout_s=3)
    del expected["code"]
    assert (await editor.get(REGISTRY)).json() == expected


@pytest.mark.parametrize(
    ("patch", "status", "pointer"),
    [
        ({"op": "remove", "path": "/code"}, 422, ""),
        ([7], 422, "/0"),
        ([{"op": "remove"}], 422, "/0"),
        ([{"op": "remove", "path": 7}], 422, "/0"),
        ([{"op": "tear", "path": "/code"}], 422, "/0"),
        ([{"op": "add", "path": "/code"}], 422, "/0"),
        ([{"op": "test", "path": "/code", "value": "births"}, {"op": "remove", "path": "/nowhere"}], 409, "/1"),
        ([{"op": "test", "path": "/code", "value": "deaths"}], 409, "/0"),
        ([{"op": "replace", "path": "/endpoints/7/port", "value": 1}], 409, "/0"),
        ([{"op": "add", "path": "code", "value": 1}], 409, "/0"),
        ([{"op": "move", "from": "/endpoints", "path": "/endpoints/0"}], 409, "/0"),
        ([{"op": "replace", "path": "", "value": 7}], 422, ""),
        ([{"op": "remove", "path": ""}], 409, "/0"),
        ([{"op": "test", "path": "/code", "value": "births"}] * 101, 422, ""),
    ],
)
async def test_a_json_patch_that_is_none_or_does_not_fit_is_refused_at_its_operation(
    editor: httpx.AsyncClient, patch: object, status: int, pointer: str
) -> None:
    answer = await editor.patch(REGISTRY, content=json.dumps(patch), headers=JSON_PATCH | ANY)
    assert [place for _, place in flaws_of(answer, status)] == [pointer]
    assert (await editor.get(REGISTRY)).headers["etag"] == '"1"'


async def test_a_patch_that_doubles_the_policy_again_and_again_is_stopped(editor: httpx.AsyncClient) -> None:
    grow = [{"op": "copy", "from": "", "path": "/endpoints/0/more"}] * 100
    answer = await editor.patch(REGISTRY, content=json.dumps(grow), headers=JSON_PATCH | ANY)
    assert answer.status_code in {413, 422}
    wide = [{"op": "copy", "from": "/endpoints", "path": "/endpoints/-"}] * 100
    answer = await editor.patch(REGISTRY, content=json.dumps(wide), headers=JSON_PATCH | ANY)
    assert answer.status_code in {413, 422}


async def test_a_patch_needs_something_to_patch_and_its_version(editor: httpx.AsyncClient) -> None:
    problem_of(await editor.patch(CLINIC, content="{}", headers=MERGE | ANY), 404)
    problem_of(await editor.patch(REGISTRY, content="{}", headers=MERGE), 428)
    problem_of(await editor.patch(REGISTRY, content="{}", headers=MERGE | {"if-match": '"7"'}), 412)
    assert flaws_of(await editor.patch(REGISTRY, content="7", headers=MERGE | ANY)) == [("", "")]


async def test_a_policy_is_removed_once(editor: httpx.AsyncClient) -> None:
    await editor.put(CLINIC, json=member("clinic"))
    problem_of(await editor.delete(CLINIC), 428)
    problem_of(await editor.delete(CLINIC, headers={"if-match": '"1"'}), 412)
    gone = await editor.delete(CLINIC, headers={"if-match": '"2"'})
    assert gone.json()["changes"] == [{"kind": "member", "name": "clinic", "change": "deleted"}]
    problem_of(await editor.delete(CLINIC, headers={"if-match": '"2"'}), 404)
    problem_of(await editor.get(CLINIC), 404)
    assert (await editor.get(CLINIC, params={"version": 2})).json() == member("clinic")
    assert (await editor.put(CLINIC, json=member("clinic"))).status_code == 201


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (service(provider="nobody"), "/provider"),
        (service(timeout_s="3"), "/timeout_s"),
        (service(timeout=3), "/timeout"),
        (service(access=[{"caller": "nobody"}]), "/access/0/caller"),
        (service(endpoints=[{"host": "127.0.0.1", "port": 70000}]), "/endpoints/0/port"),
        (service(kind="member"), "/kind"),
        (service(name="registri"), "/name"),
        ({}, "/kind"),
    ],
)
async def test_what_is_wrong_is_named_by_document_place_and_reason(
    editor: httpx.AsyncClient, document: dict[str, Any], place: str
) -> None:
    answer = await editor.put(REGISTRY, json=document, headers=ANY)
    assert ("service/registry", place) in flaws_of(answer)
    assert all(each["reason"] for each in answer.json()["errors"])
    assert (await editor.get(REGISTRY)).headers["etag"] == '"1"'


async def test_all_that_is_wrong_is_said_at_once(editor: httpx.AsyncClient) -> None:
    answer = await editor.put(REGISTRY, json=service(timeout_s="3", code=7), headers=ANY)
    assert flaws_of(answer) == [("service/registry", "/code"), ("service/registry", "/timeout_s")]


async def test_what_others_refer_to_cannot_be_removed(editor: httpx.AsyncClient) -> None:
    answer = await editor.delete("/v1/policies/member/agency", headers=ANY)
    assert flaws_of(answer) == [("service/registry", "/provider")]
    assert (await editor.get("/v1/policies/member/agency")).json() == AGENCY_POLICY


@pytest.mark.parametrize("name", ["Clinic", "-", "a" * 64, "%C3%A9", "a.b", "%00", "a%2Fb"])
async def test_a_name_that_no_policy_can_have_is_refused(editor: httpx.AsyncClient, name: str) -> None:
    path = f"/v1/policies/member/{name}"
    assert flaws_of(await editor.put(path, json=member("clinic"))) == [("name", "")]
    problem_of(await editor.get(path), 404)


async def test_a_kind_that_there_is_not_is_not_found(editor: httpx.AsyncClient) -> None:
    for answer in (await editor.get("/v1/policies/route/x"), await editor.put("/v1/policies/route/x", json={})):
        problem_of(answer, 404)
    assert flaws_of(await editor.get("/v1/policies/member/%FF")) == [("name", "")]


async def test_policies_are_listed_page_by_page_as_of_one_version(editor: httpx.AsyncClient) -> None:
    first = (await editor.get("/v1/policies", params={"limit": 2})).json()
    assert [(each["kind"], each["name"]) for each in first["items"]] == [("member", "agency"), ("member", "ministry")]
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=ANY)
    rest = {"limit": 2, "after": first["next"], "version": first["version"]}
    second = (await editor.get("/v1/policies", params=rest)).json()
    assert second == {
        "version": 1,
        "items": [{"kind": "service", "name": "registry", "changed_in": 1, "document": service()}],
    }
    of_kind = (await editor.get("/v1/policies", params={"kind": "member"})).json()["items"]
    assert [each["document"] for each in of_kind] == [AGENCY_POLICY, MINISTRY_POLICY]
    for wrong in ({"limit": "0"}, {"limit": "1001"}, {"kind": "route"}, {"version": "-1"}):
        assert flaws_of(await editor.get("/v1/policies", params=wrong)) == [(*wrong, "")]
    assert flaws_of(await editor.get("/v1/policies?limit=1&limit=1")) == [("limit", "")]
    problem_of(await editor.get("/v1/policies", params={"version": 99}), 404)


async def test_parameters_that_nobody_knows_are_ignored(editor: httpx.AsyncClient) -> None:
    assert (await editor.get(REGISTRY, params={"trace": "1"})).status_code == 200
