"""Generated requests against real servers, honest ones and such that hang, break off or never end."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from births_server import CONTRACT, Behaviour, honest, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance.openapi.contract import Contract, load_contract
from conformance.openapi.fuzz_report import FuzzReport
from conformance.openapi.fuzzing import ClientTls, FuzzSettings, fuzz
from conformance.system.guard import Guard

QUICK = FuzzSettings(seed=3, max_examples=3, phases=("coverage",), request_timeout_s=2, deadline_s=60)
READ = "GET /births/{id}"


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return contract_of(tmp_path, CONTRACT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


def contract_of(folder: Path, document: dict[str, Any]) -> Contract:
    file = folder / "api.json"
    file.write_text(json.dumps(document))
    return load_contract(file)


def reading_is(outcome: Any) -> Behaviour:
    """An honest building block, but for one operation."""

    def behaviour(method: str, path: str, body: bytes) -> Any:
        return outcome if method == "GET" and path.startswith("/births/") else honest(method, path, body)

    return behaviour


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def programs_in(folder: Path) -> list[str]:
    """The programs that were told of this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in arguments:
            found.append(arguments.decode(errors="replace"))
    return found


async def test_an_honest_building_block_has_no_failure(contract: Contract, folder: Path, guard: Guard) -> None:
    settings = replace(QUICK, phases=("examples", "coverage", "fuzzing"))
    with serving() as (url, visits):
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=settings)
    assert report.failures == ()
    assert report.errors == ()
    assert report.ended == "complete"
    assert report.operations_covered == (READ, "POST /births")
    assert 20 < report.requests <= len(visits.requests)
    assert "QUERY" not in {method for method, _, _ in visits.requests}
    assert is_empty(folder)


async def test_the_same_seed_sends_the_same_requests(contract: Contract, folder: Path, guard: Guard) -> None:
    seen = []
    for _ in range(2):
        with serving() as (url, visits):
            await fuzz(contract, url, folder=folder, guard=guard, settings=replace(QUICK, phases=("fuzzing",)))
        seen.append([(method, path) for method, path, _ in visits.requests])
    assert seen[0] == seen[1]


async def test_what_is_kept_from_run_to_run_is_not_of_the_subject_and_changes_no_request(
    contract: Contract, folder: Path, guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    kept = tmp_path / "kept"
    seen, files = [], []
    for cache in (kept, kept, tmp_path / "a file"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        with serving() as (url, visits):
            settings = replace(QUICK, phases=("coverage", "fuzzing"))
            report = await fuzz(contract, url, folder=folder, guard=guard, settings=settings)
        assert (report.ended, report.errors) == ("complete", ())
        seen.append([(method, path) for method, path, _ in visits.requests])
        files.append({str(file.relative_to(kept)): file.read_bytes() for file in kept.rglob("*") if file.is_file()})
    assert seen[0] == seen[1] == seen[2]
    assert files[0].keys() == files[1].keys()
    assert any("unicode_data" in name for name in files[0])
    assert {name.split("/")[2] for name in files[0]} <= {"unicode_data", "constants", ".gitignore"}
    assert not any(b"births" in content for content in files[0].values())


@pytest.mark.parametrize(
    ("outcome", "kinds"),
    [
        ((500, {"error": "x"}), {"server-error": 500, "undeclared-status": 500}),
        ((200, {"name": 5}), {"schema-breach": 200}),
        ((200, None), {"wrong-content-type": 200, "unreadable-body": 200}),
        ((302, None), {"undeclared-status": 302}),
    ],
)
async def test_each_failure_has_its_kind_and_a_request_that_shows_it(
    contract: Contract, folder: Path, guard: Guard, outcome: Any, kinds: dict[str, int]
) -> None:
    with serving(reading_is(outcome)) as (url, _):
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=replace(QUICK, only={READ}))
    assert {failure.kind: failure.status for failure in report.failures} == kinds
    assert {failure.operation for failure in report.failures} == {READ}
    assert all(failure.reproduce.startswith("curl -X GET ") and url in failure.reproduce for failure in report.failures)
    assert all(failure.count >= 1 for failure in report.failures)
    assert report.left_out == (("POST /births", "not asked for"),)


@pytest.mark.parametrize("misbehaviour", ["hang", "close", "garbage", "endless", "trickle"])
async def test_a_subject_that_gives_no_answer_fails_and_the_others_are_still_tried(
    contract: Contract, folder: Path, guard: Guard, misbehaviour: str
) -> None:
    with serving(reading_is(misbehaviour)) as (url, _):
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=QUICK)
    assert {(failure.operation, failure.kind, failure.status) for failure in report.failures} == {
        (READ, "no-answer", None)
    }
    assert report.ended == "complete"
    assert "POST /births" in report.operations_covered


async def test_the_deadline_ends_the_run_and_nothing_is_left(contract: Contract, folder: Path, guard: Guard) -> None:
    with serving(lambda *_: "hang") as (url, _):
        settings = replace(QUICK, request_timeout_s=60, deadline_s=4)
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=settings)
    assert report.ended == "deadline"
    assert not programs_in(folder)
    assert is_empty(folder)


async def test_a_cancelled_run_leaves_nothing(contract: Contract, folder: Path, guard: Guard) -> None:
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def behaviour(*_: Any) -> str:
        loop.call_soon_threadsafe(reached.set)
        return "hang"

    with serving(behaviour) as (url, _):
        run = asyncio.create_task(
            fuzz(contract, url, folder=folder, guard=guard, settings=replace(QUICK, request_timeout_s=60))
        )
        await asyncio.wait_for(reached.wait(), 60)
        assert programs_in(folder)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert not programs_in(folder)
    assert is_empty(folder)


