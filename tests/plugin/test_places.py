"""Every result says where to look first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.model.errors import UsageError
from conformance.model.verdict import Place, Result
from conformance.plugin.loading import LoadedRun, load_run
from conformance.plugin.options import RunOptions
from conformance.plugin.places import LONGEST_SEARCH, Places
from conformance.plugin.run import make_record
from conformance.report.record_file import contradictions, parse_record, render_record

RUN_FILE = """\
# somebody's
subject:
  name: things
  vendor: somebody
  version: "1"
  contracts: [contracts/things.yaml, contracts/more.yaml]
  url: http://127.0.0.1:1
features: [bearer-tokens,
  failover]
"""
CONTRACT = """\
openapi: 3.0.3
info: {title: Things, version: "1"}
paths:
  /things:
    get: {responses: {"200": {description: all}}}
  /things/{id}:
    $ref: "parts/one.yaml"
"""
PART = """\
get:
  parameters: [{name: id, in: path, required: true, schema: {type: string}}]
  responses: {"200": {description: one}}
"""
MORE = """\
openapi: 3.0.3
info: {title: More, version: "1"}
paths:
  /more:
    post: {responses: {"200": {description: done}}}
  /things:
    get: {responses: {"200": {description: another}}}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedRun:
    for name, text in {
        "things.meshmark.yaml": RUN_FILE,
        "contracts/things.yaml": CONTRACT,
        "contracts/parts/one.yaml": PART,
        "contracts/more.yaml": MORE,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return load_run(tmp_path / "things.meshmark.yaml", RunOptions())


def place(loaded: LoadedRun, check: str, seen: str = "") -> tuple[str, int, int]:
    entry = next(each for each in loaded.plan if each.check.id == check)
    found = Places(loaded).of(entry.check, replace(entry.unrun_result(), seen=seen))
    return found.path, found.line, found.column


@pytest.mark.parametrize(
    ("seen", "where"),
    [
        ("GET /things: 500 after 3 ms; the building block ended", ("contracts/things.yaml", 5, 5)),
        ("POST /more status: 500 is not declared; GET /things 404", ("contracts/more.yaml", 5, 5)),
        ("only (GET /things)", ("contracts/things.yaml", 5, 5)),
        ("2 operations answered", ("contracts/things.yaml", 1, 1)),
        ("FORGET /things", ("contracts/things.yaml", 1, 1)),
        ("GET /things/other", ("contracts/things.yaml", 1, 1)),
        ("", ("contracts/things.yaml", 1, 1)),
        ("x" * LONGEST_SEARCH + " POST /more", ("contracts/things.yaml", 1, 1)),
    ],
)
def test_a_check_of_the_contract_points_at_the_operation_that_was_seen(
    loaded: LoadedRun, seen: str, where: tuple[str, int, int]
) -> None:
    assert place(loaded, "API-002", seen) == where


def test_one_path_may_begin_with_another(loaded: LoadedRun) -> None:
    operation = loaded.contracts[0].operation("GET /things/{id}")
    assert operation is not None
    line = int(operation.location.split(":")[-2])
    assert place(loaded, "API-003", "GET /things/{id}: 500 (3 times)")[:2] == ("contracts/things.yaml", line)


@pytest.mark.parametrize(
    ("file", "position", "where"),
    [
        ("things.yaml", "4:3", ("contracts/things.yaml", 4, 3)),
        ("parts/one.yaml", "2:16", ("contracts/parts/one.yaml", 2, 16)),
        ("more.yaml", "0:3", ("contracts/things.yaml", 1, 1)),
        ("more.yaml", "9" * 5_000 + ":1", ("contracts/things.yaml", 1, 1)),
        ("other.yaml", "2:16", ("contracts/things.yaml", 1, 1)),
    ],
)
def test_a_problem_of_the_contract_points_at_its_own_place(
    loaded: LoadedRun, tmp_path: Path, file: str, position: str, where: tuple[str, int, int]
) -> None:
    seen = f"2 problems; the first at {tmp_path}/contracts/{file}:{position}: `type` is missing"
    assert place(loaded, "API-001", seen) == where


def test_every_other_check_points_at_the_feature_that_it_needs_or_at_the_subject(loaded: LoadedRun) -> None:
    needs = {feature: each.check.id for each in loaded.plan for feature in each.check.needs}
    assert place(loaded, needs["bearer-tokens"]) == ("things.meshmark.yaml", 8, 12)
    assert place(loaded, needs["failover"]) == ("things.meshmark.yaml", 9, 3)
    assert place(loaded, "MTLS-001", "GET /things: 500") == ("things.meshmark.yaml", 2, 1)


def test_the_record_carries_them(loaded: LoadedRun) -> None:
    entry = next(each for each in loaded.plan if each.check.id == "API-002")
    result = replace(entry.unrun_result("GET /things: never called"), reason="not-reached")
    record = make_record(loaded, [result], environment={}, started=NOW, interrupted=False, trouble="").to_json()
    read = parse_record(render_record(record), "record.json")
    assert contradictions(read) == []
    places = {each["check"]: each["place"] for each in read["results"]}
    assert places["API-002"] == {"path": "contracts/things.yaml", "line": 5, "column": 5}
    assert {each["path"] for each in places.values()} <= loaded.files.keys()
    back = Result.from_json(next(each for each in read["results"] if each["check"] == "API-002"))
    assert back.place == Place("contracts/things.yaml", 5, 5)


def test_a_place_that_is_none_is_refused(loaded: LoadedRun) -> None:
    record = make_record(loaded, [], environment={}, started=NOW, interrupted=False, trouble="").to_json()
    record["results"][0]["place"]["line"] = 0
    with pytest.raises(UsageError, match="place"):
        parse_record(render_record(record), "record.json")


NOW = "2026-11-03T14:02:05.000Z"
