"""Keys on the disk: private ones are private, and none is ever lost."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from conformance.model.errors import UsageError
from conformance.model.requirements import Role
from conformance.report.trust.key_files import PASSPHRASE, read_signing_key, read_trusted, write_key
from conformance.report.trust.keys import KeyType, new_key, parse_public_key, parse_signing_key

KINDS: tuple[KeyType, ...] = ("ed25519", "p256")


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_written_and_read_and_other_programs_read_it(kind: KeyType, tmp_path: Path) -> None:
    key = new_key(kind, "Registre d'État", Role.LABORATORY)
    private, public = write_key(key, tmp_path / "folder" / "lab")
    assert (private.name, public.name) == ("lab.pem", "lab.pub.pem")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    read = read_signing_key(private)
    assert (read.name, read.role) == (key.name, key.role)
    (trusted,) = read_trusted([public]).values()
    assert (trusted.id, trusted.name, trusted.role) == (key.public.id, key.name, key.role)
    assert trusted.verifies(read.sign(b"content"), b"content")
    assert not trusted.verifies(read.sign(b"content"), b"contents")
    whole = load_pem_public_key(public.read_bytes())
    assert load_pem_private_key(private.read_bytes(), None).public_key() == whole
    der = whole.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert trusted.id == hashlib.sha256(der).hexdigest()


def test_a_key_is_never_written_over_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("lab.pem", "lab.pub.pem"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="never written over"):
            write_key(new_key("ed25519", "lab", Role.VENDOR), tmp_path / "lab")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}
        (tmp_path / name).unlink()
    (tmp_path / "lab.pem").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="never written over"):
        write_key(new_key("ed25519", "lab", Role.VENDOR), tmp_path / "lab")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_private_key_that_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    private, _ = write_key(new_key("ed25519", "lab", Role.VENDOR), tmp_path / "lab")
    private.chmod(mode)
    with pytest.raises(UsageError, match=f"others can read or change .mode {mode:04o}"):
        read_signing_key(private)


@pytest.mark.parametrize("kind", KINDS)
def test_a_passphrase_encrypts(kind: KeyType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    private, _ = write_key(new_key(kind, "lab", Role.VENDOR), tmp_path / "lab")
    assert b"ENCRYPTED" in private.read_bytes()
    assert read_signing_key(private).name == "lab"
    monkeypatch.setenv(PASSPHRASE, "battery staple")
    with pytest.raises(UsageError, match="no readable private key"):
        read_signing_key(private)
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(UsageError, match="is encrypted"):
        read_signing_key(private)


@pytest.mark.parametrize("name", ["", " ", " lab", "two\nlines", "turned \u202e", "\x00", "x" * 201])
def test_a_name_that_would_not_fit_on_a_line_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        new_key("ed25519", name, Role.VENDOR)


def test_what_is_no_key_is_refused() -> None:
    good = new_key("ed25519", "lab", Role.VENDOR)
    public, private = good.public.to_pem(), good.to_pem(None)
    for content in (b"", b"\xff", b"text", private, public[:-30], public.replace(b"role: vendor", b"role: king")):
        with pytest.raises(UsageError):
            parse_public_key(content, "key")
    for content in (b"", b"\xff", b"text", public, private[:-30], private.replace(b"name: lab\n", b"")):
        with pytest.raises(UsageError):
            parse_signing_key(content, "key", None)


def test_a_key_of_another_kind_is_refused() -> None:
    head = b"name: lab\nrole: vendor\n"
    others = [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)]
    for key in others:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(UsageError, match="neither an Ed25519 nor a P-256 key"):
            parse_signing_key(head + pem, "key", None)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(UsageError, match="neither an Ed25519 nor a P-256 key"):
            parse_public_key(head + public, "key")


def test_a_folder_of_keys_is_trusted_and_a_key_has_one_owner(tmp_path: Path) -> None:
    keys = [new_key(kind, f"the {kind}", Role.VENDOR) for kind in KINDS]
    for number, key in enumerate(keys):
        write_key(key, tmp_path / str(number))
    assert read_trusted([tmp_path]).keys() == {key.public.id for key in keys}
    twice = keys[0].public.to_pem().replace(b"vendor", b"governance")
    (tmp_path / "twice.pub.pem").write_bytes(twice)
    with pytest.raises(UsageError, match="under another name or role"):
        read_trusted([tmp_path])


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "large.pub.pem").write_bytes(bytes(100_000))
    for path, said in {
        "none": "cannot be read",
        "empty": r"holds no \*.pub.pem",
        "large.pub.pem": "no file of",
    }.items():
        with pytest.raises(UsageError, match=said):
            read_trusted([tmp_path / path])
    for path in ("none", "empty"):
        with pytest.raises(UsageError):
            read_signing_key(tmp_path / path)
