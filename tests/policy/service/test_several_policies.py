"""Several policies at once: all or nothing, rehearsed, and taken back."""

from __future__ import annotations

import httpx
import pytest
from policy_admin_parts import (
    AGENCY_POLICY,
    ANY,
    MINISTRY_POLICY,
    Admin,
    Json,
    change,
    flaws_of,
    member,
    problem_of,
    service,
)

REGISTRY = "/v1/policies/service/registry"


async def test_all_of_a_change_happens_in_one_version(editor: httpx.AsyncClient) -> None:
    body = {
        "changes": [
            change(None, kind="service", name="registry", expected=1),
            change(member("ministry", id="MESH/GOV/1002"), expected=1),
            change(member("clinic")),
        ]
    }
    answer = await editor.post("/v1/changes", json=body)
    assert answer.json() == {
        "version": 2,
        "changed": True,
        "changes": [
            {"kind": "service", "name": "registry", "change": "deleted"},
            {"kind": "member", "name": "ministry", "change": "changed"},
            {"kind": "member", "name": "clinic", "change": "created"},
        ],
    }
    assert answer.headers["location"] == "versions/2/status"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ([change(member("clinic")), change(service(provider="nobody"), expected=1)], 422),
        ([change(member("clinic")), change(service(timeout_s=3), expected=0)], 409),
        ([change(member("clinic")), change(service(timeout_s=3), expected=7)], 409),
        ([change(member("clinic"), expected=3), change(service(timeout_s=3), expected=1)], 409),
        ([change(member("clinic")), change(service(timeout_s=3))], 428),
        ([change(member("clinic")), change(None, kind="service", name="registry")], 428),
    ],
)
async def test_nothing_of_a_refused_change_happens(editor: httpx.AsyncClient, changes: list[Json], status: int) -> None:
    problem = problem_of(await editor.post("/v1/changes", json={"changes": changes}), status)
    assert problem["errors"][0]["document"] in {"service/registry", "member/clinic"}
    after = (await editor.get("/v1/policies")).json()
    assert after["version"] == 1
    assert [each["document"] for each in after["items"]] == [AGENCY_POLICY, MINISTRY_POLICY, service()]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/changes"),
        ({"changes": []}, "/changes"),
        ({"changes": [7]}, "/changes/0"),
        ({"changes": [{"kind": "member", "name": "clinic"}]}, "/changes/0/document"),
        ({"changes": [change(member("clinic"), expected=-1)]}, "/changes/0/expected"),
        ({"changes": [change(member("clinic"), expected=True)]}, "/changes/0/expected"),
        ({"changes": [change(member("clinic"), expected="1")]}, "/changes/0/expected"),
        ({"changes": [change(member("clinic"), expected=2**53)]}, "/changes/0/expected"),
        ({"changes": [change(member("clinic"), extra=1)]}, "/changes/0/extra"),
        ({"changes": [{"kind": "route", "name": "x", "document": None}]}, "/changes/0/kind"),
        ({"changes": [{"kind": "member", "name": "A", "document": None}]}, "/changes/0/name"),
        ({"changes": [{"kind": "member", "name": "a", "document": []}]}, "/changes/0/document"),
        ({"changes": [{"kind": "member", "name": "a", "document": member("b")}]}, "/name"),
        ({"changes": [change(member("clinic"))] * 2}, "/changes/1"),
        ({"changes": [change(member(f"clinic-{number}")) for number in range(101)]}, "/changes"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/changes", "/v1/validate"])
async def test_a_change_that_cannot_be_read_is_refused_at_its_place(
    editor: httpx.AsyncClient, path: str, body: object, pointer: str
) -> None:
    assert [place for _, place in flaws_of(await editor.post(path, json=body))] == [pointer]


async def test_a_change_of_a_hundred_policies_is_taken(editor: httpx.AsyncClient) -> None:
    body = {"changes": [change(member(f"clinic-{number}")) for number in range(100)]}
    assert (await editor.post("/v1/changes", json=body)).json()["version"] == 2


async def test_a_rehearsal_says_all_that_would_happen_and_changes_nothing(editor: httpx.AsyncClient) -> None:
    good = {"changes": [change(member("clinic")), change(service(), expected=1), change(AGENCY_POLICY | {"id": None})]}
    judged = (await editor.post("/v1/validate", json=good)).json()
    assert judged["valid"]
    assert [each["change"] for each in judged["changes"]] == ["created", "unchanged", "changed"]
    bad = {"changes": [change(None, kind="member", name="agency", expected=9), change(service(timeout_s="x"))]}
    judged = (await editor.post("/v1/validate", json=bad)).json()
    assert not judged["valid"]
    assert judged["version"] == 1
    assert [(each["document"], each["pointer"]) for each in judged["errors"]] == [
        ("member/agency", ""),
        ("service/registry", "/timeout_s"),
    ]
    assert judged["errors"][0]["version"] == 1
    assert (await editor.get("/v1/policies")).json()["version"] == 1


async def test_a_rehearsal_and_the_change_agree_however_often_they_alternate(editor: httpx.AsyncClient) -> None:
    for number in range(5):
        bad = {"changes": [change(service(provider="nobody"), expected=1)]}
        assert not (await editor.post("/v1/validate", json=bad)).json()["valid"]
        good = {"changes": [change(member(f"clinic-{number}"))]}
        assert (await editor.post("/v1/validate", json=good)).json()["valid"]
        problem_of(await editor.post("/v1/changes", json=bad), 422)
        assert (await editor.post("/v1/changes", json=good)).json()["version"] == number + 2


async def test_going_back_makes_a_new_version_with_the_old_content(editor: httpx.AsyncClient) -> None:
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=ANY)
    await editor.put("/v1/policies/member/clinic", json=member("clinic"))
    back = await editor.post("/v1/rollback", json={"to": 1})
    assert back.json()["version"] == 4
    assert {each["name"]: each["change"] for each in back.json()["changes"]} == {
        "registry": "changed",
        "clinic": "deleted",
    }
    assert (await editor.get("/v1/diff", params={"from": 1, "to": 4})).json()["changes"] == []
    entry = (await editor.get("/v1/versions/4")).json()
    assert entry["note"] == "Back to version 1"
    again = await editor.post("/v1/rollback", json={"to": 1})
    assert again.json() == {"version": 4, "changed": False, "changes": []}


async def test_going_back_is_judged_like_any_change(admin: Admin) -> None:
    async with admin.http() as http:
        for wrong, place in (({"to": 7}, "/to"), ({"to": 0}, "/to"), ({"to": "1"}, "/to"), ({}, "/to"), (1, "")):
            assert flaws_of(await http.post("/v1/rollback", json=wrong)) == [("", place)]
