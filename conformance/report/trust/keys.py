"""Keys: Ed25519 and ECDSA on P-256, and what stands beside them: whose they are, in which role.

A public key file is PEM with explanatory text before it (RFC 7468, section 2):

    name: National Test Laboratory
    role: laboratory
    -----BEGIN PUBLIC KEY-----

Name and role are believed because whoever verifies chose this file; a signature repeats them, and must agree.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from conformance.model.errors import UsageError
from conformance.model.requirements import Role
from conformance.report.text import visible

__all__ = [
    "LONGEST_NAME",
    "KeyType",
    "PublicKey",
    "Signer",
    "SigningKey",
    "checked_name",
    "new_key",
    "parse_public_key",
    "parse_signing_key",
]

KeyType = Literal["ed25519", "p256"]
LONGEST_NAME = 200
HEADER = re.compile(r"(name|role): (.*)")
PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\n?\Z")
PRIVATE = re.compile(r"-----BEGIN ((?:ENCRYPTED |EC )?PRIVATE KEY)-----\n[^-]+-----END \1-----\n?\Z")
MAKE_ONE = "make a pair of keys by `meshmark keys new --out NAME`"


@dataclass(frozen=True)
class PublicKey:
    """A public key, and whose it is.

    Attributes:
        key: what verifies.
        name: of its owner.
        role: in which its owner signs.

    """

    key: Ed25519PublicKey | ec.EllipticCurvePublicKey = field(repr=False)
    name: str
    role: Role

    @property
    def id(self) -> str:
        """SHA-256 of the DER SubjectPublicKeyInfo, in hexadecimal."""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether this key has signed the content."""
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, content)
            else:
                self.key.verify(signature, content, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def to_pem(self) -> bytes:
        """The file."""
        pem = self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return _header(self.name, self.role) + pem


class Signer(Protocol):
    """Whoever signs, with a key that lies in a file or in a token."""

    @property
    def name(self) -> str:
        """Of the key's owner."""

    @property
    def role(self) -> Role:
        """In which its owner signs."""

    @property
    def public(self) -> PublicKey:
        """The half of the key that verifies."""

    def sign(self, content: bytes) -> bytes:
        """A signature: 64 bytes for Ed25519, DER for P-256."""


@dataclass(frozen=True)
class SigningKey:
    """A private key, and whose it is."""

    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    name: str
    role: Role

    @property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey(self.key.public_key(), self.name, self.role)

    def sign(self, content: bytes) -> bytes:
        """A signature: 64 bytes for Ed25519, DER for P-256."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(content)
        return self.key.sign(content, ec.ECDSA(SHA256()))

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """The file, encrypted if there is a passphrase."""
        how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return _header(self.name, self.role) + self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def checked_name(name: str) -> None:
    """See that a signer can have this name.

    Raises:
        UsageError: it does not fit on a line.

    """
    if not name.strip() or len(name) > LONGEST_NAME or visible(name) != name or "\n" in name or name != name.strip():
        raise UsageError(
            "this cannot be the name of a signer",
            where="--name",
            next_step=f"use one line of at most {LONGEST_NAME} printable characters",
        )


def new_key(kind: KeyType, name: str, role: Role) -> SigningKey:
    """A new key.

    Raises:
        UsageError: the name does not fit on a line.

    """
    checked_name(name)
    key = Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return SigningKey(key, name, role)


def parse_public_key(content: bytes, where: str) -> PublicKey:
    """Read a public key file.

    Raises:
        UsageError: it is none, of another kind, or does not say whose it is.

    """
    text, name, role = _described(content, where, PUBLIC, "public")
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(where, "public") from error
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return PublicKey(key, name, role)
    raise UsageError("is neither an Ed25519 nor a P-256 key", where=where, next_step=MAKE_ONE)


def parse_signing_key(content: bytes, where: str, passphrase: bytes | None) -> SigningKey:
    """Read a private key file.

    Raises:
        UsageError: it is none, of another kind, does not say whose it is, or needs another passphrase.

    """
    text, name, role = _described(content, where, PRIVATE, "private")
    encrypted = b"ENCRYPTED" in text
    if encrypted and not passphrase:
        raise UsageError(
            "is encrypted", where=where, next_step="put its passphrase into the variable MESHMARK_KEY_PASSPHRASE"
        )
    try:
        key = load_pem_private_key(text, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = "see that MESHMARK_KEY_PASSPHRASE holds its passphrase" if encrypted else MAKE_ONE
        raise _unreadable(where, "private", hint) from error
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return SigningKey(key, name, role)
    raise UsageError("is neither an Ed25519 nor a P-256 key", where=where, next_step=MAKE_ONE)


def _header(name: str, role: Role) -> bytes:
    return f"name: {name}\nrole: {role.value}\n".encode()


def _described(content: bytes, where: str, pem: re.Pattern[str], kind: str) -> tuple[bytes, str, Role]:
    """The PEM block, and the name and role before it."""
    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _unreadable(where, kind) from error
    block = pem.search(text)
    if block is None:
        raise _unreadable(where, kind)
    said: dict[str, str] = {}
    for line in text[: block.start()].splitlines():
        if found := HEADER.fullmatch(line):
            said[found[1]] = found[2]
    name, role = said.get("name", ""), said.get("role", "")
    if role not in {each.value for each in Role} or not name or len(name) > LONGEST_NAME or visible(name) != name:
        raise UsageError(
            f"does not say whose {kind} key it is, and in which role",
            where=where,
            next_step=f"put lines before it: `name: NAME`, and `role: ` with one of {', '.join(Role)}",
        )
    return block.group().encode(), name, Role(role)


def _unreadable(where: str, kind: str, hint: str = MAKE_ONE) -> UsageError:
    return UsageError(f"is no readable {kind} key", where=where, next_step=hint)
