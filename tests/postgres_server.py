"""A real PostgreSQL server for tests: in a temporary folder, on loopback, under a user who is not root."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

PROGRAMS = "/usr/lib/postgresql"
PASSWORD = "tide-and/true@home"
PATIENCE_S = 60.0


def programs() -> Path | None:
    """Where the newest installed server is."""
    found = sorted(Path(PROGRAMS).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """A server that can go away and come back."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="mm-pg-"))
        # initdb refuses root, who may take on any user.
        self._user: dict[str, Any] = (
            {"user": "nobody", "group": "nogroup", "extra_groups": []} if not os.getuid() else {}
        )
        if self._user:
            shutil.chown(self.folder, "nobody", "nogroup")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "meshmark", "-A", "scram-sha-256",
                  "--pwfile", str(password), "--no-sync", "-E", "UTF8", "--locale", "C")  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments], check=True, cwd=self.folder, capture_output=True, **self._user
        )

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        written = password.replace("/", "%2F").replace("@", "%40")
        return f"postgresql://meshmark:{written}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1"],
                cwd=self.folder, stdout=log, stderr=log, **self._user)  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "the server does not come up"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """As if the machine lost its power: no session ends in order (`immediate` shutdown)."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """As an administrator stops it: sessions are ended."""
        self._end(signal.SIGINT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new database, which is gone afterwards."""
        name = f"store_{secrets.token_hex(4)}"
        self.ask(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    def ask(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)
