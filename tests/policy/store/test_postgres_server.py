"""A store in PostgreSQL while its server goes away, comes back, or refuses; and that nothing ever shows a password."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_server import PASSWORD, PostgresServer
from relay import Relay
from stores import ANNA, Following, commit, member, put, served, values

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.policies import PolicyKey
from conformance.policy.store import Document
from conformance.policy.store.kept import KeptStore
from conformance.policy.store.opening import open_store

Open = Callable[[str], Awaitable[KeptStore]]


def assert_no_password(error: BaseException | None, text: str = "") -> None:
    while error is not None:
        text += str(error) + repr(error)
        error = error.__cause__ or error.__context__
    for part in (PASSWORD, "tide-and", "true@home", "true%40home"):
        assert part not in text


async def test_while_the_server_is_away_commits_fail_and_afterwards_everything_goes_on(
    database: str, postgres: PostgresServer, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store, other = await opened(database), await opened(database)
    await commit(store, member("office"))
    here, there = Following(store), Following(other)
    await here.next()
    await there.next()
    news = [asyncio.create_task(follower.next_in_short()) for follower in (here, there)]
    for end in (postgres.kill, postgres.stop):
        await asyncio.to_thread(end)
        try:
            for _ in range(2):
                with pytest.raises(EnvironmentFault, match="no connection") as refused:
                    await commit(store, served("lost"))
                assert_no_password(refused.value)
                with pytest.raises(EnvironmentFault, match="no connection"):
                    await store.documents()
        finally:
            await asyncio.to_thread(postgres.start)
        version = await commit(other, served("births", code=end.__name__))
        assert await asyncio.gather(*news) == [(version, ["births"], [])] * 2
        news = [asyncio.create_task(follower.next_in_short()) for follower in (here, there)]
        assert set(await store.documents()) == {("member", "office"), ("service", "births")}
    await commit(store, served("deaths"))
    assert await asyncio.gather(*news) == [(4, ["deaths"], [])] * 2
    assert_no_password(None, caplog.text)
    assert "127.0.0.1" in caplog.text


async def test_a_commit_finds_a_server_again_that_was_restarted_meanwhile(
    database: str, postgres: PostgresServer, opened: Open
) -> None:
    store = await opened(database)
    await commit(store, put("births", 1))
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)
    assert await commit(store, put("births", 2)) == 2
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)
    assert await values(store) == {"births": 2}


async def test_a_server_that_goes_away_during_a_commit_has_nothing_of_it(
    database: str, postgres: PostgresServer, opened: Open
) -> None:
    store = await opened(database)
    await commit(store, put("births", 1))

    def lose(documents: Mapping[PolicyKey, Document], writes: Sequence[object]) -> None:
        postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")

    with pytest.raises(EnvironmentFault, match="no connection"):
        await store.commit([put("births", 2), put("deaths", 2)], author=ANNA, note="", judge=lose)
    assert await values(store) == {"births": 1}
    assert await commit(store, put("births", 3)) == 2


async def test_a_commit_whose_acknowledgement_is_lost_says_so_and_can_be_repeated(
    database: str, postgres: PostgresServer, opened: Open
) -> None:
    async with Relay(postgres.port).serving() as relay:
        store = await opened(database.replace(f":{postgres.port}/", f":{relay.port}/"))
        await commit(store, put("births", 1))
        relay.cut_after = b"COMMIT\0"
        with pytest.raises(EnvironmentFault, match="whether the change was made is not known") as refused:
            await commit(store, put("births", 2))
        assert_no_password(refused.value)
        relay.cut_after = None
        assert await values(store) == {"births": 2}
        assert await commit(store, put("births", 2)) == 2
        assert [entry.version for entry in await store.history()] == [2, 1]
        await store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meshmark.versions SET note = 'another'",
        "DELETE FROM meshmark.versions",
        "TRUNCATE meshmark.versions CASCADE",
        "INSERT INTO meshmark.versions VALUES (3, '', '', '', 'a gap')",
        "UPDATE meshmark.changes SET document = NULL",
        "DELETE FROM meshmark.changes",
        "TRUNCATE meshmark.changes",
        "INSERT INTO meshmark.changes VALUES (0, 'service', 'births', '{}')",
    ],
)
async def test_the_database_itself_refuses_to_change_history(database: str, opened: Open, statement: str) -> None:
    store = await opened(database)
    await commit(store, put("births", 1))
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.RaiseException, match=r"history|grow"):
        connection.execute(statement)
    assert await values(store) == {"births": 1}


async def test_whatever_goes_wrong_no_password_is_shown(postgres: PostgresServer) -> None:
    away = Relay(0)
    async with away.serving():
        free = away.port
    named = f"postgresql://127.0.0.1:{postgres.port}"
    for url, what, where in (
        (postgres.url("nowhere"), "no connection", f"{named}/nowhere"),
        (postgres.url("postgres", password="tide-and-wrong"), "no connection", f"{named}/postgres"),
        (postgres.url("postgres").replace(str(postgres.port), str(free)), "no connection", f":{free}/postgres"),
        (
            f"postgresql://meshmark:{PASSWORD}@127.0.0.1:{postgres.port}/postgres",
            "cannot be understood",
            "postgresql://...",
        ),
        (f"postgresql://meshmark:1{PASSWORD}@127.0.0.1/x", "cannot be understood", "postgresql://..."),
        ("postgresql://meshmark:tide-and@true@home@127.0.0.1/x", "cannot be understood", "postgresql://..."),
        (f"postgresql://127.0.0.1:port/x?password={PASSWORD}", "cannot be understood", "postgresql://..."),
        (f"{named}/postgres?user=meshmark&passwort={PASSWORD}", "cannot be understood", "postgresql://..."),
        (f"{named}/nowhere?user=meshmark&password=tide-and%2Ftrue%40home", "no connection", f"{named}/nowhere"),
    ):
        with pytest.raises((EnvironmentFault, UsageError), match=what) as refused:
            await open_store(url)
        assert where in str(refused.value)
        assert refused.value.next_step
        assert_no_password(refused.value)


async def test_a_schema_that_is_no_store_and_one_of_another_meshmark_are_refused(
    database: str, postgres: PostgresServer
) -> None:
    ask = partial(postgres.ask, database=urlsplit(database).path[1:])
    ask("CREATE SCHEMA meshmark")
    with pytest.raises(UsageError, match="not a store of policies"):
        await open_store(database)
    ask("DROP SCHEMA meshmark")
    await (await open_store(database)).close()
    ask("UPDATE meshmark.schema_version SET version = 7")
    with pytest.raises(UsageError, match="this store has schema 7, and this meshmark reads schema 1"):
        await open_store(database)


async def test_commits_take_turns_whatever_isolation_the_database_has_by_default(
    database: str, postgres: PostgresServer, opened: Open
) -> None:
    postgres.ask(f"ALTER DATABASE {urlsplit(database).path[1:]} SET default_transaction_isolation TO serializable")
    stores = [await opened(database) for _ in range(4)]
    commits = [
        commit(store, put(f"service-{number}", turn)) for turn in range(5) for number, store in enumerate(stores)
    ]
    assert sorted(await asyncio.gather(*commits)) == list(range(1, 21))


async def test_without_the_extra_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "conformance.policy.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="not installed") as refused:
        await open_store("postgresql://anna:s3cret@host/db")
    assert "meshmark[postgres]" in refused.value.next_step
    assert "s3cret" not in str(refused.value)
