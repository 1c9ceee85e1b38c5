"""Nothing outlives the run, not even when the runner is killed with SIGKILL.

A guard is one small helper process in a session of its own. The runner tells it, line by line, what it has made:
process groups, private folders, labels of containers, names of network namespaces. When the pipe between them closes,
the guard ends and deletes whatever is left. A parent-death signal would reach direct children only; grandchildren,
containers and key material need someone who stays behind. Every program of a run also has a marker in its environment:
by that the guard finds those that were being started when the runner died, and those that have left their group. Those
in a network namespace are found by that, whatever else they have left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

__all__ = ["Guard"]

Kind = Literal["group", "folder", "containers", "namespaces"]
MARKER = "MESHMARK_RUN"


class Guard:
    """The runner's side: say what exists (`protect`) and what is gone again (`release`)."""

    def __init__(self) -> None:
        self.run = uuid4().hex[:12]
        """Part of the name of everything of this run that has one."""
        self.label = f"meshmark.run={self.run}"
        """The label `key=value` of every container of this run."""
        self.marker: Mapping[str, str] = {MARKER: self.run}
        """The variable that must be in the environment of every program of this run."""
        # The containers of a run share one label: it is released with the last of them.
        self._counts: Counter[tuple[Kind, str]] = Counter()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guard_process.py")), f"{MARKER}={self.run}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            # Should this runner itself belong to a run: the guard is not to be ended with it, it has work to do then.
            env={name: value for name, value in os.environ.items() if name != MARKER},
        )

        assert self._process.stdin is not None  # noqa: S101 -- Popen was asked for a pipe
        self._pipe = self._process.stdin
        self._closed = False

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._process.pid

    def protect(self, kind: Kind, what: str | int | Path) -> None:
        """Clean this up should the runner die.

        A process group id, a folder, containers (`label engine-address`), network namespaces with all that runs in them
        (`prefix-of-their-names path-of-ip`).
        """
        self._counts[kind, str(what)] += 1
        if self._counts[kind, str(what)] == 1:
            self._say("protect", kind, what)

    def release(self, kind: Kind, what: str | int | Path) -> None:
        """It was cleaned up in the ordinary way. (A process group id may belong to somebody else by tomorrow.)"""
        self._counts[kind, str(what)] -= 1
        if self._counts[kind, str(what)] == 0 and not self._closed:
            self._say("release", kind, what)

    def close(self) -> None:
        """Say farewell. Whatever is still protected is cleaned up before this returns."""
        if not self._closed:
            self._closed = True
            self._say("farewell")
            # Closing writes what is left in the buffer, which fails once more if somebody killed the guard.
            with suppress(BrokenPipeError):
                self._pipe.close()
        self._process.wait()

    def _say(self, *words: str | int | Path) -> None:
        # If somebody killed the guard, the ordinary clean-up still works; only the last resort is lost.
        with suppress(BrokenPipeError):
            self._pipe.write(" ".join(map(str, words)) + "\n")
            self._pipe.flush()
