"""A bundle is exactly what was written, or it is refused."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.model.canonical import canonical
from conformance.model.errors import UsageError
from conformance.report import bundle as bundles
from conformance.report.bundle import Bundle, make_bundle, parse_bundle, read_bundle, render
from conformance.report.material import Material

from . import records

FILES = {
    "birth-registry.meshmark.yaml": b"subject: {}\n",
    "{bundled}/specs/contracts/birth-registry.yaml": b"openapi: 3.1.0\n",
}
MATERIAL = Material(records.not_conformant().to_json(), FILES)
BYTES = render(MATERIAL)
SIGNED = parse_bundle(BYTES, "bundle").signed("key", b"{}").to_bytes()
FLIPS = 3000


def refused(content: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        parse_bundle(content, "some.meshmark.zip")
    assert caught.value.where == "some.meshmark.zip"
    assert caught.value.next_step
    return caught.value.what


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], *, how: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def test_it_holds_record_reports_inputs_and_evidence_under_their_digests() -> None:
    bundle = parse_bundle(BYTES, "bundle")
    material = bundle.material
    assert material.record == MATERIAL.record
    assert material.files == FILES
    assert bundle.record_digest == MATERIAL.digest == material.digest
    assert {"reports/report.html", "reports/junit.xml"} <= bundle.content.keys()
    assert bundle.manifest["left_out"] == []
    assert render(material) == BYTES


def test_the_same_record_makes_the_same_bytes() -> None:
    turned = json.loads(json.dumps(dict(reversed(MATERIAL.record.items()))))
    assert render(Material(turned, dict(reversed(FILES.items())))) == BYTES


def test_a_signature_is_added_without_touching_anything_else() -> None:
    bundle = parse_bundle(SIGNED, "bundle")
    assert bundle.signatures == {"key": b"{}"}
    assert bundle.manifest == parse_bundle(BYTES, "bundle").manifest


@pytest.mark.parametrize("content", [BYTES, SIGNED], ids=["unsigned", "signed"])
def test_one_changed_bit_anywhere_is_found(content: bytes) -> None:
    # The envelope in `signatures/` has a check of its own: whoever verifies it.
    envelope = content.find(b"{}") if content is SIGNED else -1
    places = random.Random(1729).sample(range(len(content) * 8), FLIPS)  # noqa: S311 -- no secret
    for place in places:
        byte, bit = divmod(place, 8)
        if envelope <= byte < envelope + 2 and envelope >= 0:
            continue
        changed = bytearray(content)
        changed[byte] ^= 1 << bit
        with pytest.raises(UsageError):
            parse_bundle(bytes(changed), "bundle")


@pytest.mark.parametrize("length", [0, 1, 100, len(BYTES) // 2, len(BYTES) - 1])
def test_a_truncated_bundle_is_refused(length: int) -> None:
    assert "is no whole zip file" in refused(BYTES[:length])


def test_what_stands_before_or_after_is_refused() -> None:
    assert refused(BYTES + b"more")
    assert refused(b"#!/bin/sh\n" + BYTES)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    files = entries(BYTES)
    assert "compressed" in refused(packed({**files, "inputs/bomb": bytes(50_000_000)}, how=zipfile.ZIP_DEFLATED))
    assert "larger than a bundle may be" in refused(bytes(bundles.LARGEST_BUNDLE + 1))
    many = packed({f"inputs/{number}": b"" for number in range(bundles.MOST_ENTRIES + 1)})
    assert "files, at most" in refused(many)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "inputs/../../x", "inputs\\..\\x", "C:/x", "inputs//x"])
def test_a_place_outside_is_refused(name: str) -> None:
    assert "which is no place in a bundle" in refused(packed({name: b"", **entries(BYTES)}))


def test_duplicate_names_are_refused() -> None:
    files = entries(BYTES)
    target = io.BytesIO(packed(files))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(target, "a") as archive:
        archive.writestr("record.json", files["record.json"])
    assert "'record.json' twice" in refused(target.getvalue())


CHANGES: list[tuple[Callable[[dict[str, bytes]], None], str]] = [
    (lambda files: files.pop("manifest.json"), "has no sound manifest.json"),
    (lambda files: files.update({"manifest.json": b"[]"}), "has no sound manifest.json"),
    (lambda files: files.update({"manifest.json": b"[" * 100_000}), "has no sound manifest.json"),
    (lambda files: files.pop("record.json"), "lacks 'record.json'"),
    (lambda files: files.update({"inputs/added": b""}), "does not name"),
    (lambda files: files.update({"reports/report.html": b"<p>conformant"}), "was changed"),
    (lambda files: files.update({"manifest.json": other_schema(files)}), "has the schema 'meshmark/bundle/9'"),
]


def other_schema(files: dict[str, bytes]) -> bytes:
    return canonical({**json.loads(files["manifest.json"]), "schema": "meshmark/bundle/9"})


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_what_does_not_fit_its_manifest_is_refused(change: Callable[[dict[str, bytes]], None], said: str) -> None:
    files = entries(BYTES)
    change(files)
    assert said in refused(packed(files))


def test_another_spelling_of_the_same_content_is_refused() -> None:
    assert "is not spelled as meshmark spells a bundle" in refused(packed(entries(BYTES)))


def test_a_record_that_does_not_add_up_is_refused_when_it_is_read() -> None:
    bundle = parse_bundle(BYTES, "bundle")
    record = json.loads(bundle.content["record.json"]) | {"outcome": "conformant"}
    forged = Bundle({**bundle.content, "record.json": canonical(record)}, bundle.manifest)
    with pytest.raises(UsageError, match="recomputed not-conformant"):
        _ = forged.material


def test_what_has_no_room_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LARGEST_EVIDENCE", 300)
    bundle = parse_bundle(render(MATERIAL), "bundle")
    kept = [path for path in bundle.content if path.startswith("evidence/")]
    assert sum(len(bundle.content[path]) for path in kept) <= 300
    left_out = bundle.manifest["left_out"]
    assert {each["why"] for each in left_out} == {"no room was left"}
    assert bundle.record_digest == MATERIAL.digest
    found = [each for result in bundle.material.record["results"] for each in result["evidence"]]
    assert {each["sha256"] for each in found if "observed" not in each} == {each["sha256"] for each in left_out}
    monkeypatch.setattr(bundles, "LARGEST_OBSERVATION", 10)
    assert {each["why"] for each in make_bundle(MATERIAL).manifest["left_out"]} == {"larger than an observation may be"}


def test_no_file_takes_the_place_of_another() -> None:
    with pytest.raises(UsageError, match=r"two files of the run would lie at inputs/a/api\.yaml"):
        make_bundle(Material(MATERIAL.record, {"a/api.yaml": b"one", "../a/api.yaml": b"other"}))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_bundle(tmp_path / "none.meshmark.zip")
