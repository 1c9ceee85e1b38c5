"""Writers that are killed, and writers that compete: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import asyncio
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
ROUNDS = 10
WRITERS = 3

Open = Callable[[str], Awaitable[KeptStore]]


class Writers:
    """Writing processes that can be killed."""

    def __init__(self, url: str) -> None:
        self._forking = subprocess.Popen(
            [sys.executable, WRITER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.acknowledged: dict[int, str] = {}

    def start(self, name: str) -> None:
        """Start one, and wait for its first commit."""
        self._order("start", name)
        while not self._read().startswith(f"{name} "):
            pass

    def kill(self, name: str) -> None:
        """Kill one, and read what it acknowledged until then."""
        self._order("kill", name)
        while self._read() != name:
            pass

    def end(self) -> None:
        """No further ones."""
        self._forking.communicate(timeout=PATIENCE_S)

    def _order(self, *words: str) -> None:
        assert self._forking.stdin is not None
        self._forking.stdin.write(" ".join(words) + "\n")
        self._forking.stdin.flush()

    def _read(self) -> str:
        assert self._forking.stdout is not None
        line = self._forking.stdout.readline()
        assert line, "the writers are gone"
        version, note = line.rstrip("\n").split(" ", 1)
        if version != "killed":
            assert int(version) not in self.acknowledged, "two commits were given the same version"
            self.acknowledged[int(version)] = note
        return note


async def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(url: str, opened: Open) -> None:
    # A store that stays open meanwhile must see the same as one that is opened afterwards.
    witness = await opened(url)
    chance = random.Random(20260101)  # noqa: S311 -- repeatable, not secret
    writers = Writers(url)
    try:
        for turn in range(ROUNDS):
            names = [f"writer-{turn}-{number}" for number in range(WRITERS)]
            for name in names:
                writers.start(name)
            for name in names:
                await asyncio.sleep(chance.uniform(0, 0.03))
                writers.kill(name)
            await check_consistency(witness, writers.acknowledged)
    finally:
        writers.end()
    await check_consistency(await opened(url), writers.acknowledged)
    assert len(writers.acknowledged) >= ROUNDS * WRITERS
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def check_consistency(store: KeptStore, acknowledged: dict[int, str]) -> None:
    # A server may still finish what a killed writer had sent, so everything is asked about one version.
    newest = await store.version()
    entries = (await store.history(before=newest + 1, limit=100_000))[::-1]
    assert [entry.version for entry in entries] == list(range(1, newest + 1))
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
    assert {key: stored.document for key, stored in (await store.documents(newest)).items()} == state


def start_counter(url: str, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, WRITER, url, str(times)])


async def test_processes_that_change_the_same_document_lose_no_change(url: str, opened: Open) -> None:
    store = await opened(url)
    await commit(store, put("counter", 0))
    writers = [start_counter(url, 15) for _ in range(3)]
    for writer in writers:
        writer.communicate(timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert await values(store) == {"counter": 45}
    assert await store.version() == 46


async def test_processes_may_make_a_store_at_the_same_time(url: str, opened: Open) -> None:
    writers = [start_counter(url, 1) for _ in range(4)]
    for writer in writers:
        writer.communicate(timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert await values(await opened(url)) == {"counter": 4}


@pytest.mark.parametrize("large", [3_000_000])
async def test_large_documents_are_kept(url: str, opened: Open, large: int) -> None:
    await commit(await opened(url), put("large", "x" * large))
    assert len((await values(await opened(url)))["large"]) == large
