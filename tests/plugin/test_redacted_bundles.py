"""No key, token, cookie or configured pattern survives in any part of a bundle, wherever it was met."""

from __future__ import annotations

import base64
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from workplace import Workplace

from conformance.model.verdict import EvidenceKind, Result, Verdict
from conformance.plugin.loading import LoadedRun, load_run
from conformance.plugin.options import RunOptions
from conformance.plugin.run import make_record
from conformance.probe.judgement import Judgement, Unmet
from conformance.probe.redaction import Redaction
from conformance.report.bundle import read_bundle, render
from conformance.report.formats import FORMATS
from conformance.report.material import Material

IDENTITY_NUMBER, CASE = r"\bID-[0-9]{4}-[0-9]{6}\b", r"case [A-Z]{3}/[0-9]+"
HEADER = "Token 9d2f0c5e7ab14c66"
PASSWORD = "correct-horse-battery"

# What surrounds a secret does not make it a part of a longer word, which a pattern with \b would let pass.
around = st.text(st.characters(codec="utf-8", exclude_categories=("L", "N", "Cs", "Pc", "Mn", "Mc")), max_size=8)
letters = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=12, max_size=40)
tokens = letters.map(lambda text: f"{text}7")


def private_key(kind: str) -> str:
    key = Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


PEM = [private_key("ed25519"), private_key("p256")]
PEM_SECRETS = ["".join(pem.splitlines()[1:-1]) for pem in PEM]


@cache
def loaded(folder: Path) -> LoadedRun:
    workplace = Workplace(folder, folder)
    file = workplace.run_file(
        subject={"headers": {"x-account": HEADER}, "environment": {"DATABASE_PASSWORD": PASSWORD, "PORT_NAME": "http"}},
        redact=[IDENTITY_NUMBER, CASE],
    )
    return load_run(folder / file, RunOptions())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return loaded(tmp_path_factory.mktemp("redacted"))


def planted(kind: str, secret: str, before: str, after: str) -> Any:
    """An observation with the secret in one of the places where secrets are met."""
    forms: dict[str, Any] = {
        "pattern": f"{before}{secret}{after}",
        "bearer": {"line": f"{before}Bearer {secret}"},
        "jwt": [before, f"eyJhbGciOi.{secret}.{secret}"],
        "cookie pair": {"headers": [["Set-Cookie", secret], ["accept", "*/*"]]},
        "cookie mapping": {"headers": {"Cookie": secret, "accept": "*/*"}},
        "cookie line": f"GET / HTTP/1.1\r\nCookie: {secret}\r\naccept: */*",
        "authorization": {"authorization": [secret]},
        "log line": f'{{"authorization":"{secret}","path":"/"}}',
        "key of a mapping": {f"Bearer {secret}": 1},
    }
    return forms[kind]


def bundle_with(run: LoadedRun, observed: Any, seen: str, trouble: str) -> bytes:
    """What a run leaves behind in which a check meets all that, and then fails."""
    entry = next(entry for entry in run.plan if entry.run)
    judgement = Judgement(entry.check, run.redaction)
    for name in entry.check.evidence:
        judgement.record(name, EvidenceKind.NOTE, {"observed": observed})
    code = next(iter(entry.check.fails))
    with pytest.raises(Unmet) as unmet:
        judgement.expect(code, False, seen=seen)
    result = Result(
        check=entry.check.id,
        title=entry.check.title,
        level=entry.level,
        proves=entry.check.proves,
        verdict=Verdict.FAIL,
        reason=code,
        seen=unmet.value.expectation.seen,
        expectations=tuple(judgement.expectations),
        evidence=tuple(judgement.evidence),
    )
    record = make_record(
        run, [result], environment={}, started="2026-11-03T14:02:05.000Z", interrupted=False, trouble=trouble
    )
    material = Material(record.to_json(), run.files)
    # The streams of a PDF are compressed, so its bytes would hide a secret; its words are those of the record.
    rendered = [form.render(material) for name, form in FORMATS.items() if name not in ("bundle", "pdf")]
    with zipfile.ZipFile(io.BytesIO(render(material))) as archive:
        return b"\n".join(
            [*rendered, *(archive.read(name) for name in archive.namelist()), *map(str.encode, archive.namelist())]
        )


