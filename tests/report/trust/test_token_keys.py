"""Keys that stay in a token: a real one (SoftHSM2) signs, and what is wrong with it is said in plain words."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute, ObjectClass

from conformance.cli.main import main
from conformance.model.errors import EnvironmentFault, MeshmarkError, UsageError
from conformance.model.requirements import Role
from conformance.report.trust.key_files import read_signing_key, read_trusted, write_key, write_token_key
from conformance.report.trust.keys import new_key
from conformance.report.trust.token_keys import TOKEN_PIN, TokenKey, find_token_key

from . import softhsm
from .makers import bundle_of, run_record
from .softhsm import KEEPER_PIN, PIN

Call = Callable[..., tuple[int, str, str]]
LABORATORY, SPARE = "laboratory", "spare"


@dataclass(frozen=True)
class Tokens:
    """The module, and the folder that its tokens lie in."""

    module: Path

    def uri(self, key: str, token: str = LABORATORY) -> str:
        return f"pkcs11:token={token};{key}?module-path={self.module}"

    def token(self, label: str = LABORATORY) -> pkcs11.Token:
        return pkcs11.lib(str(self.module)).get_token(token_label=label)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    """Two tokens; one has keys of three kinds, and two keys of one name."""
    module = softhsm.module()
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        for label in (LABORATORY, SPARE):
            subprocess.run(
                f"softhsm2-util --init-token --free --label {label} --pin {PIN} --so-pin {KEEPER_PIN}".split(),
                check=True,
                capture_output=True,
            )
        made = Tokens(module)
        for number, (label, kind) in enumerate(
            [("p256", "p256"), ("ed25519", "ed25519"), ("p384", "p384"), ("twice", "p256"), ("twice", "p256")], start=1
        ):
            softhsm.make_key(made.token(), kind, label, number)
        yield made
        pkcs11.unload(str(module))


@pytest.fixture(autouse=True)
def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_PIN, PIN)
    monkeypatch.delenv("MESHMARK_KEY_PASSPHRASE", raising=False)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return called


def found(tokens: Tokens, key: str = "object=p256") -> TokenKey:
    return find_token_key(tokens.uri(key), "The lab", Role.LABORATORY)


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_a_token_signs_what_a_trusted_key_file_verifies(kind: str, tokens: Tokens, tmp_path: Path) -> None:
    private, public = write_token_key(found(tokens, f"object={kind}"), tmp_path / "lab")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert PIN not in private.read_text()
    assert "token" not in public.read_text()
    key = read_signing_key(private)
    (trusted,) = read_trusted([public]).values()
    assert (key.name, key.role, key.public.id) == ("The lab", Role.LABORATORY, trusted.id)
    for content in (b"", b"content", b"x" * 1_000_000):
        assert trusted.verifies(key.sign(content), content)
        assert not trusted.verifies(key.sign(content), content + b"s")


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_everything_that_is_signed_can_be_signed_by_a_token(
    kind: str, tokens: Tokens, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "some.meshmark.zip").write_bytes(bundle_of(run_record().to_json()).to_bytes())
    uri = tokens.uri(f"object={kind};type=private")
    code, out, _ = call("keys", "token", uri, "--out", "keys/body", "--role", "governance", "--name", "The body")
    assert code == 0
    assert "says where the key is" in out
    assert call("report", "sign", "some.meshmark.zip", "--key", "keys/body.pem")[0] == 0
    code, out, _ = call("verify", "some.meshmark.zip", "--trust", "keys/body.pub.pem")
    assert code == 0
    assert "Signed by The body as governance" in out
    attest = ["attest", "some.meshmark.zip", "--as", "governance", "--key", "keys/body.pem", "--expires", "2090-01-01"]
    assert call(*attest, "--trust", "keys/body.pub.pem")[0] == 0
    revoke = ["revoke", "some.certificate.json", "--list", "status.json", "--key", "keys/body.pem"]
    assert call(*revoke)[0] == 0
    verify = ["verify", "some.certificate.json", "--trust", "keys/body.pub.pem", "--status", "status.json"]
    code, out, _ = call(*verify)
    assert code == 1
    assert "withdrawn" in out
    waiver = ["--check", "MTLS-001", "--subject", "*", "--reason", "r", "--owner", "o", "--expires", "2090-01-01"]
    assert call("waiver", "sign", *waiver, "--key", "keys/body.pem", "--out", "one.waiver.json")[0] == 0


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_a_key_that_wants_the_pin_each_time_gets_it(kind: str, tokens: Tokens) -> None:
    softhsm.make_key(tokens.token(), kind, f"careful-{kind}", 20, asks_each_time=True)
    key = found(tokens, f"object=careful-{kind}")
    for content in (b"one", b"two"):
        assert key.public.verifies(key.sign(content), content)


def test_a_key_is_found_by_its_id_and_by_all_that_is_said_of_the_token(tokens: Tokens) -> None:
    by_label = found(tokens)
    assert found(tokens, "id=%01").public.id == by_label.public.id
    token = tokens.token()
    model, manufacturer = quote(token.model), quote(token.manufacturer_id)
    said = f"serial={token.serial.decode().strip()};model={model};manufacturer={manufacturer}"
    assert found(tokens, f"{said};object=p256").public.id == by_label.public.id
    with pytest.raises(EnvironmentFault, match="no such token"):
        found(tokens, "serial=0000;object=p256")


def test_the_pin_comes_from_the_environment_or_the_terminal(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    key = found(tokens)
    monkeypatch.delenv(TOKEN_PIN)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="asks for a PIN") as caught:
        key.sign(b"content")
    assert TOKEN_PIN in caught.value.next_step
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or PIN)
    assert key.public.verifies(key.sign(b"content"), b"content")
    assert asked == ["PIN of the token laboratory: "]


@pytest.mark.parametrize("wrong", ["0000", "x" * 5_000, "\u202e"])
def test_a_wrong_pin_is_refused_and_never_shown(wrong: str, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_PIN, wrong)
    with pytest.raises(UsageError, match="refuses the PIN") as caught:
        found(tokens).sign(b"content")
    assert wrong not in str(caught.value).replace(TOKEN_PIN, "")


@pytest.mark.parametrize(
    ("key", "token", "words"),
    [
        ("object=nothing", "laboratory", "the token has no such public key"),
        ("object=twice", "laboratory", "the token has 2 such public keys"),
        ("object=p384", "laboratory", "is neither an Ed25519 nor a P-256 key"),
        ("object=p256", "spare", "the token has no such public key"),
        ("object=p256", "lost", "no such token is there"),
        ("object=p256", "lab%6fratory%00", "cannot be printed"),
    ],
)
def test_a_key_that_is_not_there_is_named(key: str, token: str, words: str, tokens: Tokens) -> None:
    with pytest.raises(MeshmarkError, match=words) as caught:
        find_token_key(tokens.uri(key, token), "The lab", Role.LABORATORY)
    assert caught.value.next_step


def test_another_key_in_its_place_is_noticed(tokens: Tokens, tmp_path: Path) -> None:
    softhsm.make_key(tokens.token(), "p256", "changing", 9)
    private, _ = write_token_key(found(tokens, "object=changing"), tmp_path / "lab")
    with tokens.token().open(rw=True, user_pin=PIN) as session:
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
            for each in list(session.get_objects({Attribute.LABEL: "changing", Attribute.CLASS: kind})):
                each.destroy()
    with pytest.raises(UsageError, match="the token has no such private key"):
        read_signing_key(private).sign(b"content")
    softhsm.make_key(tokens.token(), "p256", "changing", 9)
    with pytest.raises(EnvironmentFault, match="signed with another key than the file says"):
        read_signing_key(private).sign(b"content")


def test_a_module_that_is_none_is_refused(tmp_path: Path) -> None:
    for module in (tmp_path / "nothing.so", Path(__file__)):
        with pytest.raises(EnvironmentFault, match="cannot be used") as caught:
            find_token_key(f"pkcs11:object=p256?module-path={module}", "The lab", Role.LABORATORY)
        assert "module-path" in caught.value.next_step


def test_files_of_keys_are_not_mixed_up(tokens: Tokens, tmp_path: Path) -> None:
    private, public = write_token_key(found(tokens), tmp_path / "lab")
    for spoilt, words in {
        private.read_text().replace("token: pkcs11:", "token: pkcs12:"): "is no PKCS#11 URI",
        private.read_text().replace("\ntoken: ", "\ntoken: x\ntoken: "): "does not say in which token",
        private.read_text().replace("role: laboratory", "role: king"): "does not say whose",
        public.read_text(): "no readable private key",
        private.read_text().split("-----BEGIN")[0]
        + new_key("p256", "x", Role.VENDOR)
        .key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode(): "no readable public key",
    }.items():
        (tmp_path / "spoilt.pem").write_text(spoilt)
        (tmp_path / "spoilt.pem").chmod(0o600)
        with pytest.raises(UsageError, match=words):
            read_signing_key(tmp_path / "spoilt.pem")
    private.chmod(0o644)
    with pytest.raises(UsageError, match="others can read or change"):
        read_signing_key(private)


def test_a_uri_in_place_of_a_file_is_told_what_to_do(call: Call, tmp_path: Path) -> None:
    (tmp_path / "some.meshmark.zip").write_bytes(b"")
    code, _, err = call("report", "sign", "some.meshmark.zip", "--key", "pkcs11:object=x?pin-value=97531")
    assert code == 2
    assert "meshmark keys token" in err
    assert "97531" not in err


def test_a_file_is_never_written_over(tokens: Tokens, tmp_path: Path) -> None:
    write_key(new_key("ed25519", "lab", Role.VENDOR), tmp_path / "lab")
    before = (tmp_path / "lab.pem").read_bytes()
    with pytest.raises(UsageError, match="never written over"):
        write_token_key(found(tokens), tmp_path / "lab")
    assert (tmp_path / "lab.pem").read_bytes() == before


def test_without_the_extra_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pkcs11"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "conformance.report.trust.token_keys")
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    code, _, err = call("keys", "token", "pkcs11:object=x?module-path=/x.so", "--out", "lab")
    assert code == 2
    assert "meshmark[pkcs11]" in err
    assert list(tmp_path.iterdir()) == []
