"""What a store needs of a database: the one seam between SQLite and PostgreSQL, and the tables that both have.

Invariants: `versions` and `changes` are only ever added to, and versions grow by one; each database refuses anything
else by triggers of its own. What a document was before is never stored twice: it is what the change before made it.
Statements are the same for all databases, with `?` where a value goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["SCHEMA_VERSION", "TABLES", "Database", "Row", "Session"]

Row = tuple[Any, ...]

SCHEMA_VERSION = 1
"""Raised with every change of the tables; a store of another one is refused."""

TABLES = (
    """CREATE TABLE versions (
        version INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        identity TEXT NOT NULL,
        role TEXT NOT NULL,
        note TEXT NOT NULL
    )""",
    """CREATE TABLE changes (
        version INTEGER NOT NULL REFERENCES versions,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        document TEXT,
        PRIMARY KEY (kind, name, version)
    )""",
    "CREATE INDEX changes_by_version ON changes (version)",
    """CREATE TABLE reports (
        proxy TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        since TEXT NOT NULL,
        reason TEXT NOT NULL,
        control_plane TEXT NOT NULL,
        PRIMARY KEY (proxy, version)
    )""",
    "CREATE INDEX reports_by_version ON reports (version)",
)


class Session(Protocol):
    """A transaction under way."""

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Ask."""
        ...

    def run(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Do the same with each row of values."""
        ...

    def announce(self) -> None:
        """Once this is committed, wake whoever follows in other processes."""
        ...


class Database(Protocol):
    """A database that keeps one store. All but `watch` blocks, so it is called in threads: one reads, one writes.

    Whatever fails is raised as one of `model.errors`, and leaves nothing behind.
    """

    where: str
    """The store's name in messages: no password in it."""

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction that only reads, and never waits for one that writes."""
        ...

    def writing(self) -> AbstractContextManager[Session]:
        """A transaction, alone among all that write; committed for good at its end, undone if that is an error."""
        ...

    async def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever another process may have committed, until cancelled."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
