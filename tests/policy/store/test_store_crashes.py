"""Writers that are killed, and writers that compete: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from stores import PATIENCE_S, commit, put, values

from conformance.model.policies import PolicyKey
from conformance.policy.store import Document
from conformance.policy.store.kept import KeptStore

WRITER = Path(__file__).with_name("writer_process.py")
ROUNDS = 8
WRITERS = 3

Open = Callable[[str], Awaitable[KeptStore]]


def start_writer(url: str, name: str, times: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, WRITER, url, name, times], stdout=subprocess.PIPE, text=True)


def killed_after(process: subprocess.Popen[str], seconds: float) -> list[str]:
    """What it acknowledged before it was killed at this moment after its first commit."""
    assert process.stdout is not None
    first = process.stdout.readline()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    # The last line may be cut; then nobody has read it as an acknowledgement.
    lines = (first + process.stdout.read()).split("\n")[:-1]
    process.wait()
    process.stdout.close()
    return lines


async def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(url: str, opened: Open) -> None:
    # A store that stays open meanwhile must see the same as one that is opened afterwards.
    witness = await opened(url)
    chance = random.Random(20260101)  # noqa: S311 -- repeatable, not secret
    acknowledged: dict[int, str] = {}
    for turn in range(ROUNDS):
        writers = [start_writer(url, f"writer-{turn}-{number}", "forever") for number in range(WRITERS)]
        for writer in writers:
            for line in killed_after(writer, chance.uniform(0, 0.05)):
                version, note = line.split(" ", 1)
                assert int(version) not in acknowledged, "two commits were given the same version"
                acknowledged[int(version)] = note
        await check_consistency(witness, acknowledged)
    await check_consistency(await opened(url), acknowledged)
    assert len(acknowledged) >= ROUNDS * WRITERS
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def check_consistency(store: KeptStore, acknowledged: dict[int, str]) -> None:
    entries = (await store.history(limit=100_000))[::-1]
    assert [entry.version for entry in entries] == list(range(1, await store.version() + 1))
    assert acknowledged.items() <= {entry.version: entry.note for entry in entries}.items()
    state: dict[PolicyKey, Document] = {}
    for entry in entries:
        name, number = entry.note.split()
        assert sorted(entry.changes) == [("service", f"{name}-left"), ("service", f"{name}-right")]
        for key, (before, after) in entry.changes.items():
            assert state.get(key) == before
            assert after is not None
            assert after["value"].split(" ")[0] == number
            state[key] = after
    assert {key: stored.document for key, stored in (await store.documents()).items()} == state


async def test_processes_that_change_the_same_document_lose_no_change(url: str, opened: Open) -> None:
    store = await opened(url)
    await commit(store, put("counter", 0))
    writers = [start_writer(url, str(number), "15") for number in range(3)]
    for writer in writers:
        writer.communicate(timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert await values(store) == {"counter": 45}
    assert await store.version() == 46


async def test_processes_may_make_a_store_at_the_same_time(url: str, opened: Open) -> None:
    writers = [start_writer(url, str(number), "1") for number in range(4)]
    for writer in writers:
        writer.communicate(timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert await values(await opened(url)) == {"counter": 4}


@pytest.mark.parametrize("large", [3_000_000])
async def test_large_documents_are_kept(url: str, opened: Open, large: int) -> None:
    await commit(await opened(url), put("large", "x" * large))
    assert len((await values(await opened(url)))["large"]) == large
