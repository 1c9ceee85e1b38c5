"""Wrong options, files that do not fit, addresses and stores that cannot be used: said with the next step."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from serve_parts import MESHMARK

from conformance.pki import TrustDomain


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of all kinds, by the word that stands for each in the cases."""
    folder = tmp_path_factory.mktemp("files")
    domain, stranger = TrustDomain(), TrustDomain()
    own, other = domain.issue("service"), domain.issue("other")

    def write(name: str, content: bytes) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    def key_of(authority: TrustDomain) -> bytes:
        key = authority.issuing_authority.private_key
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    return {
        "CERTIFICATE": write("certificate", own.certificate_chain_pem),
        "KEY": write("key", own.private_key_pem),
        "OTHER-KEY": write("other-key", other.private_key_pem),
        "ROOTS": write("roots", domain.bundle_pem),
        "ISSUING": write("issuing", domain.issuing_authority.certificate.public_bytes(Encoding.PEM)),
        "ISSUING-KEY": write("issuing-key", key_of(domain)),
        "STRANGER": write("stranger", stranger.issuing_authority.certificate.public_bytes(Encoding.PEM)),
        "STRANGER-KEY": write("stranger-key", key_of(stranger)),
        "NONSENSE": write("nonsense", b"no PEM at all"),
        "MISSING": str(folder / "missing"),
        "STORE": str(folder / "policies.db"),
    }


GOOD = {
    "--listen": "127.0.0.1:0",
    "--certificate": "CERTIFICATE",
    "--key": "KEY",
    "--authorities": "ROOTS",
    "--store": "STORE",
}
CONTROL_PLANE = GOOD | {"--authority-certificate": "ISSUING", "--authority-key": "ISSUING-KEY"}
SERVICES = {"control-plane": CONTROL_PLANE, "authentication": GOOD, "policy-admin": GOOD}
EVERYWHERE = [
    ({"--listen": "8443"}, 2, "HOST:PORT"),
    ({"--certificate": "MISSING"}, 2, "cannot be read"),
    ({"--key": "OTHER-KEY"}, 2, "the certificates cannot be used"),
    ({"--authorities": "NONSENSE"}, 2, "the certificates cannot be used"),
    ({"--store": "mysql:x"}, 2, "no store of policies"),
    ({"--store": ""}, 2, "no store of policies is named"),
    ({"--store": "postgresql://nobody@127.0.0.1:1/none"}, 3, "127.0.0.1"),
    ({"--listen": "192.0.2.1:1"}, 3, "cannot listen"),
]
OF_ONE = [
    ("control-plane", {"--authority-certificate": "CERTIFICATE", "--authority-key": "KEY"}, 2, "may not sign"),
    ("control-plane", {"--authority-key": "STRANGER-KEY"}, 2, "does not belong to its certificate"),
    ("control-plane", {"--authority-key": "NONSENSE"}, 2, "key cannot be used"),
    (
        "control-plane",
        {"--authority-certificate": "STRANGER", "--authority-key": "STRANGER-KEY"},
        2,
        "do not vouch for the authority",
    ),
    ("control-plane", {"--machine": "caller"}, 2, "where its machine is"),
    ("control-plane", {"--observe": "192.0.2.1:1"}, 3, "metrics cannot be served"),
    ("authentication", {"--policies-from": "https://127.0.0.1:1"}, 2, "one place only"),
    ("authentication", {"--policies-from": "https://127.0.0.1:1", "--store": None}, 3, "127.0.0.1:1"),
    ("policy-admin", {"--role": "king=/a"}, 2, "grants no role"),
]
CASES = [(service, *case) for service in SERVICES for case in EVERYWHERE] + OF_ONE


def name_of(service: str, changed: dict[str, str | None]) -> str:
    return f"{service} {' '.join(f'{name}={value}' for name, value in changed.items())}"


@pytest.mark.parametrize(
    ("service", "changed", "code", "said"),
    CASES,
    ids=[name_of(service, changed) for service, changed, *_ in CASES],
)
def test_a_mistake_is_said_with_the_next_step(
    files: dict[str, str], service: str, changed: dict[str, str | None], code: int, said: str
) -> None:
    options = {name: value for name, value in (SERVICES[service] | changed).items() if value is not None}
    words = [word for name, value in options.items() for word in (name, files.get(value, value))]
    ended = subprocess.run(
        [*MESHMARK, "serve", service, *words],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "PRIVATE" not in ended.stderr
    assert "next:" in ended.stderr or "Usage:" in ended.stderr


def test_a_port_that_is_taken_is_named(files: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = {**GOOD, "--listen": address, "--store": str(tmp_path / "policies.db")}
        words = [word for name, value in options.items() for word in (name, files.get(value, value))]
        command = [*MESHMARK, "serve", "authentication", *words]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 3
    assert address in ended.stderr
