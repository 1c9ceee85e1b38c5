"""Key files: a private key is its owner's alone, and no file of a key is ever written over.

Invariants: `NAME.pem` has mode 0600 from its first moment; a private key that others can read or change is refused.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.report.trust.keys import PublicKey, Signer, SigningKey, parse_public_key, parse_signing_key

if TYPE_CHECKING:
    from conformance.report.trust.token_keys import TokenKey

__all__ = ["PASSPHRASE", "read_signing_key", "read_trusted", "write_key", "write_token_key"]

PASSPHRASE = "MESHMARK_KEY_PASSPHRASE"  # noqa: S105 -- the name of the variable
"""The environment variable that holds the passphrase of a private key; without it keys are not encrypted."""
LARGEST_KEY = 64 * 1024
TOKEN = re.compile(rb"^token: ", re.MULTILINE)
"""What begins the line of a key file that names a token; PEM has no colon."""


def write_key(key: SigningKey, out: Path) -> tuple[Path, Path]:
    """Write `OUT.pem` and `OUT.pub.pem`.

    Returns: both paths.

    Raises:
        UsageError: one of them is there already. Nothing is written.
        EnvironmentFault: they cannot be written.

    """
    return _write_pair(out, key.to_pem(_passphrase()), key.public)


def write_token_key(key: TokenKey, out: Path) -> tuple[Path, Path]:
    """Write `OUT.pem`, which says where the key is, and `OUT.pub.pem`.

    Returns: both paths.

    Raises:
        UsageError: one of them is there already. Nothing is written.
        EnvironmentFault: they cannot be written.

    """
    return _write_pair(out, key.to_text(), key.public)


def _write_pair(out: Path, content: bytes, verifies: PublicKey) -> tuple[Path, Path]:
    private, public = out.with_name(f"{out.name}.pem"), out.with_name(f"{out.name}.pub.pem")
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise _taken(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _create(private, content, 0o600)
        _create(public, verifies.to_pem(), 0o644)
    except OSError as error:
        raise EnvironmentFault(
            f"a key cannot be written: {error.strerror}",
            where=str(private),
            next_step="name another place with --out, or make this one writable",
        ) from error
    return private, public


def read_signing_key(path: Path) -> Signer:
    """Read a private key, or where it is if it stays in a token.

    Raises:
        UsageError: it cannot be read, others could read it, or it is no key.

    """
    if str(path).startswith("pkcs11:"):
        raise UsageError(
            "is to be a file, and this is a PKCS#11 URI",
            where="--key",
            next_step="make a file of it, which also says whose the key is: `meshmark keys token URI --out NAME`",
        )
    content, mode = _read(path)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"is a private key that others can read or change (mode {stat.S_IMODE(mode):04o})",
            where=str(path),
            next_step=f"if nobody has: chmod 600 {path}; else make a new one, and withdraw this one",
        )
    if TOKEN.search(content):
        from conformance.report.trust.token_keys import parse_token_key  # noqa: PLC0415 -- needs an extra

        return parse_token_key(content, str(path))
    return parse_signing_key(content, str(path), _passphrase())


def read_trusted(paths: Iterable[Path]) -> dict[str, PublicKey]:
    """The public keys of files, and of all `*.pub.pem` in folders, by id.

    Raises:
        UsageError: one cannot be read, a folder holds none, or one key has two owners or roles.

    """
    trusted: dict[str, PublicKey] = {}
    for path in paths:
        files = sorted(path.glob("*.pub.pem")) if path.is_dir() else [path]
        if not files:
            raise UsageError("holds no *.pub.pem", where=str(path), next_step="name the public keys that you trust")
        for file in files:
            key = parse_public_key(_read(file)[0], str(file))
            known = trusted.setdefault(key.id, key)
            if (known.name, known.role) != (key.name, key.role):
                raise UsageError(
                    f"is the key of {known.name} ({known.role}) under another name or role",
                    where=str(file),
                    next_step="keep one file for each key",
                )
    return trusted


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE, "").encode() or None


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(LARGEST_KEY + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise UsageError(
            f"the key cannot be read: {error.strerror}", where=str(path), next_step="name the file of a key"
        ) from error
    if len(content) > LARGEST_KEY or not content:
        raise UsageError("is no file of a key", where=str(path), next_step="name the file of a key")
    return content, mode


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a new file as a whole, and never over another."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- with this mode from its first moment
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never takes the place of a file.
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise _taken(path) from None
    finally:
        unfinished.unlink()


def _taken(path: Path) -> UsageError:
    return UsageError(
        "is there already, and a key is never written over", where=str(path), next_step="choose another --out"
    )