async def test_nobody_listening_is_no_failure_of_an_operation(contract: Contract, folder: Path, guard: Guard) -> None:
    with serving() as (url, _):
        pass
    report = await fuzz(contract, url, folder=folder, guard=guard, settings=QUICK)
    assert report.failures == ()
    assert report.ended == "unreachable" or report.errors


async def test_credentials_are_sent_and_shown_nowhere(contract: Contract, folder: Path, guard: Guard) -> None:
    secrets = {"Authorization": "Bearer top-secret-1", "X-Strange": "top ${HOME} 'secret' \"2\"", "X-Pin": "1234"}
    arguments: list[str] = []

    def behaviour(method: str, path: str, body: bytes) -> Any:
        arguments.extend(programs_in(folder) if not arguments else [])
        return reading_is((500, {"echo": list(secrets.values())}))(method, path, body)

    with serving(behaviour) as (url, visits):
        settings = replace(QUICK, headers=secrets, only={READ})
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=settings)
    assert report.failures
    sent = [headers for method, path, headers in visits.requests if method == "GET" and path.startswith("/births/")]
    assert all(secrets.items() <= headers.items() for headers in sent)
    for text in (repr(report), repr(settings), *arguments):
        assert "top" not in text
        assert "1234" not in text
    assert arguments


async def test_the_runners_environment_has_no_influence(
    contract: Contract, folder: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as (proxy, proxied), serving() as (url, visits):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("SCHEMATHESIS_HOOKS", "no_such_module")
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=replace(QUICK, only={READ}))
    assert report.ended == "complete"
    assert visits.requests
    assert not proxied.requests


async def test_what_cannot_be_tried_is_said(tmp_path: Path, folder: Path, guard: Guard) -> None:
    document = json.loads(json.dumps(CONTRACT))
    document["components"]["schemas"]["Birth"]["properties"]["name"]["type"] = "float"
    document["paths"]["/deaths/{id}"] = {"get": {"responses": {"200": {"description": "ok"}}}}
    with serving() as (url, visits):
        report = await fuzz(contract_of(tmp_path, document), url, folder=folder, guard=guard, settings=QUICK)
    # Neither can the one be asked nor the answer of the other be judged.
    assert {error.operation for error in report.errors} == {"POST /births", READ}
    assert all("type" in error.message for error in report.errors)
    assert [key for key, _ in report.left_out] == ["GET /deaths/{id}"]
    assert "no path parameter" in report.left_out[0][1]
    assert not any(path.startswith("/deaths") for _, path, _ in visits.requests)


async def test_no_operation_means_no_process(contract: Contract, folder: Path, guard: Guard) -> None:
    settings = replace(QUICK, only=())
    report = await fuzz(contract, "http://127.0.0.1:1", folder=folder, guard=guard, settings=settings)
    assert (report.requests, report.ended, len(report.left_out)) == (0, "complete", 2)


class Authority:
    """A throw-away authority, and what it issues."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = self._certificate(self._name, self._key, [x509.BasicConstraints(ca=True, path_length=0)])
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *names: x509.GeneralName) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extensions: list[x509.ExtensionType] = [x509.SubjectAlternativeName(names)] if names else []
        chain, private_key = self._folder / f"{name}.chain.pem", self._folder / f"{name}.key.pem"
        certificate = self._certificate(subject, key, extensions)
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return chain, private_key

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: list[Any]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


async def run_with_tls(
    contract: Contract,
    folder: Path,
    guard: Guard,
    *,
    names: list[x509.GeneralName],
    server_name: str | None,
    trusted: bool,
) -> tuple[FuzzReport, list[Any]]:
    keys = folder.parent / "keys"
    keys.mkdir()
    authority, other = Authority(keys, "authority"), Authority(keys, "other")
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*authority.issue("server", *names))
    server_context.load_verify_locations(authority.file)
    server_context.verify_mode = ssl.CERT_REQUIRED
    chain, key = authority.issue("caller")
    tls = ClientTls(chain, key, (authority if trusted else other).file, server_name)
    with serving(tls=server_context) as (url, visits):
        settings = replace(QUICK, only={READ}, tls=tls)
        report = await fuzz(contract, url, folder=folder, guard=guard, settings=settings)
    return report, visits.certificates


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
MEMBER = x509.DNSName("member.example")


@pytest.mark.parametrize(("name", "server_name"), [(LOOPBACK, None), (MEMBER, "member.example")])
async def test_it_goes_through_mutual_tls(
    contract: Contract, folder: Path, guard: Guard, name: x509.GeneralName, server_name: str | None
) -> None:
    report, certificates = await run_with_tls(
        contract, folder, guard, names=[name], server_name=server_name, trusted=True
    )
    assert report.ended == "complete"
    assert report.failures == ()
    assert certificates
    assert all(each["subject"] == ((("commonName", "caller"),),) for each in certificates)


@pytest.mark.parametrize(
    ("name", "server_name", "trusted"),
    [(LOOPBACK, None, False), (MEMBER, None, True), (MEMBER, "other.example", True)],
)
async def test_a_server_that_is_not_the_right_one_gets_no_request(
    contract: Contract,
    folder: Path,
    guard: Guard,
    *,
    name: x509.GeneralName,
    server_name: str | None,
    trusted: bool,
) -> None:
    report, certificates = await run_with_tls(
        contract, folder, guard, names=[name], server_name=server_name, trusted=trusted
    )
    assert not certificates
    assert report.failures == ()
    assert any("certificate" in error.message.lower() for error in report.errors)
