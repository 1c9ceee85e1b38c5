"""Followers are told everything once and in order, wherever it was committed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from stores import PATIENCE_S, Following, commit, delete, member, put, served, service
from test_store_crashes import Writers

from conformance.model.errors import UsageError
from conformance.model.policies import Kind, MemberPolicy, MeshPolicy, PolicyChange
from conformance.model.policy import ServicePolicy
from conformance.policy.store import Write
from conformance.policy.store.kept import KeptStore

Open = Callable[[str], Awaitable[KeptStore]]


def callers(change: PolicyChange) -> dict[str, list[str]]:
    return {
        policy.service: [rule.caller for rule in policy.access]
        for policy in change.put
        if isinstance(policy, ServicePolicy)
    }


async def test_who_knows_nothing_is_told_everything_first(store: KeptStore) -> None:
    await commit(store, member("office"), served("births"), served("deaths"))
    await commit(store, delete("deaths"))
    assert await Following(store).next_in_short() == (2, ["office", "births"], [])


async def test_followers_of_an_empty_store_wait_for_the_first_commit(store: KeptStore, other: KeptStore) -> None:
    followers = [Following(store), Following(other)]
    news = [asyncio.create_task(follower.next_in_short()) for follower in followers]
    await commit(store, member("office"))
    assert await asyncio.gather(*news) == [(1, ["office"], [])] * 2


async def test_each_commit_is_told_to_followers_in_this_process_and_in_others(
    store: KeptStore, other: KeptStore
) -> None:
    await commit(store, member("office"))
    here, there = Following(store), Following(other)
    assert await here.next_in_short() == await there.next_in_short() == (1, ["office"], [])
    for number in range(2, 6):
        writer = (store, other)[number % 2]
        assert await commit(writer, served("births", code=f"code{number}")) == number
        assert await here.next_in_short() == await there.next_in_short() == (number, ["births"], [])
    await commit(other, delete("births"))
    assert await here.next_in_short() == await there.next_in_short() == (6, [], ["births"])


async def test_several_versions_may_come_as_one_change_with_the_last_word_on_each(store: KeptStore) -> None:
    await commit(store, member("office"), served("births", code="one"), served("deaths"))
    follower = Following(store)
    await follower.next()
    await commit(store, served("births", code="two"))
    await commit(store, served("births", code="three"), served("marriages"))
    await commit(store, delete("deaths"), delete("marriages"))
    change = await follower.next()
    assert (change.version, change.deleted) == (4, (service("deaths"),))
    assert [policy.code for policy in change.put if isinstance(policy, ServicePolicy)] == ["three"]


async def test_who_comes_back_is_told_what_happened_since(store: KeptStore, url: str, opened: Open) -> None:
    await commit(store, member("office"), served("births"), served("deaths"))
    await commit(store, served("marriages"))
    await commit(store, delete("deaths"), served("births", code="new"))
    assert await Following(store, 1).next_in_short() == (3, ["births", "marriages"], ["deaths"])
    assert await Following(await opened(url), 2).next_in_short() == (3, ["births"], ["deaths"])
    latest = Following(store, 3)
    news = asyncio.create_task(latest.next_in_short())
    await commit(store, delete("marriages"))
    assert await news == (4, [], ["marriages"])


async def test_who_knows_more_than_the_store_is_told_so(store: KeptStore) -> None:
    await commit(store, member("office"))
    with pytest.raises(UsageError, match="there is no version 2; the newest is 1") as refused:
        await Following(store, 2).next()
    assert "backup" in refused.value.next_step


async def test_policies_come_with_their_kind_and_with_every_caller_resolved(store: KeptStore) -> None:
    foreign = "spiffe://partner.example/desk"
    await commit(
        store,
        served("births", "office", foreign, "unknown"),
        member("office"),
        Write((Kind.MESH, "mesh"), {"kind": "mesh", "instance": "TEST"}),
    )
    change = await Following(store).next()
    assert [type(policy) for policy in change.put] == [MeshPolicy, MemberPolicy, ServicePolicy]
    assert callers(change) == {"births": ["spiffe://mesh.test/security-server/office", foreign]}
    assert (await store.document(service("births"))).document["access"][0] == {"caller": "office"}


async def test_a_service_is_told_again_when_the_identity_of_a_member_changes_that_it_names(
    store: KeptStore, url: str, opened: Open
) -> None:
    await commit(store, member("office"), member("clerk"), served("births", "office"), served("deaths", "clerk"))
    follower = Following(store)
    await follower.next()
    await commit(store, member("office", domain="new.test"))
    change = await follower.next()
    assert callers(change) == {"births": ["spiffe://new.test/security-server/office"]}
    # Whoever comes later, with another memory, is told the same.
    assert await Following(await opened(url), 1).next() == change
    await commit(store, Write((Kind.MEMBER, "office"), None))
    change = await follower.next()
    assert (callers(change), change.deleted) == ({"births": []}, ((Kind.MEMBER, "office"),))
    await commit(store, member("office"))
    assert callers(await follower.next()) == {"births": ["spiffe://mesh.test/security-server/office"]}


async def test_a_member_that_changes_without_its_identity_is_told_alone(store: KeptStore) -> None:
    await commit(store, member("office"), served("births", "office"))
    follower = Following(store)
    await follower.next()
    office = member("office")
    await commit(store, Write(office.key, {**(office.document or {}), "calls": ["births"]}))
    assert await follower.next_in_short() == (2, ["office"], [])


async def test_a_document_that_cannot_be_read_is_left_out_and_logged(
    store: KeptStore, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(store, put("births", 1), member("office"))
    assert await Following(store).next_in_short() == (1, ["office"], [])
    assert "service births cannot be read" in caplog.text


async def test_commits_of_another_process_arrive_while_it_writes(store: KeptStore, url: str) -> None:
    writers = Writers(url)
    writers.start("writer")
    try:
        versions = []
        follower = Following(store)
        while len(versions) < 20:
            versions.append((await follower.next()).version)
    finally:
        writers.kill("writer")
        writers.end()
    assert versions == sorted(set(versions))


async def test_the_news_of_a_writer_who_died_before_telling_it_arrives_all_the_same(file: Path, opened: Open) -> None:
    store = await opened(str(file))
    follower = Following(store)
    await commit(store, member("office"))
    await follower.next()
    news = asyncio.create_task(follower.next_in_short())
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO versions VALUES (2, '', '', '', '')")
        connection.execute("INSERT INTO changes VALUES (2, 'member', 'office', NULL)")
    assert await news == (2, [], ["office"])


async def test_followers_end_when_the_store_is_closed(url: str, opened: Open) -> None:
    store = await opened(url)
    await commit(store, member("office"))

    async def all_of(changes: AsyncIterator[PolicyChange]) -> int:
        return len([change async for change in changes])

    followers = [asyncio.create_task(all_of(store.changes(0))) for _ in range(2)]
    await Following(store).next()
    await store.close()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*followers) == [1, 1]


async def test_who_stops_following_leaves_nothing_behind(store: KeptStore) -> None:
    await commit(store, member("office"))
    async with contextlib.aclosing(store.changes(0)) as changes:
        await anext(changes)
        assert len(store._followers._news) == 1
    assert not store._followers._news
