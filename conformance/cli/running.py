"""Meshes that run on this machine: how `meshmark mesh up` says that one does, and how other commands find it.

Invariants: a name is taken once at a time, atomically; what stands here is private to its user (folders 0700, files
0600), and a file that others could have written is not believed; a mesh whose process is gone is never taken for one
that runs, even if its process id belongs to somebody else by now.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.system.guard import Guard

__all__ = ["DEFAULT_NAME", "RunningMesh", "claimed", "find_mesh"]

DEFAULT_NAME = "reference"
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
FILE = "mesh.json"
STALE = "its process is gone, so it was killed"


@dataclass(frozen=True)
class RunningMesh:
    """Where a mesh can be reached, and by what an operator proves itself.

    Attributes:
        name: by which several on one machine are told apart.
        pid, started: its process, and when that was started, in the kernel's clock ticks.
        url: the policy admin service; empty while the mesh is starting.
        page: the live page.
        authority, certificate: files for mutual TLS with the policy admin service; the latter holds the key, too.

    """

    name: str
    pid: int
    started: int
    url: str = ""
    page: str = ""
    authority: str = ""
    certificate: str = ""

    @property
    def alive(self) -> bool:
        """Whether its process still is the one that it was."""
        return _started(self.pid) == self.started


class _Claim:
    """The name of a mesh, taken by this process."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def announce(self, *, url: str, page: str, authority: Path, certificate: Path) -> None:
        """Everything serves: from now on other commands find it."""
        own = os.getpid()
        mesh = RunningMesh(self._name, own, _started(own) or 0, url, page, str(authority), str(certificate))
        written = self._folder / f"{FILE}.new"
        _write(written, mesh)
        written.replace(self._folder / FILE)


@contextmanager
def claimed(name: str, guard: Guard) -> Iterator[_Claim]:
    """Take a name for this process until the end of the block, or of the process.

    Raises:
        UsageError: another mesh of this name runs, or it cannot be a name.
        EnvironmentFault: there is no private folder for it.

    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a mesh",
            where="--name",
            next_step="use up to 32 lower-case letters, digits and hyphens, beginning with a letter",
        )
    base = _base()
    folder = base / name
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_shared(base)
        if (folder / FILE).exists() and not _read(folder).alive:
            shutil.rmtree(folder)
        prepared = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
        guard.protect("folder", prepared)
        _write(prepared / FILE, RunningMesh(name, os.getpid(), _started(os.getpid()) or 0))
        try:
            # Of a folder that is not empty nothing can take the place, so the first one has the name.
            prepared.rename(folder)
        except OSError:
            shutil.rmtree(prepared)
            raise UsageError(
                f"a mesh with the name {name} runs already",
                where=str(folder),
                next_step="use it, end it, or give this one another name by --name",
            ) from None
        finally:
            guard.release("folder", prepared)
        guard.protect("folder", folder)
    except OSError as problem:
        raise EnvironmentFault(
            f"it cannot be noted that a mesh runs: {problem.strerror or problem}",
            where=str(problem.filename or base),
            next_step="make the folder writable, or set XDG_RUNTIME_DIR to one that is",
        ) from problem
    try:
        yield _Claim(folder, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        guard.release("folder", folder)


def find_mesh(name: str | None) -> RunningMesh:
    """The mesh of this name, or the only one that runs.

    Raises:
        UsageError: several run and none is named.
        EnvironmentFault: none runs, or not this one; or what stands about it is not to be trusted.

    """
    base = _base()
    if base.is_dir():
        _refuse_shared(base)
    found = {folder.name: _read(folder) for folder in sorted(base.glob("[a-z]*")) if (folder / FILE).exists()}
    stale = [each for each, mesh in found.items() if not mesh.alive]
    running = {each: mesh for each, mesh in found.items() if mesh.alive}
    detail = "\n".join(f"{each}: {STALE}" for each in stale) or None
    if name is not None and name not in running:
        others = f", or name one that runs: {', '.join(running)}" if running else ""
        raise EnvironmentFault(
            f"no mesh with the name {name} runs",
            where=str(base),
            detail=detail,
            next_step=f"start it by `meshmark mesh up --name {name}`{others}",
        )
    if not running:
        raise EnvironmentFault(
            "no mesh runs", where=str(base), detail=detail, next_step="start one by `meshmark mesh up`"
        )
    if name is None and len(running) > 1:
        raise UsageError("several meshes run", where=str(base), next_step=f"say which by --mesh: {', '.join(running)}")
    mesh = running[name] if name else next(iter(running.values()))
    if not mesh.url:
        raise EnvironmentFault(
            f"the mesh {mesh.name} is still starting", next_step="wait until it has printed `ready`, then try again"
        )
    return mesh


def _base() -> Path:
    """The user's folder for what lives as long as a session, else for states (XDG Base Directory)."""
    for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        given = os.environ.get(variable, "")
        if given.startswith("/") and Path(given).is_dir():
            return Path(given) / "meshmark" / "meshes"
    return Path.home() / ".local" / "state" / "meshmark" / "meshes"


def _read(folder: Path) -> RunningMesh:
    file = folder / FILE
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as opened:  # noqa: PTH123 -- of the very file that was looked at
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _untrusted(file)
            return RunningMesh(**json.load(opened))
    except (OSError, ValueError, TypeError) as problem:
        raise EnvironmentFault(
            f"what stands about a mesh cannot be read: {problem}",
            where=str(file),
            next_step="delete this file, and start the mesh again",
        ) from problem


def _refuse_shared(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _untrusted(folder)


def _untrusted(path: Path) -> EnvironmentFault:
    return EnvironmentFault(
        "others than you can read or write this, so it is not believed",
        where=str(path),
        next_step="look who made it; then delete it, and start the mesh again",
    )


def _write(file: Path, mesh: RunningMesh) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123 -- with this mode from its first moment
        json.dump(asdict(mesh), opened)


def _started(pid: int) -> int | None:
    """When a process was started, in clock ticks since the machine's start; None: there is none (proc(5), stat)."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    # The program's name stands in parentheses and may hold anything.
    state, *rest = told.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])
