"""A credential keeps its key to itself, on disk and in print, and offers what a TLS check needs."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import ssl
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from conformance.model.errors import EnvironmentFault
from conformance.pki import Credential, TrustDomain

from .handshakes import connect


@pytest.fixture
def trust_domain() -> TrustDomain:
    return TrustDomain()


@pytest.fixture
def credential(trust_domain: TrustDomain) -> Credential:
    return trust_domain.issue("bb/registry")


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Whatever is private now, is so because it was made private."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_key_is_in_no_print_of_a_credential_or_an_authority(
    trust_domain: TrustDomain, credential: Credential
) -> None:
    authority = trust_domain.issuing_authority
    numbers = [key.private_numbers().private_value for key in (credential.private_key, authority.private_key)]
    secrets = [credential.private_key_pem.decode().splitlines()[1], *map(str, numbers), *(f"{n:x}" for n in numbers)]
    for value in (credential, authority, trust_domain, dataclasses.asdict(credential), vars(credential), [credential]):
        for text in (repr(value), str(value), f"{value}"):
            assert "PRIVATE KEY" not in text
            assert not any(secret in text for secret in secrets)


def test_a_credential_prints_as_who_it_is(credential: Credential) -> None:
    assert repr(credential) == f"<Credential of spiffe://mesh.test/bb/registry, serial {credential.serial:x}>"


def test_a_credential_neither_changes_nor_leaves_the_process(credential: Credential) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        credential.chain = ()  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(credential)
    assert copy.copy(credential) == credential


def test_the_key_belongs_to_the_certificate(credential: Credential) -> None:
    key = load_pem_private_key(credential.private_key_pem, None)
    assert key.public_key() == credential.certificate.public_key()


@pytest.mark.usefixtures("open_umask")
def test_written_files_are_private_and_complete(credential: Credential, tmp_path: Path) -> None:
    files = credential.written_to(tmp_path / "new" / "folder")
    assert files.certificate_chain.read_bytes() == credential.certificate_chain_pem
    assert files.private_key.read_bytes() == credential.private_key_pem
    for file in (files.certificate_chain, files.private_key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["certificate-chain.pem", "private-key.pem"])
def test_no_file_is_overwritten(credential: Credential, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(EnvironmentFault, match="File exists") as caught:
        credential.written_to(tmp_path)
    assert caught.value.where == str(tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_no_link_is_followed(credential: Credential, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "private-key.pem").symlink_to(elsewhere)
    with pytest.raises(EnvironmentFault, match="File exists"):
        credential.written_to(tmp_path)
    assert not elsewhere.exists()


def test_contexts_leave_nothing_in_the_temporary_folder(
    trust_domain: TrustDomain, credential: Credential, temporary_folder: Path
) -> None:
    credential.client_context(trust_domain.bundle_pem)
    credential.server_context(trust_domain.bundle_pem, crl=trust_domain.crl_pem)
    assert list(temporary_folder.iterdir()) == []


def test_contexts_leave_nothing_in_the_temporary_folder_when_they_fail(
    trust_domain: TrustDomain, credential: Credential, temporary_folder: Path
) -> None:
    somebody_else = Credential(credential.chain, trust_domain.issue("other").private_key)
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        somebody_else.client_context(trust_domain.bundle_pem)
    with pytest.raises(ssl.SSLError):
        credential.server_context(trust_domain.bundle_pem, crl=b"no list")
    assert list(temporary_folder.iterdir()) == []


def test_issuing_writes_nothing(temporary_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trust_domain = TrustDomain()
    trust_domain.revoke(trust_domain.issue("a"))
    trust_domain.rotate_root()
    assert list(tmp_path.rglob("*")) == [temporary_folder]


def test_every_context_verifies_its_peer(trust_domain: TrustDomain, credential: Credential) -> None:
    client = credential.client_context(trust_domain.bundle_pem)
    server = credential.server_context(trust_domain.bundle_pem)
    assert client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert server.verify_mode is ssl.CERT_REQUIRED
    assert client.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_a_context_without_trust_is_refused(credential: Credential) -> None:
    with pytest.raises(ssl.SSLError):
        credential.client_context(b"no certificate")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_can_insist_on_one_version(
    trust_domain: TrustDomain, credential: Credential, version: ssl.TLSVersion
) -> None:
    client = credential.client_context(trust_domain.bundle_pem, minimum_version=version, maximum_version=version)
    connection = connect(client, credential.server_context(trust_domain.bundle_pem))
    assert connection.client.version == version.name.replace("_", ".")


def test_a_client_can_offer_an_outdated_version_and_see_it_refused(
    trust_domain: TrustDomain, credential: Credential
) -> None:
    client = credential.client_context(
        trust_domain.bundle_pem,
        minimum_version=ssl.TLSVersion.TLSv1_1,
        maximum_version=ssl.TLSVersion.TLSv1_1,
        ciphers="DEFAULT@SECLEVEL=0",
    )
    refusal = connect(client, credential.server_context(trust_domain.bundle_pem))
    assert refusal.client.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_a_client_can_offer_one_cipher_suite_and_protocols(trust_domain: TrustDomain, credential: Credential) -> None:
    client = credential.client_context(
        trust_domain.bundle_pem,
        maximum_version=ssl.TLSVersion.TLSv1_2,
        ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
        alpn=("h2", "http/1.1"),
    )
    assert {suite["name"] for suite in client.get_ciphers() if suite["protocol"] == "TLSv1.2"} == {
        "ECDHE-ECDSA-AES128-GCM-SHA256"
    }
    server = credential.server_context(trust_domain.bundle_pem, alpn=("http/1.1",))
    assert connect(client, server).client.protocol == "http/1.1"
