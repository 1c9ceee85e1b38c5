"""A store in one file, by SQLite: for one machine, with as many processes on it as one likes.

Invariants: a commit is on the disk before it is acknowledged (write-ahead log, `synchronous=FULL`), unless the store
goes with the process; the file is the owner's alone; a file that is not a store of this schema is refused, and never
written to.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from conformance.model.errors import EnvironmentFault, MeshmarkError, UsageError
from conformance.policy.store.database import SCHEMA_VERSION, TABLES, Row, Session
from conformance.policy.store.inotify import watch_touches

__all__ = ["SqliteDatabase"]

APPLICATION_ID = 0x6D6D7073
"""Marks a file as a store of policies, for file(1) and for us."""
BUSY_S = 30.0
"""How long a commit waits for those of other processes."""

# REPLACE deletes without asking triggers of deletion, so insertions are guarded, too.
TRIGGERS = (
    *(
        f"""CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table}
        BEGIN SELECT RAISE(ABORT, 'history is only ever added to'); END"""
        for table in ("versions", "changes")
        for event in ("UPDATE", "DELETE")
    ),
    """CREATE TRIGGER versions_grow BEFORE INSERT ON versions
    WHEN NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM versions)
    BEGIN SELECT RAISE(ABORT, 'versions grow by one'); END""",
    """CREATE TRIGGER changes_grow BEFORE INSERT ON changes
    WHEN NEW.version <> (SELECT max(version) FROM versions) OR EXISTS (
        SELECT 1 FROM changes WHERE kind = NEW.kind AND name = NEW.name AND version = NEW.version
    )
    BEGIN SELECT RAISE(ABORT, 'history is only ever added to'); END""",
)

CHECK_DISK = "look at the disk and its file system, then try again; what was acknowledged is still there"
FAULTS = {
    sqlite3.SQLITE_BUSY: (
        f"another process has been writing for {BUSY_S:.0f} s",
        "find out which program holds the file (fuser, lsof) and end it, then try again",
    ),
    sqlite3.SQLITE_FULL: ("the disk is full; nothing was written", "make room on that disk, then try again"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", CHECK_DISK),
    sqlite3.SQLITE_READONLY: ("the file cannot be written", "give the user of this process the right to write it"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "see that it is there and that its folder can be written"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "put a backup in its place; keep the damaged file for analysis"),
}
"""By SQLite's primary result code: what happened, and what to do."""


class SqliteSession:
    """A transaction in SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.announced = False

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Ask."""
        return self._connection.execute(statement, values).fetchall()

    def run(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Do the same with each row of values."""
        self._connection.executemany(statement, rows)

    def announce(self) -> None:
        """Once this is committed, wake whoever follows in other processes."""
        self.announced = True


class SqliteDatabase:
    """The file of a store; made if it is not there."""

    def __init__(self, path: Path, *, lasting: bool = True) -> None:
        """`lasting`: what is committed outlives the machine's sudden end."""
        self.where = str(path)
        self._path = path
        self._synchronous = "FULL" if lasting else "OFF"
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._make_file()
        with self._translated():
            self._reader = self._connect()
        self._file = _identity(path)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads, and never waits for one that writes."""
        with self._translated():
            if self._reader is None:
                self._reader = self._connect()
            try:
                with _transaction(self._reader, "BEGIN"):
                    yield SqliteSession(self._reader)
            except sqlite3.Error:
                self._reader.close()
                self._reader = None
                raise

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, alone among all that write; committed for good at its end, undone if that is an error."""
        with self._translated():
            if _identity(self._path) != self._file:
                raise EnvironmentFault(
                    "the file was removed or replaced while it was in use",
                    where=self.where,
                    next_step="restart whatever uses this store, with the right file in its place",
                )
            if self._writer is None:
                self._writer = self._connect()
            try:
                session = SqliteSession(self._writer)
                with _transaction(self._writer, "BEGIN IMMEDIATE"):
                    yield session
            except sqlite3.Error:
                # What state it is in after a full disk is SQLite's secret; a new one certainly works.
                self._writer.close()
                self._writer = None
                raise
        if session.announced:
            # It is committed whether or not others can be woken; they look by themselves, too.
            try:
                os.utime(self._path)
            except OSError as error:
                logging.getLogger(__name__).warning("%s: followers are told late: %s", self.where, error)

    async def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever another process may have committed, until cancelled.

        Who commits touches the file afterwards, and inotify tells everybody who watches it. Sockets or pipes beside
        the file would have to be found, could be left over, and would each need a writer that knows them; watching
        the log itself tells before the commit can be seen. A writer that dies between commit and touch tells nobody:
        therefore followers also look once in a while.
        """
        try:
            await watch_touches(self._path, wake)
        except OSError as error:
            logging.getLogger(__name__).warning("%s: commits of other processes are seen late: %s", self.where, error)

    def close(self) -> None:
        """Let go of the file."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    def _make_file(self) -> None:
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            pass
        except OSError as error:
            raise EnvironmentFault(
                f"the store cannot be made: {error.strerror}",
                where=self.where,
                next_step="name a file in a folder that is there and that you may write",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        # Never `rwc`: a store that somebody removed must not come back empty.
        uri = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with _alone_in(self._path.parent):
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # SQLite takes a file shorter than its header for an empty database.
        if self._path.stat().st_size and not _number(connection, "PRAGMA page_count"):
            raise self._no_store()
        if _number(connection, "SELECT count(*) FROM sqlite_schema") == 0:
            with _transaction(connection, "BEGIN IMMEDIATE"):
                for statement in (*TABLES, *TRIGGERS):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if _number(connection, "PRAGMA application_id") != APPLICATION_ID:
            raise self._no_store()
        if (found := _number(connection, "PRAGMA user_version")) != SCHEMA_VERSION:
            raise UsageError(
                f"this store has schema {found}, and this meshmark reads schema {SCHEMA_VERSION}",
                where=self.where,
                next_step="use the version of meshmark that wrote it, export the policies there and apply them here",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> MeshmarkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            return self._no_store()
        what, next_step = FAULTS.get(code, ("the store cannot be used", CHECK_DISK))
        return EnvironmentFault(what, where=self.where, detail=str(error), next_step=next_step)

    def _no_store(self) -> UsageError:
        return UsageError(
            "this is not a store of policies",
            where=self.where,
            next_step="name the file of a store, or one that is not there yet",
        )


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have undone it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Processes that open a new store at once take turns: SQLite does not wait when it changes to a write-ahead log.

    The lock is on the folder, because closing another descriptor of the file would end SQLite's own locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _number(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])
