"""The store itself: all that does not depend on the database.

Invariants: what a commit is judged by, and what it is compared with, is read inside its own transaction, so writers of
several processes cannot overlook each other; the clock is written down and decides nothing; nothing here blocks the
event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.policies import PolicyChange, PolicyKey
from conformance.policy.store import Author, Conflict, Entry, Judge, ProxyReport, Stored, Write
from conformance.policy.store.database import Database, Session
from conformance.policy.store.following import Followers
from conformance.policy.store.history import document_at, entries
from conformance.policy.store.reports import ReportBook
from conformance.policy.store.resolving import Resolver
from conformance.policy.store.snapshot import EMPTY, Snapshot, from_text, newest, same, text_of

__all__ = ["KeptStore"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Prepared:
    """A write and its text; the document is the store's own copy."""

    write: Write
    text: str | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KeptStore:
    """A store on top of a database. Implements `conformance.policy.store.Store`; belongs to one event loop."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._clock = clock
        # A thread each, so that whoever reads never waits for a commit that waits for its turn.
        self._reader = ThreadPoolExecutor(1, "policies-read")
        self._writer = ThreadPoolExecutor(1, "policies-write")
        # Only ever replaced by another whole snapshot, so both threads may do that at any time.
        self._snapshot = EMPTY
        self._book = ReportBook()
        self._resolver = Resolver()
        self._followers = Followers(database)

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """Make all these changes, or none; gives the new version. One that changes nothing makes no version."""
        version = await self._in(self._writer, partial(self._commit, writes, author, note, judge))
        self._followers.wake()
        return version

    async def version(self) -> int:
        """The newest version; 0 for an empty store."""
        return await self._read(newest)

    async def documents(self, version: int | None = None) -> Mapping[PolicyKey, Stored]:
        """All documents as of a version, the newest by default."""
        return MappingProxyType((await self._read(partial(self._snapshot_at, version=version))).stored)

    async def document(self, key: PolicyKey, version: int | None = None) -> Stored | None:
        """One document as of a version, the newest by default."""
        if version is None:
            return (await self.documents()).get(key)

        def find(session: Session) -> Stored | None:
            self._check_version(session, version)
            return document_at(session, key, version)

        return await self._read(find)

    async def history(
        self, *, key: PolicyKey | None = None, before: int | None = None, limit: int = 100
    ) -> list[Entry]:
        """The audit log, newest first; only what happened to one document, or from before a version on."""
        return await self._read(partial(entries, key=key, before=before, limit=limit))

    async def report(self, reports: Sequence[ProxyReport]) -> None:
        """Note what became of versions, as far as it is not overtaken by what is known."""

        def write() -> None:
            with self._database.writing() as session:
                self._book.add(session, reports)

        await self._in(self._writer, write)

    async def reports(self, version: int) -> list[ProxyReport]:
        """What became of a version, for each security server that it concerns."""
        return await self._read(partial(self._book.about, version=version))

    async def latest_reports(self) -> list[ProxyReport]:
        """For each security server the report about the newest version that concerns it."""
        return await self._read(self._book.latest)

    async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        """Everything since version `after` as one change, then each further one as it happens, without end."""
        interrupted = False
        async with contextlib.aclosing(self._followers.occasions()) as occasions:
            async for _ in occasions:
                try:
                    change = await self._read(partial(self._news, after=after))
                except EnvironmentFault as fault:
                    if not interrupted:
                        logging.getLogger(__name__).warning("policies cannot be followed at the moment: %s", fault)
                    interrupted = True
                    continue
                interrupted = False
                if change is not None:
                    after = change.version
                    yield change

    async def close(self) -> None:
        """Let go of files and connections. Followers end."""
        await self._followers.close()

        def shut() -> None:
            self._reader.shutdown()
            self._writer.shutdown()
            self._database.close()

        await asyncio.to_thread(shut)

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    async def _read(self, ask: Callable[[Session], T]) -> T:
        def read() -> T:
            with self._database.reading() as session:
                return ask(session)

        return await self._in(self._reader, read)

    def _commit(self, writes: Sequence[Write], author: Author, note: str, judge: Judge) -> int:
        prepared = self._prepared(writes)
        for text in (author.identity, author.role, note):
            _check_text(text)
        with self._database.writing() as session:
            before = self._current(session)
            _refuse_conflicts(session, self._database.where, before, writes)
            wanted = [one for one in prepared if _differs(before, one.write)]
            if not wanted:
                return before.version
            version = before.version + 1
            after = before.with_changes(version, ((one.write.key, _stored(one.write, version)) for one in wanted))
            judge(after.documents, [one.write for one in wanted])
            session.run(
                "INSERT INTO versions (version, at, identity, role, note) VALUES (?, ?, ?, ?, ?)",
                [(version, self._clock().isoformat(timespec="milliseconds"), author.identity, author.role, note)],
            )
            session.run(
                "INSERT INTO changes (version, kind, name, document) VALUES (?, ?, ?, ?)",
                [(version, *one.write.key, one.text) for one in wanted],
            )
            session.announce()
        self._snapshot = after
        return version

    def _prepared(self, writes: Sequence[Write]) -> list[_Prepared]:
        if len({write.key for write in writes}) < len(writes):
            raise UsageError(
                "a document stands twice in one commit",
                where=self._database.where,
                next_step="say once what it shall be",
            )
        prepared = []
        for write in writes:
            _check_text(write.key[1])
            text = None if write.document is None else text_of(write.document, write.key)
            # Whoever wrote it may still change what he handed over.
            prepared.append(_Prepared(Write(write.key, from_text(text), write.expected), text))
        return prepared

    def _current(self, session: Session) -> Snapshot:
        # First the snapshot, then the question: so the answer is never older, unless the database was set back.
        snapshot = self._snapshot
        version = newest(session)
        if version < snapshot.version:
            snapshot = EMPTY
        self._snapshot = snapshot.at(version, session)
        return self._snapshot

    def _snapshot_at(self, session: Session, *, version: int | None) -> Snapshot:
        if version is None:
            return self._current(session)
        self._check_version(session, version)
        return EMPTY.at(version, session)

    def _check_version(self, session: Session, version: int) -> None:
        last = newest(session)
        if not 0 <= version <= last:
            raise UsageError(
                f"there is no version {version}; the newest is {last}",
                where=self._database.where,
                next_step="name a version of the history; if the store was set back to a backup, begin again at 0",
            )

    def _news(self, session: Session, *, after: int) -> PolicyChange | None:
        self._check_version(session, after)
        now = self._current(session)
        return self._resolver.change(session, after, now) if now.version > after else None


def _stored(write: Write, version: int) -> Stored | None:
    return None if write.document is None else Stored(write.document, version)


def _differs(before: Snapshot, write: Write) -> bool:
    there = before.stored.get(write.key)
    if there is None or write.document is None:
        return (there is None) != (write.document is None)
    return not same(there.document, write.document)


def _refuse_conflicts(session: Session, where: str, before: Snapshot, writes: Sequence[Write]) -> None:
    conflicts: dict[PolicyKey, int] = {}
    lines = []
    for write in writes:
        there = before.stored.get(write.key)
        if write.expected is None or write.expected == (there.changed_in if there else 0):
            continue
        kind, name = write.key
        last = session.rows("SELECT coalesce(max(version), 0) FROM changes WHERE kind = ? AND name = ?", kind, name)
        conflicts[write.key] = int(last[0][0])
        happened = "changed" if there else "deleted" if conflicts[write.key] else "never there"
        since = f"{happened} in version {conflicts[write.key]}" if conflicts[write.key] else happened
        expected = f"version {write.expected}" if write.expected else "that it is not there"
        lines.append(f"{kind} {name}: {since}; you expected {expected}")
    if conflicts:
        raise Conflict(conflicts, where=where, detail="\n".join(lines))


def _check_text(text: str) -> None:
    """No database keeps a null character or half a surrogate pair in a text column as it is."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(
            "a name, an author or a note holds characters that cannot be kept",
            where=repr(text),
            next_step="leave out null characters and surrogates",
        )
