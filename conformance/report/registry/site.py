"""A folder that is written as a whole: it holds the old site or the new one, never half of either.

    SITE/.meshmark-registry.json   every file that was made, with its digest and that of what it was made of; what was
                                   found in each bundle
    SITE/...                       the files

Invariants: a file that meshmark did not make is never deleted or replaced: a folder that holds one is refused. The new
site grows beside the old one, takes over what is the same, and then changes places with it: in one step where the file
system knows how, as the usual local ones of Linux do, else in two. What was made of the same is not made again, but is
looked at: a file that somebody changed is made anew.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from conformance.model.errors import EnvironmentFault, UsageError

__all__ = ["STATE_FILE", "Maker", "Output", "State", "beside", "read_state", "write_site"]

STATE_FILE = ".meshmark-registry.json"
STATE_SCHEMA = "meshmark/registry-state/1"
MARK = ".meshmark-registry-unfinished"
RENAME_EXCHANGE, HERE = 2, -100
"""`renameat2`: change places; `AT_FDCWD`."""
ELSEWHERE = "name another folder with --out, or make this one and the folder above it writable"


@dataclass(frozen=True)
class Output:
    """A file of the site.

    Attributes:
        path: below the site.
        key: a digest of all that it is made of.
        make: makes it.
        apart: it takes long, and another process can do it: `make` can be pickled.

    """

    path: str
    key: str
    make: Callable[[], bytes]
    apart: bool = False


@dataclass(frozen=True)
class State:
    """What is known of the site that was there."""

    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By path: `key` and `sha256`."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the builder wants to find again."""


def files_below(folder: Path, suffix: str, site: Path) -> Iterator[Path]:
    """The files below a folder whose names end so, in order; the site is left out, and links to folders are."""
    built = site.resolve()
    for where, folders, names in os.walk(folder):
        place = Path(where)
        folders[:] = sorted(name for name in folders if (place / name).resolve() not in (built, beside(built)))
        yield from (place / name for name in sorted(names) if name.endswith(suffix))


def read_state(site: Path) -> State:
    """The state of a site that is there; an empty one where nothing is.

    Raises:
        UsageError: the folder holds what meshmark did not make.

    """
    if not site.exists():
        return State()
    if not site.is_dir():
        raise UsageError("is no folder", where=str(site), next_step="name another folder with --out")
    state = _parsed(site / STATE_FILE)
    for path in _files(site):
        if path not in state.files and path != STATE_FILE:
            raise UsageError(
                f"holds {path[:200]!r}, which meshmark did not make",
                where=str(site),
                next_step="name an empty folder, or take away what is not of the site; nothing was changed",
            )
    return state


def _parsed(file: Path) -> State:
    try:
        values = json.loads(file.read_bytes())
        if values["schema"] == STATE_SCHEMA:
            files = {path: {"key": each["key"], "sha256": each["sha256"]} for path, each in values["files"].items()}
            if all(os.path.normpath(path) == path and not path.startswith(("/", "..")) for path in files):
                return State(files, dict(values["kept"]))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UsageError(
        "cannot be read, so nobody knows what of this folder meshmark made",
        where=str(file),
        next_step="name an empty folder; or, if all of this one may go, delete it yourself",
    )


Maker: TypeAlias = Callable[[Sequence[Output]], Iterable[tuple[Output, bytes]]]
"""Makes files, in any order."""


