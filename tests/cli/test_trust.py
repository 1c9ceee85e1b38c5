"""Keys, signatures, waivers and certificates by the commands that people type; no run is needed for any of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from report.trust.makers import bundle_of, run_record
from workplace import Workplace

from conformance.cli.main import main
from conformance.report.bundle import read_bundle

BUNDLE = "birth-registry.meshmark.zip"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.delenv("MESHMARK_KEY_PASSPHRASE", raising=False)

    def called(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return int(ended.value.code), said.out, said.err

    return called


@pytest.fixture
def folder(workplace: Workplace, call: Call) -> Path:
    """Keys of all three roles, and a bundle that the laboratory has signed."""
    for name, role in {"vendor": "vendor", "lab": "laboratory", "ministry": "governance"}.items():
        assert call("keys", "new", "--out", f"keys/{name}", "--role", role, "--name", f"The {name}")[0] == 0
    (workplace.folder / BUNDLE).write_bytes(bundle_of(run_record().to_json()).to_bytes())
    code, out, _ = call("report", "sign", BUNDLE, "--key", "keys/lab.pem")
    assert code == 0
    assert "Signed by The lab (laboratory)" in out
    return workplace.folder


def test_a_signed_bundle_is_verified_in_plain_words(folder: Path, call: Call) -> None:
    code, out, err = call("verify", BUNDLE, "--trust", "keys/lab.pub.pem")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"VERIFIED: {BUNDLE}"
    assert "birth-registry 1.2 by Example Registries Ltd is conformant with profile mesh" in out
    assert any(line.startswith("Signed by The lab as laboratory on 20") for line in lines)


def test_and_for_programs(folder: Path, call: Call) -> None:
    code, out, _ = call("verify", BUNDLE, "--trust", "keys", "--role", "laboratory", "--format", "json")
    answer = json.loads(out)
    assert code == 0
    assert answer["verified"] is True
    assert answer["outcome"] == "conformant"
    assert [each["role"] for each in answer["signatures"]] == ["laboratory"]
    assert answer["record_sha256"] == read_bundle(folder / BUNDLE).record_digest


def test_several_sign_and_all_are_named(folder: Path, call: Call) -> None:
    assert call("report", "sign", BUNDLE, "--key", "keys/vendor.pem", "--predicate", "svr")[0] == 0
    code, out, _ = call("verify", BUNDLE, "--trust", "keys", "--role", "vendor", "--role", "laboratory")
    assert code == 0
    assert out.count("Signed by") == 2
    assert call("verify", BUNDLE, "--trust", "keys", "--role", "governance")[0] == 1


def test_out_leaves_the_bundle_as_it_was(folder: Path, call: Call) -> None:
    before = (folder / BUNDLE).read_bytes()
    assert call("report", "sign", BUNDLE, "--key", "keys/vendor.pem", "--out", f"sent/{BUNDLE}")[0] == 0
    assert (folder / BUNDLE).read_bytes() == before
    assert len(read_bundle(folder / "sent" / BUNDLE).signatures) == 2


def test_what_is_not_to_be_trusted_ends_with_1_and_says_why(folder: Path, call: Call) -> None:
    code, out, err = call("verify", BUNDLE, "--trust", "keys/vendor.pub.pem")
    assert (code, err) == (1, "")
    assert out.startswith("REFUSED, not to be trusted")
    assert "is signed by an unknown key" in out
    assert "which is not to be believed" in out
    content = bytearray((folder / BUNDLE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / BUNDLE).write_bytes(content)
    code, out, _ = call("verify", BUNDLE, "--trust", "keys")
    assert code == 1
    assert "The bundle" in out


def test_what_cannot_be_judged_ends_with_2(folder: Path, call: Call) -> None:
    (folder / "text.meshmark.zip").write_text("no zip")
    (folder / "bad.json").write_text("{}")
    (folder / "keys/lab.pem").chmod(0o644)
    for arguments in (
        ["verify", "text.meshmark.zip", "--trust", "keys"],
        ["verify", "none.meshmark.zip", "--trust", "keys"],
        ["verify", BUNDLE, "--trust", "none.pub.pem"],
        ["verify", BUNDLE, "--trust", "keys/vendor.pem"],
        ["verify", BUNDLE, "--trust", "keys", "--catalogue", "bad.json"],
        ["verify", BUNDLE, "--trust", "keys", "--at", "some day"],
        ["verify", BUNDLE, "--trust", "keys", "--status", "bad.json"],
        ["verify", BUNDLE],
        ["report", "sign", BUNDLE, "--key", "keys/lab.pem"],
        ["report", "sign", BUNDLE, "--key", "keys/vendor.pub.pem"],
        ["report", "sign", "text.meshmark.zip", "--key", "keys/vendor.pem"],
        ["keys", "new", "--out", "keys/lab"],
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (2, ""), arguments
        assert err
    assert len(read_bundle(folder / BUNDLE).signatures) == 1


def test_another_catalogue_is_given_as_a_file(folder: Path, call: Call) -> None:
    _, out, _ = call("catalogue", "--format", "json", "--profile", "govstack")
    (folder / "catalogue.json").write_text(out)
    assert call("verify", BUNDLE, "--trust", "keys", "--catalogue", "catalogue.json")[0] == 0
    changed: dict[str, Any] = json.loads(out)
    del changed["checks"][0]
    (folder / "catalogue.json").write_text(json.dumps(changed))
    code, _, err = call("verify", BUNDLE, "--trust", "keys", "--catalogue", "catalogue.json")
    assert code == 2
    assert "its digest is not the one that it names" in err


def test_a_day_to_come_and_one_before_the_signature(folder: Path, call: Call) -> None:
    assert call("verify", BUNDLE, "--trust", "keys", "--at", "2126-01-01")[0] == 0
    code, out, _ = call("verify", BUNDLE, "--trust", "keys", "--at", "2026-11-03")
    assert code == 1
    assert "has not come yet" in out


# ---------------------------------------------------------------------- certificates


def in_days(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def attest(call: Call, *more: str, bundle: str = BUNDLE) -> tuple[int, str, str]:
    key = [] if "--key" in more else ["--key", "keys/ministry.pem"]
    return call("attest", bundle, "--as", "governance", *key, "--expires", in_days(30), "--trust", "keys", *more)


def test_a_certificate_is_issued_verified_and_withdrawn(folder: Path, call: Call) -> None:
    certificate = "birth-registry.certificate.json"
    assert attest(call, "--condition", "behind a security server")[0] == 0
    code, out, _ = call("verify", certificate, "--trust", "keys")
    assert code == 0
    assert "Conformant: birth-registry 1.2 by Example Registries Ltd, profile mesh" in out
    assert "On condition: behind a security server" in out
    assert "nothing says that it was not withdrawn" in out
    assert call("verify", certificate, "--trust", "keys", "--at", in_days(31))[0] == 1
    revoked = ["revoke", certificate, "--list", "status.json", "--key", "keys/ministry.pem", "--reason", "found a flaw"]
    assert call(*revoked)[0] == 0
    code, out, _ = call("verify", certificate, "--trust", "keys", "--status", "status.json", "--format", "json")
    assert code == 1
    assert json.loads(out)["refusals"] == ["It was withdrawn: found a flaw."]
    # A second certificate, which the list does not name.
    assert attest(call, "--out", "other.certificate.json")[0] == 0
    code, out, _ = call("verify", "other.certificate.json", "--trust", "keys", "--status", "status.json")
    assert code == 0
    assert "Not withdrawn, says The ministry (governance)" in out


def test_what_is_not_verified_or_not_conformant_is_not_certified(folder: Path, call: Call) -> None:
    (folder / "some.meshmark.zip").write_bytes(bundle_of(run_record(only=frozenset()).to_json()).to_bytes())
    code, out, _ = attest(call, bundle="some.meshmark.zip")
    assert code == 1
    assert "Nobody who is trusted has signed it" in out
    assert call("report", "sign", "some.meshmark.zip", "--key", "keys/lab.pem")[0] == 0
    code, out, _ = attest(call, bundle="some.meshmark.zip")
    assert code == 1
    assert "No certificate is issued for it" in out
    code, _, err = attest(call, "--key", "keys/lab.pem")
    assert code == 2
    assert "signs in the role laboratory" in err
    assert not list(folder.glob("*.certificate.json"))


def built(call: Call, *more: str) -> tuple[str, dict[str, Any]]:
    """What was said, and the index of the site."""
    code, out, err = call("registry", "build", ".", "--out", "site", *more)
    assert (code, err) == (0, "")
    return out, json.loads(Path("site/index.json").read_text("utf-8"))


def test_a_registry_shows_who_certified_what_until_it_is_withdrawn(folder: Path, call: Call) -> None:
    assert attest(call, "--condition", "behind a security server")[0] == 0
    (folder / "copy.certificate.json").write_bytes((folder / "birth-registry.certificate.json").read_bytes())
    (folder / "bad.certificate.json").write_text("{}")
    out, index = built(call)
    assert "certif" not in out  # without keys nothing is known about it
    out, index = built(call, "--trust", "keys")
    assert "refused: bad.certificate.json: the certificate is no signed envelope" in out
    (bundle,) = index["bundles"]
    page = Path("site") / Path(bundle["bundle"]).parent / "index.html"
    (beside,) = page.parent.glob("*.certificate.json")
    assert beside.read_bytes() == (folder / "birth-registry.certificate.json").read_bytes()
    assert f"meshmark verify {beside.name} --trust KEYS.pub.pem<" in page.read_text("utf-8")
    (expiry,) = index["expiries"]
    assert (expiry["what"], expiry["day"]) == ("certified by The ministry on 1 condition", in_days(30))
    assert call("verify", str(beside), "--trust", "keys")[0] == 0

    again, _ = built(call, "--trust", "keys")
    assert ", 0 made anew" in again

    revoke = ["revoke", "birth-registry.certificate.json", "--list", "status.json", "--key", "keys/ministry.pem"]
    assert call(*revoke, "--reason", "found a flaw")[0] == 0
    _, index = built(call, "--trust", "keys", "--status", "status.json", "--language", "de")
    (bundle,) = index["bundles"]
    said = [each["text"] for each in bundle["findings"]]
    assert "the certificate of The ministry was withdrawn: found a flaw" in said
    assert index["expiries"] == []
    assert "das Zertifikat von The ministry wurde zurückgezogen: found a flaw" in page.read_text("utf-8")
    assert Path("site/status-list.json").read_bytes() == (folder / "status.json").read_bytes()


def test_a_certificate_that_is_over_or_about_something_else(folder: Path, call: Call) -> None:
    assert attest(call)[0] == 0
    _, index = built(call, "--trust", "keys", "--as-of", in_days(31))
    (bundle,) = index["bundles"]
    over = f"the certificate of The ministry is not good: it has expired on {in_days(30)}"
    assert over in [each["text"] for each in bundle["findings"]]
    (folder / BUNDLE).unlink()
    out, index = built(call, "--trust", "keys")
    assert "refused: birth-registry.certificate.json: certifies a record that is not here" in out
    assert index["bundles"] == []


def test_a_status_list_without_keys_or_of_somebody_else_is_refused(folder: Path, call: Call) -> None:
    (folder / "bad.json").write_text("{}")
    for arguments in (["--status", "bad.json"], ["--status", "bad.json", "--trust", "keys"]):
        code, _, err = call("registry", "build", ".", "--out", "site", *arguments)
        assert code == 2
        assert "status list" in err
    assert not Path("site").exists()


# ---------------------------------------------------------------------- waivers in run files


def test_a_signed_waiver_is_made_and_taken_in(folder: Path, call: Call, workplace: Workplace) -> None:
    sign = [
        "waiver",
        "sign",
        "--check",
        "API-001",
        "--subject",
        "things",
        "--vendor",
        "some*",
        "--subject-version",
        "1.*",
    ]
    sign += [
        "--reason",
        "mended in 2.0",
        "--owner",
        "Jane Mwangi",
        "--expires",
        in_days(9),
        "--out",
        "allowed.waiver.json",
    ]
    assert call(*sign, "--key", "keys/ministry.pem")[0] == 0
    file = workplace.run_file(waivers=[{"file": "allowed.waiver.json"}], trust=["keys/ministry.pub.pem"])
    assert "waiver: API-001 until" in call("doctor", file)[1]
    without = workplace.run_file("things", waivers=[{"file": "allowed.waiver.json"}])
    assert "is signed by an unknown key" in call("doctor", without)[1]
    assert "waiver: API-001 until" in call("doctor", without, "--trust", "keys")[1]


@pytest.mark.parametrize(
    ("waivers", "said"),
    [
        ([{"file": "none.waiver.json"}], "cannot be read"),
        ([{"file": "bad.waiver.json"}], "is no signed envelope"),
        ([{"file": "a", "check": "API-001"}], "leave it out here"),
        ([{"check": "API-001", "owner": "o", "expires": "2030-01-01"}], "the key `waivers.0.reason` is missing"),
        ([{}], "the key `waivers.0.check` is missing"),
        ([{"file": "other.waiver.json"}], "is for another subject: its name has to be 'other'"),
        ([{"file": "same.waiver.json"}, {"file": "same.waiver.json"}], "second waiver for `API-001`"),
    ],
)
def test_a_waiver_that_does_not_hold_is_refused_where_it_stands(
    waivers: list[dict[str, str]], said: str, folder: Path, call: Call, workplace: Workplace
) -> None:
    (folder / "bad.waiver.json").write_text("{}")
    for subject in ("other", "same"):
        sign = ["waiver", "sign", "--check", "API-001", "--subject", "things" if subject == "same" else subject]
        sign += ["--reason", "r", "--owner", "o", "--expires", in_days(9), "--out", f"{subject}.waiver.json"]
        assert call(*sign, "--key", "keys/ministry.pem")[0] == 0
    file = workplace.run_file(waivers=waivers, trust=["keys"])
    code, _, err = call("certify", file)
    assert code == 2
    assert said in err
    assert err.startswith(f"meshmark: {file}:")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[", "`redact.0` is no regular expression"),
        ("x*", "fits the empty text"),
        ("MTLS", "in the catalogue's own text on"),
        ("somebody", "in the name of the subject"),
        ("x" * 501, "redact.0"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_where_it_stands(
    pattern: str, said: str, call: Call, workplace: Workplace
) -> None:
    file = workplace.run_file(redact=[pattern])
    code, _, err = call("certify", file)
    assert code == 2
    assert said in err
    assert err.startswith(f"meshmark: {file}:")


def test_a_registry_counts_only_what_is_verified_if_keys_are_given(folder: Path, call: Call) -> None:
    (folder / "bundles").mkdir()
    (folder / BUNDLE).rename(folder / "bundles" / BUNDLE)
    code, out, _ = call("registry", "build", "bundles", "--out", "site", "--trust", "keys/lab.pub.pem")
    assert code == 0
    assert "1 subject, 1 bundle, 0 refused" in out
    page = next((folder / "site").glob("bundles/*/index.html")).read_text()
    assert "signed by The lab as laboratory" in page
    code, out, _ = call("registry", "build", "bundles", "--out", "site", "--trust", "keys/vendor.pub.pem")
    assert code == 0
    assert "1 refused" in out
    assert "unknown key" in out
