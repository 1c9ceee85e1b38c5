"""A store in a PostgreSQL database: for any number of machines, with several control planes and admin services.

Invariants: commits take turns by one advisory lock, so none ever has to be repeated because of another; a commit is on
the server's disk before it is acknowledged; connections that were lost are made again by whoever needs them next; no
message holds a password.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import LiteralString

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conformance.model.errors import EnvironmentFault, MeshmarkError, UsageError
from conformance.policy.store.database import SCHEMA_VERSION, TABLES, Row

__all__ = ["PostgresDatabase"]

LOCK = 0x6D6D7073
"""The advisory lock of whoever writes. Advisory locks belong to one database, and a store has one for itself."""
CHANNEL = "meshmark_policies"

CONNECT_S = 5
SILENCE_S = 10
"""A server that does not answer for so long is gone."""
BUSY_S = 30
"""How long a commit waits for others, and how long one may stand still before the server ends it."""
AGAIN_S = 0.2
"""Between two attempts of a follower to reach the server again."""

DEFAULTS = {
    "application_name": "meshmark",
    "connect_timeout": str(CONNECT_S),
    "keepalives_idle": str(SILENCE_S),
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": str(SILENCE_S * 1000),
}
"""For what the URL leaves open."""

SETTINGS = (
    "SET search_path TO meshmark",
    f"SET lock_timeout TO '{BUSY_S}s'",
    f"SET idle_in_transaction_session_timeout TO '{BUSY_S}s'",
    # Somebody who made the server faster in this way did not mean the acknowledgements of this store.
    """SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'""",
)

GUARDS = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''history is only ever added to''; END'""",
    """CREATE FUNCTION grow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN
        IF NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM meshmark.versions) THEN
            RAISE EXCEPTION ''versions grow by one'';
        END IF;
        RETURN NEW;
    END'""",
    """CREATE FUNCTION belong() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN
        IF NEW.version <> (SELECT max(version) FROM meshmark.versions) THEN
            RAISE EXCEPTION ''history is only ever added to'';
        END IF;
        RETURN NEW;
    END'""",
    *(
        f"""CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse()"""
        for table in ("versions", "changes")
    ),
    "CREATE TRIGGER versions_grow BEFORE INSERT ON versions FOR EACH ROW EXECUTE FUNCTION grow()",
    "CREATE TRIGGER changes_grow BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION belong()",
    "CREATE TABLE schema_version (version INTEGER NOT NULL)",
    f"INSERT INTO schema_version VALUES ({SCHEMA_VERSION})",  # noqa: S608 -- a constant
)

CONNECT = (
    "see that the server runs and can be reached, that there is such a database and that this user may use it; "
    "what was acknowledged is still there"
)

Connection = psycopg.Connection[Row]


