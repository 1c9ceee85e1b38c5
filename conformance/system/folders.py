"""Private folders of a run, what is kept from run to run, and where the suite's own data files are."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from conformance.system.guard import Guard

__all__ = ["PrivateFolder", "bundled", "cache_folder"]

PACKAGE = Path(__file__).resolve().parent.parent


def bundled(relative: str) -> Path:
    """Where `specs/...`, `fixtures/...` or `reports/schemas/...` is: inside the wheel, else in the checkout."""
    in_wheel = PACKAGE / "_bundled"
    return (in_wheel if in_wheel.is_dir() else PACKAGE.parent) / relative


def cache_folder(name: str) -> Path:
    """Where `name` is kept from run to run: in the user's cache folder (XDG Base Directory). It may not exist yet."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".cache"
    return base / "meshmark" / name


class PrivateFolder:
    """A folder with mode 0700 that is gone after the run, whatever happens to the runner.

    The path is short: it holds unix sockets, whose paths must stay below 108 bytes.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.path = Path(tempfile.mkdtemp(prefix="meshmark-"))
        guard.protect("folder", self.path)

    def remove(self) -> None:
        """Delete the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        # A thread that was not waited for may have made a file in it meanwhile. Then the guard deletes it, at its end.
        if not self.path.exists():
            self._guard.release("folder", self.path)
