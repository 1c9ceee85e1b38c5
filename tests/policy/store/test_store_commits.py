"""Commits, conflicts and history, the same on every database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from stores import ANNA, agree, commit, delete, put, service, values

from conformance.model.errors import UsageError
from conformance.model.policies import Kind, PolicyKey
from conformance.policy.store import Author, Conflict, Document, Entry, Stored, Write
from conformance.policy.store.kept import KeptStore

Open = Callable[[str], Awaitable[KeptStore]]


async def test_a_new_store_is_empty(store: KeptStore) -> None:
    assert await store.version() == 0
    assert await store.documents() == {}
    assert await store.document(service("births")) is None
    assert await store.history() == []


async def test_versions_grow_by_one_with_each_commit(store: KeptStore) -> None:
    assert [await commit(store, put("births", number)) for number in range(3)] == [1, 2, 3]
    assert await store.version() == 3


async def test_a_commit_is_there_for_whoever_opens_the_store_later(url: str, opened: Open) -> None:
    await (first := await opened(url)).commit([put("births", 1)], author=ANNA, note="", judge=agree)
    await first.close()
    assert await values(await opened(url)) == {"births": 1}


async def test_everybody_sees_at_once_what_another_process_commits(store: KeptStore, other: KeptStore) -> None:
    for number in range(3):
        await commit(store, put("births", number))
        assert (await values(other))["births"] == number
        await commit(other, put("deaths", number))
        assert await values(store) == {"births": number, "deaths": number}
    assert await other.version() == await store.version() == 6


async def test_documents_come_back_as_they_were_written(store: KeptStore) -> None:
    document: dict[str, Any] = {
        "z": [1, 1.5, True, None, {"deep": "é \u2028 😀 % ? ' \" \\ \u0000"}],
        "a": {"": [], "kind": "anything"},
        "large": 2**63,
    }
    await store.commit([Write(service("births"), document)], author=ANNA, note="", judge=agree)
    stored = await store.document(service("births"))
    assert stored == Stored(document, 1)
    assert list(stored.document) == ["z", "a", "large"]


async def test_a_document_says_which_version_made_it_what_it_is(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1))
    await commit(store, put("births", 2))
    assert {key: stored.changed_in for key, stored in (await store.documents()).items()} == {
        service("births"): 2,
        service("deaths"): 1,
    }


async def test_documents_can_be_read_as_of_every_version(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1))
    await commit(store, put("births", 2))
    await commit(store, delete("deaths"))
    await commit(store, put("deaths", 4), put("births", 4))
    seen = [await values(store, version) for version in range(5)]
    assert seen == [
        {},
        {"births": 1, "deaths": 1},
        {"births": 2, "deaths": 1},
        {"births": 2},
        {"births": 4, "deaths": 4},
    ]
    assert await store.document(service("deaths"), 2) == Stored({"value": 1}, 1)
    assert await store.document(service("deaths"), 3) is None
    assert await store.document(service("deaths"), 0) is None


@pytest.mark.parametrize("version", [-1, 2])
async def test_a_version_that_does_not_exist_is_refused(store: KeptStore, version: int) -> None:
    await commit(store, put("births", 1))
    with pytest.raises(UsageError, match="there is no version"):
        await store.documents(version)
    with pytest.raises(UsageError, match="there is no version"):
        await store.document(service("births"), version)


@pytest.mark.parametrize(
    "writes",
    [
        [],
        [put("births", 1)],
        [Write(service("both"), {"b": {"y": 1, "x": 2}, "a": 1})],
        [delete("never-there")],
    ],
    ids=["nothing", "the same", "the same in another order", "deleted already"],
)
async def test_a_commit_that_changes_nothing_makes_no_version(store: KeptStore, writes: list[Write]) -> None:
    await commit(store, put("births", 1), Write(service("both"), {"a": 1, "b": {"x": 2, "y": 1}}))
    assert await commit(store, *writes) == 1
    assert await store.version() == 1


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]])
async def test_a_value_of_another_type_is_a_change(store: KeptStore, value: object) -> None:
    await commit(store, put("births", 1))
    assert await commit(store, put("births", value)) == 2


async def test_only_what_changes_stands_in_the_history_and_before_the_judge(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1))
    seen: list[Write] = []
    await store.commit(
        [put("births", 1), put("deaths", 2), delete("never-there")],
        author=ANNA,
        note="",
        judge=lambda documents, writes: seen.extend(writes),
    )
    assert seen == [put("deaths", 2)]
    assert list((await store.history(limit=1))[0].changes) == [service("deaths")]


async def test_the_judge_sees_all_documents_as_they_would_be(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1), put("marriages", 1))
    seen: dict[PolicyKey, Document] = {}
    await store.commit(
        [put("births", 2), delete("deaths"), put("adoptions", 2)],
        author=ANNA,
        note="",
        judge=lambda documents, writes: seen.update(documents),
    )
    assert {name: document["value"] for (_, name), document in seen.items()} == {
        "births": 2,
        "marriages": 1,
        "adoptions": 2,
    }


async def test_nothing_changes_if_the_judge_does_not_agree(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", 1))

    def refuse(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
        raise UsageError("no", next_step="something else")

    with pytest.raises(UsageError, match="no"):
        await store.commit([put("births", 2), put("deaths", 2)], author=ANNA, note="", judge=refuse)
    assert await values(store) == await values(other) == {"births": 1}
    assert await commit(store, put("births", 3)) == 2


async def test_whoever_expects_another_version_is_told_which_one_changed_what(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1), put("marriages", 1))
    await commit(store, put("births", 2))
    await commit(store, delete("deaths"))
    with pytest.raises(Conflict) as refused:
        await commit(
            store,
            put("births", 9, expected=1),
            delete("deaths", expected=1),
            put("marriages", 9, expected=0),
            put("adoptions", 9, expected=1),
            put("names", 9, expected=0),
        )
    assert refused.value.documents == {
        service("births"): 2,
        service("deaths"): 3,
        service("marriages"): 1,
        service("adoptions"): 0,
    }
    text = str(refused.value)
    assert "service births: changed in version 2; you expected version 1" in text
    assert "service deaths: deleted in version 3; you expected version 1" in text
    assert "service marriages: changed in version 1; you expected that it is not there" in text
    assert "service adoptions: never there; you expected version 1" in text
    assert await values(store) == {"births": 2, "marriages": 1}


async def test_who_expects_the_right_version_may_change(store: KeptStore) -> None:
    assert await commit(store, put("births", 1, expected=0)) == 1
    assert await commit(store, put("births", 2, expected=1)) == 2
    assert await commit(store, delete("births", expected=2)) == 3
    assert await commit(store, put("births", 4, expected=0)) == 4


async def test_of_many_who_expect_the_same_version_one_wins(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", -1))
    attempts = [commit([store, other][number % 2], put("births", number, expected=1)) for number in range(10)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(result for result in results if isinstance(result, int)) == [2]
    assert sum(isinstance(result, Conflict) for result in results) == 9


async def test_one_commit_says_once_what_a_document_shall_be(store: KeptStore) -> None:
    with pytest.raises(UsageError, match="twice"):
        await commit(store, put("births", 1), delete("births"))
    assert await store.version() == 0


@pytest.mark.parametrize("value", [float("nan"), datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, b"bytes"], ids=repr)
async def test_a_document_that_is_not_json_is_refused(store: KeptStore, value: object) -> None:
    with pytest.raises(UsageError, match="JSON") as refused:
        await commit(store, put("births", value))
    assert "service births" in str(refused.value)
    assert await store.version() == 0


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=ascii)
async def test_text_that_no_database_keeps_is_refused(store: KeptStore, text: str) -> None:
    for write, author, note in (
        (put(text, 1), ANNA, ""),
        (put("births", 1), Author(text, "operator"), ""),
        (put("births", 1), Author("anna", text), ""),
        (put("births", 1), ANNA, text),
    ):
        with pytest.raises(UsageError, match="cannot be kept"):
            await store.commit([write], author=author, note=note, judge=agree)
    assert await store.version() == 0


async def test_a_document_changed_by_its_author_afterwards_is_not_changed_in_the_store(store: KeptStore) -> None:
    document = {"value": [1]}
    await store.commit([Write(service("births"), document)], author=ANNA, note="", judge=agree)
    document["value"].append(2)
    assert await values(store) == {"births": [1]}


async def test_what_was_read_does_not_change_with_later_commits(store: KeptStore) -> None:
    await commit(store, put("births", 1))
    before = await store.documents()
    await commit(store, put("births", 2), put("deaths", 2))
    assert before == {service("births"): Stored({"value": 1}, 1)}


async def test_the_audit_log_tells_who_changed_what_when_and_why(store: KeptStore) -> None:
    begun = datetime.now(UTC)
    await commit(store, put("births", 1), put("deaths", 1), note="first — ä")
    ben = Author("spiffe://mesh.example/people/ben", "owner")
    await store.commit([put("births", 2), delete("deaths")], author=ben, note="second", judge=agree)
    second, first = await store.history()
    assert (first.version, first.author, first.note) == (1, ANNA, "first — ä")
    assert first.changes == {service("births"): (None, {"value": 1}), service("deaths"): (None, {"value": 1})}
    assert (second.version, second.author, second.note) == (2, ben, "second")
    assert second.changes == {service("births"): ({"value": 1}, {"value": 2}), service("deaths"): ({"value": 1}, None)}
    assert (datetime.fromisoformat(first.at) - begun).total_seconds() > -0.001
    assert first.at.endswith("+00:00")


async def test_the_audit_log_is_read_in_pages(store: KeptStore) -> None:
    for number in range(7):
        await commit(store, put("births", number))

    def versions(entries: list[Entry]) -> list[int]:
        return [entry.version for entry in entries]

    assert versions(await store.history(limit=3)) == [7, 6, 5]
    assert versions(await store.history(limit=3, before=5)) == [4, 3, 2]
    assert versions(await store.history(limit=3, before=2)) == [1]
    assert versions(await store.history(limit=3, before=1)) == []
    assert versions(await store.history(limit=0)) == []


async def test_the_audit_log_of_one_document_tells_only_of_it(store: KeptStore) -> None:
    await commit(store, put("births", 1), put("deaths", 1))
    await commit(store, put("deaths", 2))
    await commit(store, Write((Kind.MEMBER, "births"), {"value": 3}))
    await commit(store, delete("births"))
    entries = await store.history(key=service("births"))
    assert [(entry.version, entry.changes) for entry in entries] == [
        (4, {service("births"): ({"value": 1}, None)}),
        (1, {service("births"): (None, {"value": 1})}),
    ]
    assert [entry.version for entry in await store.history(key=service("births"), before=4, limit=1)] == [1]


async def test_a_clock_that_jumps_back_changes_nothing_but_what_is_written_down(url: str, opened: Open) -> None:
    store = await opened(url)
    times = iter([datetime(2030, 1, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
    store._clock = lambda: next(times)
    assert [await commit(store, put("births", number)) for number in range(3)] == [1, 2, 3]
    assert await values(store) == {"births": 2}
    assert [(entry.version, entry.at[:4]) for entry in await store.history()] == [(3, "2026"), (2, "1999"), (1, "2030")]
    assert await values(await opened(url)) == {"births": 2}


async def test_reading_and_the_event_loop_go_on_while_a_commit_is_judged(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", 1))
    judging, enough = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
        loop.call_soon_threadsafe(judging.set)
        assert enough.wait(60)

    first = asyncio.create_task(store.commit([put("births", 2)], author=ANNA, note="", judge=slow))
    await judging.wait()
    second = asyncio.create_task(commit(other, put("deaths", 3)))
    assert await values(store) == await values(other) == {"births": 1}
    assert not first.done()
    enough.set()
    assert [await first, await second] == [2, 3]


async def test_a_commit_whose_author_gave_up_is_whole_or_not_there(store: KeptStore) -> None:
    judging = threading.Event()
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def slow(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert judging.wait(60)

    task = asyncio.create_task(store.commit([put("a", 1), put("b", 1)], author=ANNA, note="", judge=slow))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    judging.set()
    # The next one waits for it.
    assert await commit(store, put("c", 2)) == 2
    assert await values(store) == {"a": 1, "b": 1, "c": 2}


async def test_what_is_acknowledged_is_on_the_disk(url: str, opened: Open, request: pytest.FixtureRequest) -> None:
    if url.startswith("postgresql:"):
        server, name = request.getfixturevalue("postgres"), url.rpartition("/")[2]
        server.ask(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    store = await opened(url)
    with store._database.writing() as session:
        if url.startswith("postgresql:"):
            assert session.rows("SHOW synchronous_commit") == [("on",)]
        else:
            assert session.rows("PRAGMA journal_mode") == [("wal",)]
            assert session.rows("PRAGMA synchronous") == [(2,)]