class PostgresSession:
    """A transaction in PostgreSQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Ask."""
        return self._connection.execute(_in_words_of_psycopg(statement), values).fetchall()

    def run(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Do the same with each row of values."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_in_words_of_psycopg(statement), rows)

    def announce(self) -> None:
        """Once this is committed, wake whoever follows in other processes: the server does it then."""
        self.make(f"NOTIFY {CHANNEL}")

    def make(self, *statements: str) -> None:
        """Do these, which have no values."""
        for statement in statements:
            self._connection.execute(statement)


class PostgresDatabase:
    """The schema `meshmark` of a database; made if it is not there.

    Transactions run in the store's threads as SQLite's do: a commit that its author gave up waiting for is then still
    whole. Only news arrive on the event loop, by a connection of their own.
    """

    def __init__(self, url: str) -> None:
        self._conninfo, self.where, self._secrets = _understood(url)
        self._reader: Connection | None = None
        self._writer: Connection | None = None
        try:
            with self.writing() as session:
                self._prepare(session)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[PostgresSession]:
        """A transaction that only reads, and never waits for one that writes."""
        self._reader = self._begun(self._reader, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        with self._finished(self._reader):
            yield PostgresSession(self._reader)

    @contextmanager
    def writing(self) -> Iterator[PostgresSession]:
        """A transaction, alone among all that write; committed for good at its end, undone if that is an error."""
        # Each statement sees what was committed before it, so those after the lock see what the one before it wrote.
        self._writer = self._begun(
            self._writer, f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({LOCK})"
        )
        with self._finished(self._writer):
            yield PostgresSession(self._writer)

    async def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever another process has committed, until cancelled; after an interruption once, too."""
        said = False
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    said = False
                    # What happened before it listened is news, too.
                    wake()
                    async for _ in connection.notifies():
                        wake()
            except psycopg.Error as error:
                if not said:
                    logging.getLogger(__name__).warning("%s", self._fault(error))
                said = True
            await asyncio.sleep(AGAIN_S)

    def close(self) -> None:
        """Let go of the connections."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    def _begun(self, connection: Connection | None, begin: str) -> Connection:
        """A connection with a transaction begun, where nothing was done yet."""
        if connection is not None and not connection.closed:
            try:
                connection.execute(begin)
            except psycopg.OperationalError as error:
                # One that was lost since it was used last says so only now. Any other trouble is a trouble.
                if not connection.closed:
                    connection.close()
                    raise self._fault(error) from error
            else:
                return connection
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.Error as error:
            raise self._fault(error) from error
        try:
            for statement in (*SETTINGS, begin):
                connection.execute(statement)
        except psycopg.Error as error:
            connection.close()
            raise self._fault(error) from error
        return connection

    @contextmanager
    def _finished(self, connection: Connection) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            connection.close()
            raise self._fault(error) from error
        except BaseException:
            # What is not committed is gone even if this does not get through any more.
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            lost = connection.closed
            connection.close()
            if not lost:
                raise self._fault(error) from error
            raise EnvironmentFault(
                "the database was lost while it was committing; whether the change was made is not known",
                where=self.where,
                detail=self._scrubbed(error),
                next_step="repeat the change once the database is back: one that was made is not made twice",
            ) from error

    def _prepare(self, session: PostgresSession) -> None:
        if not session.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'meshmark'"):
            session.make("CREATE SCHEMA meshmark", *TABLES, *GUARDS)
        if not session.rows("SELECT 1 WHERE to_regclass('meshmark.schema_version') IS NOT NULL"):
            raise UsageError(
                "the database has a schema `meshmark` that is not a store of policies",
                where=self.where,
                next_step="name a database that is the store's own",
            )
        if (found := session.rows("SELECT version FROM schema_version")[0][0]) != SCHEMA_VERSION:
            raise UsageError(
                f"this store has schema {found}, and this meshmark reads schema {SCHEMA_VERSION}",
                where=self.where,
                next_step="use the version of meshmark that wrote it, export the policies there and apply them here",
            )

    def _fault(self, error: psycopg.Error) -> MeshmarkError:
        match error:
            case errors.InsufficientPrivilege():
                what, next_step = "this user may not do that", "let the user who made the store, or its owner, use it"
            case errors.LockNotAvailable():
                what = f"another process has been writing for {BUSY_S} s"
                next_step = "end the session that holds the advisory lock (pg_locks, pg_stat_activity), then try again"
            case errors.DiskFull():
                what, next_step = "the database's disk is full; nothing was written", "make room there, then try again"
            case errors.ReadOnlySqlTransaction():
                what, next_step = "the database does not take changes", "name the primary server, not a standby"
            case psycopg.OperationalError():
                what, next_step = "there is no connection to the database", CONNECT
            case _:
                what, next_step = "the store cannot be used", "see what the server's log says, then try again"
        return EnvironmentFault(what, where=self.where, detail=self._scrubbed(error), next_step=next_step)

    def _scrubbed(self, error: psycopg.Error) -> str:
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _understood(url: str) -> tuple[str, str, list[str]]:
    """What to connect to, what to call it in messages, and what must never stand in them."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        given = {}
    host, port, name = (str(given.get(key, "")) for key in ("host", "port", "dbname"))
    # With signs of URLs in it, a password is taken for other parts, which we would show; libpq's message shows it, too.
    if not given or "@" in host + name or "/" in name or not re.fullmatch(r"[0-9,]*", port):
        raise UsageError(
            "the address of the database cannot be understood",
            where="postgresql://...",
            next_step="write postgresql://USER:PASSWORD@HOST:PORT/NAME, with %40 for @ and %2F for / in a password",
        )
    secrets = [str(given[key]) for key in ("password", "sslpassword") if given.get(key)]
    settings = DEFAULTS | {name: str(value) for name, value in given.items()}
    return make_conninfo("", **settings), f"postgresql://{host}:{port}/{name}", secrets


def _in_words_of_psycopg(statement: str) -> LiteralString:
    # Statements are constants of this package, none with a percent sign, or a question mark that is no value's place.
    return statement.replace("?", "%s")