def gone(secret: str, content: bytes) -> bool:
    return secret.encode() not in content


@settings(max_examples=40)
@given(
    kind=st.sampled_from(
        [
            "bearer",
            "jwt",
            "cookie pair",
            "cookie mapping",
            "cookie line",
            "authorization",
            "log line",
            "key of a mapping",
        ]
    ),
    secret=tokens,
    before=around,
    after=around,
)
def test_no_credential_survives(run: LoadedRun, kind: str, secret: str, before: str, after: str) -> None:
    text = f"{before}Bearer {secret}"
    assert gone(secret, bundle_with(run, planted(kind, secret, before, after), text, f"{text}\nmore"))


@settings(max_examples=40)
@given(secret=st.from_regex(rf"{IDENTITY_NUMBER}|{CASE}", fullmatch=True), before=around, after=around)
def test_nothing_that_a_pattern_fits_survives(run: LoadedRun, secret: str, before: str, after: str) -> None:
    text = f"{before}{secret}{after}"
    assert gone(secret, bundle_with(run, {text: [planted("pattern", secret, before, after)]}, text, text))


@settings(max_examples=20)
@given(which=st.sampled_from([0, 1]), encoded=st.booleans(), before=around, after=around)
def test_no_private_key_survives(run: LoadedRun, which: int, encoded: bool, before: str, after: str) -> None:
    pem = base64.b64encode(PEM[which].encode()).decode() if encoded else PEM[which]
    text = f"{before}{pem}{after}"
    content = bundle_with(run, {"log": text, "more": [text]}, text, text)
    assert gone(pem, content)
    assert b"PRIVATE KEY" not in content
    assert gone(PEM_SECRETS[which], content)


def test_what_the_run_file_sends_along_survives_nowhere_not_even_in_its_own_text(run: LoadedRun) -> None:
    text = f"you sent {HEADER}, and the password is {PASSWORD}"
    content = bundle_with(run, {"echo": text}, text, text)
    assert gone("9d2f0c5e7ab14c66", content)
    assert gone(PASSWORD, content)
    assert b"DATABASE_PASSWORD" in content
    assert b'"PORT_NAME": "http"' in content


def test_a_pattern_cannot_shelter_what_stands_around_it(run: LoadedRun) -> None:
    secret = "4a0c9b7e55d1"
    text = f"Bearer {secret}.ID-1234-567890.{secret}"
    assert gone(secret, bundle_with(run, text, text, text))


def test_a_contract_with_something_secret_stays_out_and_the_others_in(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path, tmp_path)
    workplace.run_file()
    contract = (tmp_path / "contract.yaml").read_text()
    (tmp_path / "secret.yaml").write_text(contract.replace("all of them", "such as ID-1234-567890"))
    file = workplace.run_file(subject={"contracts": ["contract.yaml", "secret.yaml"]}, redact=[IDENTITY_NUMBER])
    assert load_run(tmp_path / file, RunOptions()).files.keys() == {file, "contract.yaml"}


def test_numbers_are_looked_at_too() -> None:
    redaction = Redaction([], ["^[0-9]{11}$"])
    observed = {"id": 12345678901, "port": 8080, "rate": 0.5, "on": True, "none": None}
    assert redaction.observation(observed) == {**observed, "id": "(not recorded)"}


def test_two_secret_names_in_one_mapping_keep_both_values(run: LoadedRun) -> None:
    kept = run.redaction.observation({"ID-1234-567890": 1, "ID-1234-567891": 2})
    assert sorted(kept.values()) == [1, 2]
    assert not any("1234" in name for name in kept)


def test_a_bundle_of_such_a_run_is_read_back(run: LoadedRun, tmp_path: Path) -> None:
    record = make_record(run, [], environment={}, started="2026-11-03T14:02:05.000Z", interrupted=False, trouble="")
    (tmp_path / "a.meshmark.zip").write_bytes(render(Material(record.to_json(), run.files)))
    assert read_bundle(tmp_path / "a.meshmark.zip").material.record["outcome"] == "incomplete"
