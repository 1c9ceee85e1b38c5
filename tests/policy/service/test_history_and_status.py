"""The audit log, differences, and what became of versions at the security servers."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from policy_admin_parts import (
    ANY,
    AUDITOR,
    CONTROL_PLANE,
    Admin,
    Json,
    change,
    flaws_of,
    member,
    problem_of,
    service,
)

REGISTRY = "/v1/policies/service/registry"
SINCE = "2026-11-25T12:00:00Z"


def report(proxy: str, state: str, *, version: int = 1, **more: object) -> Json:
    return {"version": version, "proxy": proxy, "state": state, "since": SINCE, **more}


async def test_every_change_is_attributed_and_kept_with_its_note(admin: Admin, editor: httpx.AsyncClient) -> None:
    note = "Fristen kürzer, 期限, по просьбе"
    headers = [(b"if-match", b"*"), (b"x-change-note", note.encode())]
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=headers)
    entry = (await editor.get("/v1/versions/2")).json()
    assert entry["author"] == {"identity": admin.domain.identity("operator/editor"), "role": "editor"}
    assert entry["note"] == note
    assert entry["at"].endswith("Z")
    assert entry["changes"] == [
        {
            "kind": "service",
            "name": "registry",
            "change": "changed",
            "before": service(),
            "after": service(timeout_s=3),
        }
    ]


@pytest.mark.parametrize("note", [b"\xff", b"x" * 501, b"a\tb", b"\xc2\x85"])
async def test_a_note_that_is_no_line_of_text_is_refused(editor: httpx.AsyncClient, note: bytes) -> None:
    headers = [(b"if-match", b"*"), (b"x-change-note", note)]
    assert flaws_of(await editor.put(REGISTRY, json=service(timeout_s=3), headers=headers)) == [("X-Change-Note", "")]
    assert (await editor.get(REGISTRY)).headers["etag"] == '"1"'


async def test_the_audit_log_is_read_page_by_page_newest_first(editor: httpx.AsyncClient) -> None:
    for seconds in (3, 4, 5):
        await editor.put(REGISTRY, json=service(timeout_s=seconds), headers=ANY)
    first = (await editor.get("/v1/versions", params={"limit": 3})).json()
    assert [each["version"] for each in first["items"]] == [4, 3, 2]
    last = (await editor.get("/v1/versions", params={"limit": 3, "before": first["next"]})).json()
    assert [each["version"] for each in last["items"]] == [1]
    assert "next" not in last
    of_agency = (await editor.get("/v1/versions", params={"kind": "member", "name": "agency"})).json()
    assert [each["version"] for each in of_agency["items"]] == [1]
    assert flaws_of(await editor.get("/v1/versions", params={"kind": "member"})) == [("name", "")]
    assert flaws_of(await editor.get("/v1/versions", params={"name": "agency"})) == [("kind", "")]


async def test_the_difference_of_two_versions_goes_both_ways(editor: httpx.AsyncClient) -> None:
    await editor.put("/v1/policies/member/clinic", json=member("clinic"))
    forth = (await editor.get("/v1/diff", params={"from": 1, "to": 2})).json()
    assert forth["changes"] == [
        {"kind": "member", "name": "clinic", "change": "created", "before": None, "after": member("clinic")}
    ]
    back = (await editor.get("/v1/diff", params={"from": 2, "to": 1})).json()
    assert back["changes"][0]["change"] == "deleted"
    assert len((await editor.get("/v1/diff", params={"from": 0, "to": 1})).json()["changes"]) == 3
    assert flaws_of(await editor.get("/v1/diff", params={"from": 1})) == [("to", "")]
    assert flaws_of(await editor.get("/v1/diff", params={"from": 1, "to": 9}), 404) == [("to", "")]


async def test_a_version_that_there_is_not_is_not_found(editor: httpx.AsyncClient) -> None:
    for version in ("0", "2", "-1", "x", "1.5", "9" * 40, "%D9%A1"):
        problem_of(await editor.get(f"/v1/versions/{version}"), 404)
        problem_of(await editor.get(f"/v1/versions/{version}/status"), 404)


async def test_control_planes_report_and_the_worst_counts(admin: Admin, editor: httpx.AsyncClient) -> None:
    status = "/v1/versions/1/status"
    assert (await editor.get(status)).json() == {"version": 1, "state": "unreported", "proxies": []}
    async with admin.http(CONTROL_PLANE) as control_plane:
        for reports, state in (
            ([report("agency", "pending"), report("ministry", "applied")], "pending"),
            ([report("agency", "rejected", reason="no such cluster")], "rejected"),
            ([report("agency", "applied")], "applied"),
        ):
            assert (await control_plane.post("/v1/reports", json={"reports": reports})).status_code == 204
            found = (await editor.get(status)).json()
            assert found["state"] == state
    assert found["proxies"][0] == {
        "version": 1,
        "proxy": "agency",
        "state": "applied",
        "since": SINCE,
        "reason": "",
        "control_plane": admin.domain.identity(CONTROL_PLANE),
    }
    assert [each["proxy"] for each in (await editor.get("/v1/proxies")).json()["items"]] == ["agency", "ministry"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"version": 2}, "/reports/0/version"),
        ({"version": 0}, "/reports/0/version"),
        ({"proxy": ""}, "/reports/0/proxy"),
        ({"state": "unknown"}, "/reports/0/state"),
        ({"since": "yesterday"}, "/reports/0/since"),
        ({"since": "2026-11-25T12:00:00+01:00"}, "/reports/0/since"),
        ({"control_plane": "somebody else"}, "/reports/0/control_plane"),
    ],
)
async def test_a_report_that_cannot_be_is_refused(admin: Admin, wrong: Json, pointer: str) -> None:
    async with admin.http(CONTROL_PLANE) as http:
        body = {"reports": [report("agency", "applied") | wrong]}
        assert flaws_of(await http.post("/v1/reports", json=body)) == [("", pointer)]


async def test_whoever_waits_is_told_as_soon_as_nothing_is_pending(admin: Admin, editor: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(editor.get("/v1/versions/1/status", params={"wait": 9}))
    async with admin.http(CONTROL_PLANE) as control_plane:
        for state in ("pending", "applied"):
            await control_plane.post("/v1/reports", json={"reports": [report("agency", state)]})
    assert (await waiting).json()["state"] == "applied"


async def test_whoever_waits_in_vain_is_told_what_is_known(editor: httpx.AsyncClient) -> None:
    answer = await editor.get("/v1/versions/1/status", params={"wait": "0.05"})
    assert answer.json()["state"] == "unreported"
    for wrong in ("61", "-1", "x", "1e1", "0.0001", "nan", ""):
        assert flaws_of(await editor.get("/v1/versions/1/status", params={"wait": wrong})) == [("wait", "")]


async def test_followers_get_all_then_what_is_new_with_callers_resolved(
    admin: Admin, editor: httpx.AsyncClient
) -> None:
    async with admin.http(AUDITOR) as follower:
        everything = (await follower.get("/v1/changes", params={"after": 0})).json()
        assert {(each["kind"], each["name"]) for each in everything["put"]} == {
            ("member", "agency"),
            ("member", "ministry"),
            ("service", "registry"),
        }
        (registry,) = [each["policy"] for each in everything["put"] if each["kind"] == "service"]
        assert registry["access"][0]["caller"] == admin.domain.identity("security-server/ministry")

        nothing = (await follower.get("/v1/changes", params={"after": 1})).json()
        assert nothing == {"version": 1, "put": [], "deleted": []}

        waiting = asyncio.create_task(follower.get("/v1/changes", params={"after": 1, "wait": 9}))
        await editor.put(
            "/v1/policies/member/ministry", json=member("ministry", "other.test", id="MESH/GOV/1002"), headers=ANY
        )
        news = (await waiting).json()
        assert news["version"] == 2
        # The rule names a member that has another identity now, so the service means something else.
        assert [each["name"] for each in news["put"]] == ["ministry", "registry"]
        assert news["put"][1]["policy"]["access"][0]["caller"] == "spiffe://other.test/security-server/ministry"


async def test_a_follower_is_told_what_is_gone(admin: Admin, editor: httpx.AsyncClient) -> None:
    gone = [change(None, kind="service", name="registry", expected=1), change(member("ministry"), expected=1)]
    assert (await editor.post("/v1/changes", json={"changes": gone})).status_code == 200
    news = (await editor.get("/v1/changes", params={"after": 1})).json()
    assert news["deleted"] == [{"kind": "service", "name": "registry"}]
    assert await admin.store.version() == 2


async def test_a_follower_ahead_of_the_store_is_told_to_begin_anew(editor: httpx.AsyncClient) -> None:
    assert flaws_of(await editor.get("/v1/changes", params={"after": 9}), 409) == [("after", "")]
    assert flaws_of(await editor.get("/v1/changes")) == [("after", "")]


async def test_a_long_poll_ends_when_the_service_does(admin: Admin) -> None:
    async with admin.http() as one, admin.http() as other:
        polls = [
            asyncio.create_task(one.get("/v1/changes", params={"after": 1, "wait": 10})),
            asyncio.create_task(other.get("/v1/versions/1/status", params={"wait": 10})),
        ]
        async with admin.http() as third:
            # They, and the question itself.
            while "policy_admin_requests_in_progress 3.0" not in (await third.get("/metrics")).text:
                pass
        await admin.service.stop()
        answers = [await poll for poll in polls]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["version"] == 1
