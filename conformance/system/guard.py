"""Nothing outlives the run, not even when the runner is killed with SIGKILL.

A guard is one small helper process in a session of its own. The runner tells it, line by line, what it has made:
process groups, private folders, labels of containers. When the pipe between them closes without a farewell, the
runner is dead, and the guard ends and deletes whatever is left. A parent-death signal would reach direct children
only; grandchildren, containers and key material need someone who stays behind.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Literal
from uuid import uuid4

__all__ = ["Guard"]

Kind = Literal["group", "folder", "containers"]


class Guard:
    """The runner's side: say what exists (`protect`) and what is gone again (`release`)."""

    def __init__(self) -> None:
        self.label = f"meshmark.run={uuid4().hex[:12]}"
        """The label `key=value` of every container of this run."""
        # The containers of a run share one label: it is released with the last of them.
        self._counts: Counter[tuple[Kind, str]] = Counter()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guard_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._process.pid

    def protect(self, kind: Kind, what: str | int | Path) -> None:
        """Clean this up should the runner die: a process group id, a folder, a container label `key=value`."""
        self._counts[kind, str(what)] += 1
        if self._counts[kind, str(what)] == 1:
            self._say("protect", kind, what)

    def release(self, kind: Kind, what: str | int | Path) -> None:
        """It was cleaned up in the ordinary way. (A process group id may belong to somebody else by tomorrow.)"""
        self._counts[kind, str(what)] -= 1
        if self._counts[kind, str(what)] == 0:
            self._say("release", kind, what)

    def close(self) -> None:
        """Say farewell. Whatever is still protected is cleaned up before this returns."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()

    def _say(self, verb: str, kind: Kind, what: str | int | Path) -> None:
        assert self._process.stdin is not None  # noqa: S101 -- Popen was asked for a pipe
        try:
            self._process.stdin.write(f"{verb} {kind} {what}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # Somebody killed the guard. The ordinary clean-up still works; only the last resort is lost.
            return
