"""Opens the store that a URL names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from conformance.model.errors import UsageError
from conformance.policy.store.database import Database
from conformance.policy.store.kept import KeptStore

__all__ = ["open_store"]


async def open_store(url: str, *, lasting: bool = True) -> KeptStore:
    """Open a store, and make it if it is not there yet.

    Args:
        url: `sqlite:PATH` or a path: a file, for processes of one machine; `postgresql://...`: a PostgreSQL database,
            for any number of machines (needs the extra `postgres`).
        lasting: False for a file that goes with the process; then no commit waits for the disk.

    Raises:
        UsageError: the URL names no store, or something that is not a store of this schema.
        EnvironmentFault: it cannot be opened.

    """
    return KeptStore(await asyncio.to_thread(_database, url, lasting))


def _database(url: str, lasting: bool) -> Database:
    scheme = urlsplit(url).scheme
    if scheme in {"postgresql", "postgres"}:
        try:
            from conformance.policy.store.postgres import PostgresDatabase  # noqa: PLC0415 -- an extra, and slow to import
        except ImportError as error:
            raise UsageError(
                "policies in PostgreSQL need a package that is not installed",
                where="postgresql://...",
                detail=str(error),
                next_step="pip install 'meshmark[postgres]'",
            ) from error
        return PostgresDatabase(url)
    path = url.removeprefix("sqlite:")
    if not path or (scheme not in {"", "sqlite"}):
        raise UsageError(
            "this names no store of policies",
            # Whatever it is, it may hold a password.
            where=f"{scheme}:..." if scheme else repr(url),
            next_step="name a file (a path, or sqlite:PATH), or a database (postgresql://USER@HOST/NAME)",
        )
    from conformance.policy.store.sqlite import SqliteDatabase  # noqa: PLC0415 -- not needed beside PostgreSQL

    return SqliteDatabase(Path(path).absolute(), lasting=lasting)
