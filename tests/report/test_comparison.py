"""Only a fail that became a pass is fixed, whatever got worse is said, and what limits it stands first."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.cli.main import main
from conformance.model.verdict import Verdict
from conformance.report.bundle import render
from conformance.report.comparison import Change, Item, compare
from conformance.report.comparison_page import render as render_page
from conformance.report.comparison_text import comparison_lines
from conformance.report.material import Material
from conformance.report.proof import UNCHECKED, Standing, requirement_standings
from conformance.report.record_file import render_record
from conformance.system.folders import bundled

from . import records
from .pages import Page
from .test_html import spoilt
from .test_properties import run_records

CONFORMANT = Material(records.conformant().to_json())
NOT_CONFORMANT = Material(records.not_conformant().to_json())


def standings() -> list[Standing | None]:
    states = [*(verdict.value for verdict in Verdict), UNCHECKED]
    return [None, *(Standing(state, "MUST") for state in states), Standing("fail", "MUST", waived=True)]


@pytest.mark.parametrize(("before", "after"), [pair for pair in product(standings(), repeat=2) if pair != (None, None)])
def test_every_pair_of_standings_is_called_what_it_is(before: Standing | None, after: Standing | None) -> None:
    item = Item("MTLS-001", "", before, after)
    was, now = (each.state if each else "absent" for each in (before, after))
    assert (item.change is Change.FIXED) == ((was, now) == ("fail", "pass"))
    assert (item.change is Change.NEW_FAIL) == (now == "fail" and was != "fail")
    assert (item.change is Change.GONE) == (now == "absent")
    assert (item.change is Change.SAME) == (before == after)
    lost_pass = was == "pass" != now
    new_fail = now == "fail" and was != "fail"
    uncovered = before is not None and before.waived and after is not None and now == "fail" and not after.waived
    assert item.worse == (lost_pass or new_fail or uncovered)


@settings(deadline=None, max_examples=60)
@given(run_records(), run_records())
def test_nothing_is_lost_and_every_form_says_the_same(one: Any, other: Any) -> None:
    comparison = compare(Material(one.to_json()), Material(other.to_json()))
    said = comparison.to_json()
    validator(said)
    assert json.loads(render_record(said)) == said
    ids = {entry.check.id for entry in (*one.plan, *other.plan)}
    assert {item.id for item in comparison.checks} == ids
    assert sum(said["totals"]["checks"].values()) == len(ids)
    fixed = {
        before.check
        for before, after in product(one.results, other.results)
        if before.check == after.check and (before.verdict, after.verdict) == (Verdict.FAIL, Verdict.PASS)
    }
    assert {item.id for item in comparison.checks if item.change is Change.FIXED} == fixed
    page = Page.of(render_page(comparison))
    shown = {cell.attributes["data-change"]: cell.text for cell in page.all("td") if "data-change" in cell.attributes}
    assert {name: int(text) for name, text in shown.items()} == said["totals"]["checks"]
    lines = comparison_lines(comparison)
    assert lines[0] == "Ground:"
    assert ("Nothing got worse." in lines) == (not comparison.worse)


def validator(said: Any) -> None:
    schema = json.loads(bundled("reports/schemas/comparison-1.schema.json").read_bytes())
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(said)


@settings(deadline=None, max_examples=100)
@given(run_records())
def test_a_requirement_passes_only_if_all_its_checks_that_apply_do(record: Any) -> None:
    for requirement, standing in requirement_standings(record.to_json()).items():
        verdicts = {result.verdict for result in record.results if requirement in result.proves}
        passes = Verdict.PASS in verdicts and verdicts <= {Verdict.PASS, Verdict.NOT_APPLICABLE}
        assert (standing.state == "pass") == passes
        assert (standing.state == "fail") == (Verdict.FAIL in verdicts)
        assert not standing.waived or standing.state == "fail"


def test_a_record_compared_with_itself_is_the_same() -> None:
    comparison = compare(NOT_CONFORMANT, NOT_CONFORMANT)
    assert not comparison.worse
    assert comparison.ground == []
    assert {item.change for item in [*comparison.checks, *comparison.requirements]} == {Change.SAME}


def other_ground(**changes: Any) -> list[str]:
    record = json.loads(json.dumps(records.not_conformant().to_json()))
    for path, value in changes.items():
        place = record
        *parents, last = path.split("__")
        for each in parents:
            place = place[each]
        place[last] = value
    return [each.what for each in compare(NOT_CONFORMANT, Material(record)).ground]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"suite__version": "0.2.0"}, "suite version"),
        ({"suite__catalogue_digest": "sha256:" + "00" * 32}, "catalogue"),
        ({"profile": "strict"}, "profile"),
        ({"topology": "sidecar"}, "topology"),
        ({"subject__contracts": [{"path": "a.yaml", "sha256": "00" * 32}]}, "contracts"),
        ({"environment__envoy_version": "1.41.0"}, "Envoy version"),
        ({"subject__name": "death-registry"}, "subject"),
        ({"waivers": []}, "waivers"),
        ({"interrupted": True}, "interrupted"),
        ({"finished": "2020-01-01T00:00:00.000Z"}, "order"),
        ({"seed": 1}, "seed"),
    ],
)
def test_whatever_limits_a_comparison_is_named(changes: dict[str, Any], what: str) -> None:
    assert other_ground(**changes) == [what]


def test_declared_features_are_compared_where_both_run_files_are_at_hand() -> None:
    def declares(text: bytes | None) -> Material:
        files = {} if text is None else {"birth-registry.meshmark.yaml": text}
        return Material(NOT_CONFORMANT.record, files)

    def ground(one: bytes | None, other: bytes | None) -> dict[str, tuple[str, str]]:
        return {each.what: (each.before, each.after) for each in compare(declares(one), declares(other)).ground}

    assert ground(b"features: [grpc, tracing]", b"features: [grpc]")["declared features"] == ("grpc, tracing", "grpc")
    assert ground(b"features: [grpc]", None)["declared features (not known)"] == ("grpc", "not known")
    assert "declared features" not in ground(b"features: [grpc]\n# more", b"features: [grpc]")
    assert ground(b"features: [grpc]", b"features: {a: \xff")["declared features (not known)"][1] == "not known"


def test_a_check_that_was_left_out_limits_it_and_is_a_lost_pass() -> None:
    record = records.conformant()
    left_out = replace(record.plan[0], run=False, reason="not selected by --only")
    results = (left_out.unrun_result(), *record.results[1:])
    comparison = compare(
        CONFORMANT, Material(replace(record, plan=(left_out, *record.plan[1:]), results=results).to_json())
    )
    assert [(each.what, each.after) for each in comparison.ground] == [
        ("left out of the plan", "MTLS-001: not selected by --only")
    ]
    assert [item.id for item in comparison.checks if item.change is Change.LOST_PASS] == ["MTLS-001"]
    assert comparison.worse


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", "\x00\x1b[2J\u202e", "</title></style><h1>", "x" * 1_000_000],
    ids=["html", "steering", "closing", "megabyte"],
)
def test_hostile_text_does_no_harm(hostile: str) -> None:
    wild, tame = (Material(spoilt(records.not_conformant(), text)) for text in (hostile, "harmless"))
    page = render_page(compare(CONFORMANT, wild))
    assert Page.of(page).shape == Page.of(render_page(compare(CONFORMANT, tame))).shape
    assert len(page) < 600_000
    text = "\n".join(comparison_lines(compare(CONFORMANT, wild)))
    assert not set("\x00\x1b\u202e") & set(text)
    assert len(text) < 60_000


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command_takes_records_bundles_and_folders(tmp_path: Path, capfdbinary: Any) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "record.json").write_bytes(render_record(CONFORMANT.record))
    bundle = tmp_path / "b.meshmark.zip"
    bundle.write_bytes(render(NOT_CONFORMANT))
    assert call("compare", tmp_path / "a", bundle, "--format", "json") == 1
    said = json.loads(capfdbinary.readouterr().out)
    validator(said)
    assert said["worse"] is True
    assert call("compare", bundle, bundle) == 0
    assert b"Nothing got worse." in capfdbinary.readouterr().out
    assert call("compare", bundle, tmp_path / "a" / "record.json") == 1  # passes are gone
    assert call("compare", bundle, tmp_path / "a", "--format", "html", "--out", tmp_path / "c.html") == 1
    assert Page.of((tmp_path / "c.html").read_bytes()).all("h1")
    capfdbinary.readouterr()
    call("compare", bundle, tmp_path / "a", "--format", "json")
    english = capfdbinary.readouterr().out
    call("compare", bundle, tmp_path / "a", "--format", "json", "--language", "de")
    assert capfdbinary.readouterr().out == english
    assert call("compare", bundle, bundle, "--language", "de") == 0
    assert "Keine Verschlechterung." in capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize("content", [None, b"", b"{}", b"PK"])
def test_what_is_no_record_is_refused(content: bytes | None, tmp_path: Path, capfd: Any) -> None:
    good = tmp_path / "good.json"
    good.write_bytes(render_record(CONFORMANT.record))
    for name in ("bad.json", "bad.meshmark.zip"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert call("compare", good, tmp_path / name) == 2
        assert name in capfd.readouterr().err
    (tmp_path / "empty").mkdir()
    assert call("compare", good, tmp_path / "empty") == 2
    assert "holds no record.json" in capfd.readouterr().err


@given(st.sampled_from([CONFORMANT, NOT_CONFORMANT]), st.sampled_from([CONFORMANT, NOT_CONFORMANT]))
def test_it_is_the_same_every_time(one: Material, other: Material) -> None:
    assert render_page(compare(one, other)) == render_page(compare(one, other))
