"""The file of a store: whose it is, what is refused, and what happens when its disk is full."""

# ruff: noqa: ASYNC240 -- nothing else runs on these loops

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from stores import commit, put, values

from conformance.model.errors import EnvironmentFault, MeshmarkError, UsageError
from conformance.policy.store.kept import KeptStore
from conformance.policy.store.opening import open_store

Open = Callable[[str], Awaitable[KeptStore]]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refusal(url: object) -> MeshmarkError:
    with pytest.raises(MeshmarkError) as refused:
        await (await open_store(str(url))).close()
    assert refused.value.next_step
    return refused.value


async def test_a_store_and_all_its_files_are_their_owners_alone(file: Path, opened: Open) -> None:
    before = os.umask(0)
    try:
        await commit(await opened(str(file)), put("births", 1))
    finally:
        os.umask(before)
    files = sorted(file.parent.iterdir())
    assert [path.name for path in files] == ["policies.db", "policies.db-shm", "policies.db-wal"]
    assert {mode(path) for path in files} == {0o600}


async def test_a_store_that_is_closed_is_one_file(file: Path) -> None:
    store = await open_store(f"sqlite:{file}")
    await commit(store, put("births", 1))
    await store.close()
    assert list(file.parent.iterdir()) == [file]


async def test_a_path_with_signs_of_urls_names_that_file(tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "a b?mode=memory#%41 ü.db"
    await commit(await opened(f"sqlite:{file}"), put("births", 1))
    assert await values(await opened(str(file))) == {"births": 1}
    assert file.is_file()


@pytest.mark.parametrize("content", [b"x", b"kind: service\nname: births\n" * 400], ids=["short", "long"])
async def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    error = await refusal(file)
    assert isinstance(error, UsageError)
    assert str(file) in str(error)
    assert "not a store of policies" in str(error)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


async def test_another_programs_database_is_refused_and_left_as_it_is(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE versions (version INTEGER)")
    content = file.read_bytes()
    error = await refusal(file)
    assert isinstance(error, UsageError)
    assert f"{file}: this is not a store of policies" in str(error)
    assert file.read_bytes() == content


async def test_a_store_of_another_schema_is_refused_and_left_as_it_is(file: Path) -> None:
    await (await open_store(str(file))).close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    content = file.read_bytes()
    error = await refusal(file)
    assert isinstance(error, UsageError)
    assert f"{file}: this store has schema 7, and this meshmark reads schema 1" in str(error)
    assert "version of meshmark that wrote it" in error.next_step
    assert file.read_bytes() == content


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = await refusal(tmp_path / "nowhere" / "policies.db")
    assert isinstance(error, EnvironmentFault)
    assert "nowhere/policies.db: the store cannot be made: No such file or directory" in str(error)


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert isinstance(await refusal(tmp_path), EnvironmentFault)


@pytest.mark.parametrize("url", ["", "sqlite:", "mysql://anna:s3cret@host/db", "https://anna:s3cret@host/"])
async def test_what_names_no_store_is_refused_without_showing_a_password(url: str) -> None:
    error = await refusal(url)
    assert isinstance(error, UsageError)
    assert "names no store" in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET note = 'another'",
        "DELETE FROM versions",
        "INSERT OR REPLACE INTO versions VALUES (1, '', '', '', 'another')",
        "INSERT INTO versions VALUES (3, '', '', '', 'a gap')",
        "UPDATE changes SET document = NULL",
        "DELETE FROM changes",
        "INSERT OR REPLACE INTO changes VALUES (1, 'service', 'births', '{}')",
        "INSERT INTO changes VALUES (2, 'service', 'births', '{}')",
    ],
)
async def test_the_file_itself_refuses_to_change_history(file: Path, opened: Open, statement: str) -> None:
    store = await opened(str(file))
    await commit(store, put("births", 1))
    with contextlib.closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.IntegrityError) as no:
        connection.execute(statement)
    assert str(no.value) in {"history is only ever added to", "versions grow by one"}
    assert await values(store) == {"births": 1}


async def test_a_file_that_was_removed_in_use_takes_no_commit(file: Path, opened: Open) -> None:
    store = await opened(str(file))
    await commit(store, put("births", 1))
    file.unlink()
    with pytest.raises(EnvironmentFault, match="removed or replaced"):
        await commit(store, put("births", 2))
    assert not file.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds 1 MiB."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Nothing more fits on the disk until this file is gone."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    assert not os.statvfs(folder).f_bavail
    return filler


async def test_a_full_disk_takes_no_commit_and_loses_none(small_disk: Path, opened: Open) -> None:
    url = str(small_disk / "policies.db")
    store = await opened(url)
    await commit(store, put("births", 1))
    filler = fill(small_disk)
    for _ in range(2):
        with pytest.raises(EnvironmentFault, match=r"disk is full|cannot be read or written") as refused:
            await commit(store, put("births", "x" * 100_000), put("deaths", 2))
        assert "policies.db" in str(refused.value)
        assert await values(store) == {"births": 1}
        assert await store.version() == 1
    filler.unlink()
    assert await commit(store, put("births", 3)) == 2
    assert await values(await opened(url)) == {"births": 3}
    assert [entry.version for entry in await store.history()] == [2, 1]


async def test_commits_until_the_disk_is_full_are_all_kept(small_disk: Path, opened: Open) -> None:
    url = str(small_disk / "policies.db")
    store = await opened(url)
    done = 0

    async def commit_for_ever() -> None:
        nonlocal done
        while True:
            await commit(store, put(f"service-{done}", "x" * 10_000))
            done += 1

    with pytest.raises(EnvironmentFault):
        await commit_for_ever()
    assert 10 < done < 100
    for one in (store, await opened(url)):
        assert len(await values(one)) == await one.version() == len(await one.history()) == done
