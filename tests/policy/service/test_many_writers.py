"""Many authors at once: no update is lost, and what was acknowledged is there."""

from __future__ import annotations

import asyncio

import httpx
from policy_admin_parts import ANY, Admin, change, member, problem_of, service

REGISTRY = "/v1/policies/service/registry"


async def test_of_those_who_read_the_same_version_exactly_one_changes_it(editor: httpx.AsyncClient) -> None:
    writes = [
        editor.put(REGISTRY, json=service(timeout_s=number), headers={"if-match": '"1"'}) for number in range(1, 9)
    ]
    answers = await asyncio.gather(*writes)
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    for answer in answers:
        if answer is not won[0]:
            problem_of(answer, 412)
    assert (await editor.get(REGISTRY)).headers["etag"] == won[0].headers["etag"] == '"2"'


async def test_of_those_who_create_the_same_policy_exactly_one_does(editor: httpx.AsyncClient) -> None:
    def put(number: int) -> object:
        return editor.put("/v1/policies/member/clinic", json=member("clinic", f"d{number}.test"))

    answers = await asyncio.gather(*(put(number) for number in range(8)))
    assert sorted(answer.status_code for answer in answers)[0] == 201
    assert {answer.status_code for answer in answers} <= {201, 412, 428}
    assert [answer.status_code for answer in answers].count(201) == 1


async def test_changes_that_each_read_first_all_count(admin: Admin) -> None:
    """Twenty authors add one rule each, by reading, adding and putting until it succeeds."""

    async def add(number: int) -> None:
        async with admin.http() as http:
            while True:
                read = await http.get(REGISTRY)
                document = read.json()
                document["routes"] = [
                    *document.get("routes", []),
                    {"match": {"exact": f"/v1/births/{number}"}, "timeout_s": number + 1},
                ]
                put = await http.put(REGISTRY, json=document, headers={"if-match": read.headers["etag"]})
                if put.status_code == 200:
                    return
                problem_of(put, 412)

    await asyncio.gather(*(add(number) for number in range(6)))
    async with admin.http() as http:
        routes = (await http.get(REGISTRY)).json()["routes"]
        versions = (await http.get("/v1/versions")).json()["items"]
    assert {route["timeout_s"] for route in routes} == set(range(1, 7))
    assert len(versions) == 7


async def test_changes_of_several_policies_that_overlap_do_not_mix(admin: Admin, editor: httpx.AsyncClient) -> None:
    def both(number: int) -> object:
        changes = [
            change(service(timeout_s=number), expected=1),
            change(member("ministry", f"d{number}.test"), expected=1),
        ]
        return editor.post("/v1/changes", json={"changes": changes})

    answers = await asyncio.gather(*(both(number) for number in range(1, 7)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    number = (await editor.get(REGISTRY)).json()["timeout_s"]
    ministry = (await editor.get("/v1/policies/member/ministry")).json()
    assert ministry["identity"].startswith(f"spiffe://d{number}.test/")
    assert await admin.store.version() == 2


async def test_whoever_does_not_care_about_versions_still_overwrites_nothing_unread(
    editor: httpx.AsyncClient,
) -> None:
    """`If-Match: *` means the policy as it is when the request is handled; a patch is made from exactly that."""
    patches = [
        editor.patch(
            REGISTRY,
            json={"circuit_breaker": {name: 7}},
            headers=ANY | {"content-type": "application/merge-patch+json"},
        )
        for name in ("connections", "requests", "pending_requests")
    ]
    answers = await asyncio.gather(*patches)
    kept = (await editor.get(REGISTRY)).json()["circuit_breaker"]
    assert len(kept) == [answer.status_code for answer in answers].count(200) >= 1