def write_site(
    site: Path, outputs: Iterable[Output], kept: Mapping[str, Any], state: State, make_all: Maker
) -> tuple[int, int]:
    """Write the site.

    Args:
        site: its folder; a link to a folder is followed.
        outputs: all of its files.
        kept: what `read_state` gives back the next time.
        state: as `read_state` gave it.
        make_all: makes those that are not there yet.

    Returns: how many files there are, and how many of them were made anew.

    Raises:
        EnvironmentFault: it cannot be written, or another build is at work. The old site stays.

    """
    site = site.resolve()
    files, wanted = {}, []
    try:
        with _growing(site) as fresh:
            for each in sorted(outputs, key=lambda output: output.path):
                digest = _taken_over(each, site, fresh, state)
                if digest is None:
                    wanted.append(each)
                else:
                    files[each.path] = {"key": each.key, "sha256": digest}
            for each, content in make_all(wanted):
                _write(fresh / each.path, content)
                files[each.path] = {"key": each.key, "sha256": hashlib.sha256(content).hexdigest()}
            values = {"schema": STATE_SCHEMA, "files": files, "kept": kept}
            _write(fresh / STATE_FILE, json.dumps(values, sort_keys=True, ensure_ascii=True).encode() + b"\n")
            if wanted or files.keys() != state.files.keys() or not _same(fresh / STATE_FILE, site / STATE_FILE):
                (fresh / MARK).unlink()
                _change_places(fresh, site)
    except OSError as error:
        raise EnvironmentFault(
            f"the site cannot be written: {error.strerror}", where=str(site), next_step=ELSEWHERE
        ) from error
    return len(files), len(wanted)


def _taken_over(output: Output, site: Path, fresh: Path, state: State) -> str | None:
    """The digest of the old file, if it is what would be made again; then the new site has it, too."""
    known, old = state.files.get(output.path), site / output.path
    if known is None or known["key"] != output.key or old.is_symlink() or not old.is_file():
        return None
    with old.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != known["sha256"]:
            return None
    new = fresh / output.path
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.hardlink_to(old)
    except OSError:  # a file system without links, or too many of them
        shutil.copy2(old, new)
    return known["sha256"]


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def beside(site: Path) -> Path:
    """Where a new site grows until it is whole."""
    return site.with_name(f".{site.name}.unfinished")


@contextmanager
def _growing(site: Path) -> Iterator[Path]:
    """A folder beside the site for the new one, held by this build alone; unless it became the site, it goes."""
    fresh = beside(site)
    site.parent.mkdir(parents=True, exist_ok=True)
    fresh.mkdir(exist_ok=True)
    held = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EnvironmentFault(
                "another build writes this site", where=str(site), next_step="wait for its end, then build again"
            ) from error
        try:
            _empty(fresh)
            (fresh / MARK).touch()
            yield fresh
        finally:
            if (fresh / MARK).is_file():
                shutil.rmtree(fresh)
    finally:
        os.close(held)


def _empty(fresh: Path) -> None:
    """What an interrupted build left behind goes; what looks otherwise stays, and is in the way."""
    if (fresh / MARK).is_file():
        for each in fresh.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each.name != MARK:
                each.unlink()
    else:
        _remove_made(fresh)
        fresh.mkdir(exist_ok=True)


def _change_places(fresh: Path, site: Path) -> None:
    """The new site stands where the old one stood, and the old one is removed."""
    os.sync()
    if not site.exists():
        fresh.rename(site)
        return
    if not _exchanged(fresh, site):
        aside = site.with_name(f".{site.name}.before")
        site.rename(aside)
        try:
            fresh.rename(site)
        except OSError:
            aside.rename(site)
            raise
        aside.rename(fresh)
    _remove_made(fresh)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, on file systems that know how."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(HERE, os.fsencode(one), HERE, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code))


def _remove_made(folder: Path) -> None:
    """Remove what meshmark made, and the folder if that was all.

    Raises:
        EnvironmentFault: something else is there, and stays.

    """
    for path in [*_parsed(folder / STATE_FILE).files, STATE_FILE]:
        (folder / path).unlink(missing_ok=True)
    for where, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(where).rmdir()
    if folder.exists():
        raise EnvironmentFault(
            "holds what meshmark did not make, and is in the way of the next build",
            where=str(folder),
            next_step="move what you need out of this folder and delete it; the site itself is whole",
        )


def _files(folder: Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in [*names, *links]:
            yield (Path(where) / name).relative_to(folder).as_posix()
