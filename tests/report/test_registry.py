"""A registry counts only what is whole, says what it refused, and is the same however it came to be."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema_rs
import pytest

from conformance.cli.main import main
from conformance.model.errors import EnvironmentFault, UsageError
from conformance.report import bundle as bundles
from conformance.report.bundle import Bundle, parse_bundle, render
from conformance.report.formats import Format
from conformance.report.material import Material
from conformance.report.registry import build as building
from conformance.report.registry import rendering
from conformance.report.registry import site as sites
from conformance.report.registry.build import Built, build_registry
from conformance.report.registry.rendering import NotShownError
from conformance.report.registry.site import STATE_FILE
from conformance.report.registry.verification import Finding, FindingKind, Verifier
from conformance.system.folders import bundled

from . import records
from .pages import Page
from .registries import TITLE, TODAY, bundle_of, fill, renamed, small_site
from .test_html import spoilt

LONG = "<img src=x onerror=alert(1)>" * 6_000  # in every field: more than that does not fit into a bundle


def build(folder: Path, site: Path, **changes: Any) -> Built:
    return build_registry(folder, site, **({"title": TITLE, "today": TODAY} | changes))


def content(site: Path) -> dict[str, bytes]:
    return {each.relative_to(site).as_posix(): each.read_bytes() for each in site.rglob("*") if each.is_file()}


def index(site: Path) -> Any:
    return json.loads((site / "index.json").read_bytes())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_site(tmp_path_factory.mktemp("registry"))


def test_the_index_keeps_to_its_schema_and_its_addresses_lead_somewhere(site: Path) -> None:
    found = index(site)
    schema = json.loads(bundled("reports/schemas/registry-1.schema.json").read_bytes())
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(found)
    places = [each["page"] for each in found["subjects"]]
    places += [each[name] for each in found["bundles"] for name in ("page", "report", "bundle")]
    assert all((site / place).is_file() for place in places)
    assert [each["name"] for each in found["subjects"]] == [
        "birth-registry",
        "citizen-id",
        "death-registry",
        "patient-registry",
    ]
    assert {each["path"]: each["reason"] for each in found["refused"]} == {
        "bad/tomorrow.meshmark.zip": "is dated in the future: its run ended at 2031-01-01T00:00:00.000Z",
        "bad/truncated.meshmark.zip": "is no whole zip file: File is not a zip file",
    }


def test_two_bundles_of_one_record_are_one_and_the_signed_one_is_shown(site: Path) -> None:
    (shown,) = [each for each in index(site)["bundles"] if len(each["paths"]) > 1]
    assert shown["paths"] == ["birth/1.2-signed.meshmark.zip", "birth/1.2.meshmark.zip"]
    assert shown["signatures"] == ["laboratory"]


def test_every_bundle_can_be_verified_again(site: Path) -> None:
    for each in index(site)["bundles"]:
        bundle = parse_bundle((site / each["bundle"]).read_bytes(), "copy")
        assert bundle.record_digest == each["record"]
        assert bundle.material.record["outcome"] == each["outcome"]
        page = (site / each["page"]).read_text("utf-8")
        assert each["sha256"] in page
        assert f"meshmark verify {Path(each['bundle']).name} --trust" in page


def pages_below(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_page_is_sound_stands_alone_and_finds_its_way(site: Path) -> None:
    ids = {each: set(Page.of(each.read_bytes()).values("id")) for each in pages_below(site)}
    for place in ids:
        page = Page.of(place.read_bytes())
        names = page.values("id")
        assert len(names) == len(set(names)), place
        assert page.all("html")[0].attributes["lang"] == "en"
        assert [len(page.all(tag)) for tag in ("h1", "main", "nav")] == [1, 1, 1]
        assert page.all("script", "link", "img", "iframe", "form") == []
        assert page.values("src") == []
        assert all(cell.attributes.get("scope") for cell in page.all("th"))
        assert [each for each in page.all("a") if each.attributes.get("class") == "skip"]
        for target in page.values("href"):
            path, _, fragment = target.partition("#")
            assert "://" not in path
            assert not path.startswith("/")
            goal = (place.parent / path).resolve() if path else place
            assert goal.is_file(), (place, target)
            assert not fragment or goal not in ids or fragment in ids[goal] or path == "", (place, target)


def cells_of(page: Page) -> list[str]:
    return [cell.text for cell in page.all("td") if str(cell.attributes.get("class", "")).startswith("m-")]


def test_the_matrix_shows_what_the_records_say_and_nothing_but_a_pass_as_a_pass(site: Path) -> None:
    found = index(site)
    columns = sorted({each for bundle in found["bundles"] for each in bundle["requirements"]})
    latest = {each["latest"] for each in found["subjects"]}
    cells = cells_of(Page.of((site / "index.html").read_bytes()))
    assert len(cells) == len(columns) * len(found["subjects"])
    expected = [
        each for bundle in found["bundles"] if bundle["record"] in latest for each in bundle["requirements"].values()
    ]
    assert cells.count("Pass") == sum(1 for each in expected if each["state"] == "pass")
    assert cells.count("Fail, waived") == sum(1 for each in expected if each["waived"])
    assert cells.count("Fail") == sum(1 for each in expected if each["state"] == "fail" and not each["waived"])
    assert cells.count("Not named") == len(cells) - len(expected)


def test_a_waiver_that_has_ended_covers_nothing_any_more(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site", today=date(2027, 1, 31))
    assert "ends today" in (tmp_path / "site/index.html").read_text("utf-8")
    before = cells_of(Page.of((tmp_path / "site/index.html").read_bytes()))
    build(folder, tmp_path / "site", today=date(2027, 2, 1))
    page = Page.of((tmp_path / "site/index.html").read_bytes())
    after = cells_of(page)
    assert before.count("Fail, waived") == 2
    assert after.count("Fail, waived") == 0
    assert after.count("Fail") == before.count("Fail") + 2
    assert "rested on a waiver that has ended since" in page.all("h1")[0].text
    death = next(each for each in index(tmp_path / "site")["bundles"] if each["subject"]["name"] == "death-registry")
    assert death["waivers_lapsed"] == ["DISCOVERY-002"]
    assert "ended since" in (tmp_path / "site" / death["page"]).read_text("utf-8")


def test_the_feed_is_atom_and_names_every_bundle(site: Path) -> None:
    feed = ET.fromstring((site / "feed.xml").read_bytes())  # noqa: S314 -- our own output
    atom = "{http://www.w3.org/2005/Atom}"
    assert feed.tag == f"{atom}feed"
    assert all(feed.findtext(f"{atom}{name}") for name in ("id", "title", "updated"))
    entries = feed.findall(f"{atom}entry")
    assert len({entry.findtext(f"{atom}id") for entry in entries}) == len(index(site)["bundles"])
    for entry in entries:
        assert all(entry.findtext(f"{atom}{name}") for name in ("id", "title", "updated", "summary"))
        assert all((site / str(link.get("href"))).is_file() for link in entry.findall(f"{atom}link"))
    moments = [str(entry.findtext(f"{atom}updated")) for entry in entries]
    assert moments == sorted(moments, reverse=True)


# ---------------------------------------------------------------------- again and again


def test_a_second_build_touches_nothing(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    before = stamps(tmp_path / "site")
    assert build(folder, tmp_path / "site").made == 0
    assert stamps(tmp_path / "site") == before


def test_one_bundle_more_leaves_the_others_pages_as_they_are(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    before = stamps(tmp_path / "site")
    (folder / "new.meshmark.zip").write_bytes(bundle_of(renamed(records.conformant(), "new")))
    build(folder, tmp_path / "site")
    after = stamps(tmp_path / "site")
    kept = {path for path in before if path.startswith(("bundles/", "subjects/"))}
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}


def stamps(site: Path) -> dict[str, tuple[int, int, int]]:
    """Which file it is, and when it was written."""
    found = {each: each.stat() for each in site.rglob("*") if each.is_file()}
    return {
        each.relative_to(site).as_posix(): (stat.st_ino, stat.st_mtime_ns, stat.st_size) for each, stat in found.items()
    }


STEPS: list[tuple[str, Callable[[Path], Any]]] = [
    ("more", lambda folder: (folder / "new.meshmark.zip").write_bytes(bundle_of(renamed(records.conformant(), "new")))),
    ("fewer", lambda folder: (folder / "birth/1.2-signed.meshmark.zip").unlink()),
    ("another", lambda folder: (folder / "death.meshmark.zip").write_bytes(b"damaged")),
    ("moved", lambda folder: (folder / "citizens.meshmark.zip").rename(folder / "bad/citizens.meshmark.zip")),
    ("newer", lambda folder: (folder / "birth/2.meshmark.zip").write_bytes(
        bundle_of(renamed(records.interrupted(), "birth-registry", finished="2026-11-09T00:00:00.000Z")))),
    ("gone", lambda folder: (shutil.rmtree(folder), folder.mkdir())),
]  # fmt: skip


def test_an_incremental_build_gives_byte_for_byte_what_one_from_nothing_gives(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    for name, step in STEPS:
        step(folder)
        built = build(folder, tmp_path / "site")
        fresh = build(folder, tmp_path / f"fresh-{name}")
        assert content(tmp_path / "site") == content(tmp_path / f"fresh-{name}"), name
        assert fresh.made == fresh.files
        assert built.made < fresh.made or name == "gone"
    assert not list(tmp_path.glob(".*"))


def test_the_order_on_the_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "one")
    walk = os.walk
    monkeypatch.setattr(
        sites.os,
        "walk",
        lambda top, **how: ((where, below, names[::-1]) for where, below, names in walk(top, **how)),
    )
    build(folder, tmp_path / "other")
    assert content(tmp_path / "one") == content(tmp_path / "other")


def test_other_processes_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "bundles")
    (folder / "bad.meshmark.zip").write_bytes(BAD["evidence at a leap second"][0])
    build(folder, tmp_path / "one")
    monkeypatch.setattr(rendering, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(rendering.os, "cpu_count", lambda: 2)
    build(folder, tmp_path / "other")
    assert content(tmp_path / "one") == content(tmp_path / "other")
    assert "bad.meshmark.zip" in {each["path"] for each in index(tmp_path / "other")["refused"]}


def test_a_bundle_of_which_no_page_can_be_made_is_refused_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "bundles")
    (folder / "odd.meshmark.zip").write_bytes(bundle_of(renamed(records.conformant(), "odd")))
    of = Format.of

    def failing(form: Format, material: Material) -> bytes:
        if material.record["subject"]["name"] == "odd":
            raise ValueError("too odd")
        return of(form, material)

    monkeypatch.setattr(Format, "of", failing)
    build(folder, tmp_path / "site")
    refused = {each["path"]: each["reason"] for each in index(tmp_path / "site")["refused"]}
    assert refused["odd.meshmark.zip"] == "holds a value that cannot be shown: ValueError: too odd"
    assert len(index(tmp_path / "site")["bundles"]) == 5


def test_why_no_page_can_be_made_comes_back_from_another_process() -> None:
    why = NotShownError("0" * 64, "ValueError: too odd")
    assert vars(pickle.loads(pickle.dumps(why))) == vars(why)  # noqa: S301 -- our own


def test_a_bundle_that_changes_while_the_site_is_built_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, site = fill(tmp_path / "bundles"), tmp_path / "site"
    build(folder, site)
    before = content(site)
    (folder / "new.meshmark.zip").write_bytes(bundle_of(renamed(records.conformant(), "new")))
    make_register = building.make_register

    def meanwhile(*given: Any, **named: Any) -> Any:
        (folder / "new.meshmark.zip").write_bytes(GOOD)
        return make_register(*given, **named)

    monkeypatch.setattr(building, "make_register", meanwhile)
    with pytest.raises(EnvironmentFault, match="changed while the site was built"):
        build(folder, site)
    assert content(site) == before


def test_a_page_that_somebody_changed_is_made_anew(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    before = content(tmp_path / "site")
    (tmp_path / "site/index.html").write_text("all is well")
    (tmp_path / "site/feed.xml").unlink()
    assert build(folder, tmp_path / "site").made == 2
    assert content(tmp_path / "site") == before


def test_the_site_may_lie_among_the_bundles(tmp_path: Path) -> None:
    folder = fill(tmp_path)
    first = build(folder, folder / "site")
    assert build(folder, folder / "site").register.paths == first.register.paths


# ---------------------------------------------------------------------- nothing is lost


def test_an_interrupted_build_leaves_the_site_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    before = content(tmp_path / "site")
    (folder / "new.meshmark.zip").write_bytes(bundle_of(renamed(records.conformant(), "new")))

    def interrupt(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(building, "render_index", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(folder, tmp_path / "site")
    assert content(tmp_path / "site") == before
    assert not list(tmp_path.glob(".*"))
    build(folder, tmp_path / "site")
    assert len(index(tmp_path / "site")["subjects"]) == 5


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    folder, left = fill(tmp_path / "bundles"), tmp_path / ".site.unfinished"
    (left / "areas").mkdir(parents=True)
    (left / "areas/API.html").touch()
    (left / sites.MARK).touch()
    build(folder, tmp_path / "site")
    assert not left.exists()


def test_file_systems_where_folders_cannot_change_places_do_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "bundles")
    monkeypatch.setattr(sites, "_exchanged", lambda *_: False)
    build(folder, tmp_path / "site")
    (folder / "death.meshmark.zip").unlink()
    build(folder, tmp_path / "site")
    build(folder, tmp_path / "fresh")
    assert content(tmp_path / "site") == content(tmp_path / "fresh")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("foreign", ["notes.txt", "bundles/mine.html", ".git/config"])
def test_a_folder_with_foreign_files_is_refused_and_left_alone(foreign: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    for made_before in (False, True):
        site = tmp_path / f"site-{made_before}"
        if made_before:
            build(folder, site)
        (site / foreign).parent.mkdir(parents=True, exist_ok=True)
        (site / foreign).write_text("mine")
        before = content(site)
        with pytest.raises(UsageError, match="which meshmark did not make"):
            build(folder, site, title="another")
        assert content(site) == before


def test_a_foreign_file_that_comes_while_the_site_is_built_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, site = fill(tmp_path / "bundles"), tmp_path / "site"
    build(folder, site)

    def meanwhile(*_: Any) -> bytes:
        (site / "mine.txt").write_text("mine")
        return b"{}"

    monkeypatch.setattr(building, "render_index", meanwhile)
    with pytest.raises(EnvironmentFault, match="what meshmark did not make"):
        build(folder, site, title="another")
    assert (tmp_path / ".site.unfinished/mine.txt").read_text() == "mine"
    assert (site / "index.html").is_file()


def test_two_builds_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, site = fill(tmp_path / "bundles"), tmp_path / "site"
    build(folder, site)

    def again(*_: Any) -> bytes:
        build(folder, site, title="third")
        return b""

    monkeypatch.setattr(building, "render_feed", again)
    with pytest.raises(EnvironmentFault, match="another build writes this site"):
        build(folder, site, title="second")
    assert TITLE in (site / "index.html").read_text("utf-8")


@pytest.mark.parametrize("state", [b"", b"[]", b'{"schema": "other"}', b"{" * 10_000, b'{"schema": 1, "files": 2}'])
def test_a_state_that_cannot_be_read_is_refused(state: bytes, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(fill(tmp_path / "bundles"), site)
    (site / STATE_FILE).write_bytes(state)
    with pytest.raises(UsageError, match="nobody knows what of this folder meshmark made"):
        build(tmp_path / "bundles", site)


def test_a_state_cannot_name_files_outside(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(fill(tmp_path / "bundles"), site)
    state = json.loads((site / STATE_FILE).read_bytes())
    state["files"]["../bundles/death.meshmark.zip"] = {"key": "", "sha256": ""}
    (site / STATE_FILE).write_text(json.dumps(state))
    with pytest.raises(UsageError):
        build(tmp_path / "bundles", site)
    assert (tmp_path / "bundles/death.meshmark.zip").is_file()


# ---------------------------------------------------------------------- verification


def test_what_verification_refuses_counts_as_nothing_and_what_it_says_is_shown(tmp_path: Path) -> None:
    def asked(bundle: Bundle) -> list[Finding]:
        if not bundle.signatures:
            return [Finding(FindingKind.REFUSED, "nobody signed it")]
        return [Finding(FindingKind.NOTE, "certified by the governance body", "2026-11-30")]

    folder = fill(tmp_path / "bundles")
    build(folder, tmp_path / "site")
    build(folder, tmp_path / "site", verifier=Verifier("signed ones only", asked))
    found = index(tmp_path / "site")
    assert [each["signatures"] for each in found["bundles"]] == [["laboratory"]]
    assert sum(1 for each in found["refused"] if each["reason"] == "nobody signed it") == 6
    assert found["expiries"][0]["what"] == "certified by the governance body"
    assert found["expiries"][0]["state"] == "ends in 20 days"
    build(folder, tmp_path / "fresh", verifier=Verifier("signed ones only", asked))
    assert content(tmp_path / "site") == content(tmp_path / "fresh")


# ---------------------------------------------------------------------- bad input


def forged(change: Callable[[dict[str, Any]], Any]) -> bytes:
    record = json.loads(json.dumps(records.not_conformant().to_json()))
    change(record)
    with mock.patch.object(bundles, "REPORTS_INSIDE", ()):  # of some no report can be made
        return render(Material(record))


def with_infinite_duration() -> bytes:
    bundle = parse_bundle(GOOD, "good")
    record = bundle.content["record.json"].replace(b'"duration_s":0.412', b'"duration_s":1e999')
    return remade(bundle, {**bundle.content, "record.json": record})


def remade(bundle: Bundle, files: dict[str, bytes]) -> bytes:
    """The bundle with other files, and a manifest that fits them."""
    digests = {path: hashlib.sha256(each).hexdigest() for path, each in files.items()}
    named = [{"path": path, "size": len(files[path]), "sha256": digest} for path, digest in digests.items()]
    return Bundle(files, {**bundle.manifest, "files": named, "record": digests["record.json"]}).to_bytes()


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return packed.getvalue()


def own_requirements(number: int) -> dict[str, Any]:
    return {f"OWN-R{each}": {"text": "", "level": None, "sources": [], "unchecked": "x"} for each in range(number)}


GOOD = bundle_of(records.conformant())
LONG_ID = "M" * 300
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is no whole zip file"),
    "cut": (GOOD[:-1], "is no whole zip file"),
    "flipped": (GOOD[:5000] + bytes([GOOD[5000] ^ 1]) + GOOD[5001:], ""),
    "slip": (zipped(**{"../../escape.html": b"x"}), ""),
    "bomb": (zipped(**{"record.json": bytes(50_000_000)}), "compressed"),
    "outcome": (forged(lambda record: record.update(outcome="conformant")), "is no sound record"),
    "schema": (forged(lambda record: record.update(schema="meshmark/record/9")), "has the schema"),
    "leap second": (forged(lambda record: record.update(finished="2026-11-03T23:59:60Z")), "is a leap second"),
    "evidence at a leap second": (
        forged(lambda record: record["results"][0]["evidence"][0].update(at="2026-11-03T23:59:60Z")),
        "is a leap second",
    ),
    "infinite": (with_infinite_duration(), ""),
    "long id": (
        forged(lambda record: record["requirements"].update(
            {f"{LONG_ID}-R1": {"text": "", "level": None, "sources": [], "unchecked": "x"}})),
        "too long",
    ),
    "many": (forged(lambda record: record["requirements"].update(own_requirements(2_000))), "requirements"),
}  # fmt: skip


def test_bad_bundles_are_refused_each_for_its_reason_and_the_others_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "bundles"
    folder.mkdir()
    for name, (each, _) in BAD.items():
        (folder / f"{name}.meshmark.zip").write_bytes(each)
    (folder / "good.meshmark.zip").write_bytes(GOOD)
    os.mkfifo(folder / "pipe.meshmark.zip")
    build(folder, tmp_path / "site")
    found = index(tmp_path / "site")
    assert [each["paths"] for each in found["bundles"]] == [["good.meshmark.zip"]]
    reasons = {each["path"].removesuffix(".meshmark.zip"): each["reason"] for each in found["refused"]}
    for name, (_, reason) in BAD.items():
        assert reason in reasons[name], name
    assert reasons["pipe"] == "is no regular file"
    assert not list(tmp_path.rglob("escape*"))
    page = Page.of((tmp_path / "site/index.html").read_bytes())
    assert all(name in page.by_id("refused").text for name in reasons)


@pytest.mark.parametrize(
    "hostile",
    [LONG, "\x00\x1b[2J\u202egnp", "</title></style><h1>", "../../etc/passwd\\"],
    ids=["html", "steering", "closing", "path"],
)
def test_hostile_text_becomes_a_harmless_page(hostile: str, tmp_path: Path) -> None:
    record = spoilt(records.not_conformant(), hostile)
    record = json.loads(json.dumps(record))
    for each in record["results"]:
        each["evidence"], each["expectations"] = [], []
        each["reason"] = "some-code"
    for each, original in zip(record["subject"]["contracts"], "ab", strict=True):
        each["sha256"] = original * 64
    record["suite"]["catalogue_digest"] = record["environment"]["envoy_digest"] = "sha256:" + "0" * 64
    record["environment"]["runtime"], record["environment"]["hosts"] = "process", "shared"
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "hostile.meshmark.zip").write_bytes(render(Material(record)))
    build(folder, tmp_path / "site", title=hostile)
    found = index(tmp_path / "site")
    assert found["refused"] == []
    assert len(found["bundles"]) == 1
    for each in pages_below(tmp_path / "site"):
        page = each.read_bytes()
        assert len(page) < 2_000_000, each
        parsed = Page.of(page)
        assert parsed.all("script", "img", "iframe") == []
        assert len(parsed.all("h1")) == 1
        assert not set("\x00\x1b\u202e") & set(page.decode())
    assert not list(tmp_path.rglob("passwd*"))
    ET.fromstring((tmp_path / "site/feed.xml").read_bytes())  # noqa: S314 -- our own output


def test_a_report_inside_a_bundle_is_never_published(tmp_path: Path) -> None:
    bundle = parse_bundle(GOOD, "good")
    evil = {**bundle.content, "reports/report.html": b"<script>alert(1)</script>"}
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles/evil.meshmark.zip").write_bytes(remade(bundle, evil))
    build(tmp_path / "bundles", tmp_path / "site")
    assert len(index(tmp_path / "site")["bundles"]) == 1
    assert not [each for each in pages_below(tmp_path / "site") if b"alert(1)" in each.read_bytes()]


def test_clocks_that_ran_ahead_by_less_than_a_day_are_believed(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    ahead = replace(records.conformant(), finished=f"{TODAY.isoformat()}T23:59:59.000Z")
    (tmp_path / "bundles/ahead.meshmark.zip").write_bytes(bundle_of(ahead))
    assert build(tmp_path / "bundles", tmp_path / "site").register.refusals == ()


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "bundles")
    assert call("registry", "build", folder, "--out", tmp_path / "site", "--as-of", "2026-11-10") == 0
    said = capsys.readouterr().out
    assert "4 subjects, 5 bundles, 2 refused" in said
    assert "refused: bad/truncated.meshmark.zip: is no whole zip file" in said
    assert call("registry", "build", folder, "--out", tmp_path / "de", "--language", "de") == 0
    assert Page.of((tmp_path / "de/index.html").read_bytes()).all("title")[0].text == "Konformitätsregister"
    page = next((tmp_path / "de").glob("bundles/*/index.html")).read_text("utf-8")
    assert "nobody vouches" not in page
    capsys.readouterr()
    assert call("registry", "build", tmp_path / "none", "--out", tmp_path / "site") == 2
    assert "is no folder" in capsys.readouterr().err
    (tmp_path / "site/mine").touch()
    assert call("registry", "build", folder, "--out", tmp_path / "site") == 2


def test_an_empty_folder_makes_an_empty_registry(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    build(tmp_path / "bundles", tmp_path / "site")
    assert "No subject is registered yet." in (tmp_path / "site/index.html").read_text("utf-8")
