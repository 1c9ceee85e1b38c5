"""record.json is written in one way only, and what is not a sound record is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.model.canonical import canonical
from conformance.model.check import Topology
from conformance.model.errors import SuiteFault, UsageError
from conformance.model.record import RECORD_SCHEMA, WaiverSignature, WaiverState
from conformance.model.requirements import Level
from conformance.model.verdict import Evidence, EvidenceKind, Outcome, Verdict
from conformance.report.material import Material
from conformance.report.record_file import contradictions, core_of, read_record, render_record, schema_path

from . import records

MAY_BE_ELSEWHERE = {"observed"}
SCHEMA = json.loads(schema_path().read_text(encoding="utf-8"))


def test_the_schema_is_a_sound_schema_and_strict_everywhere() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == RECORD_SCHEMA

    def strict(node: Any, place: str) -> None:
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                assert node["additionalProperties"] is False, place
                assert node["properties"].keys() - set(node["required"]) <= MAY_BE_ELSEWHERE, place
            for key, value in node.items():
                strict(value, f"{place}/{key}")

    strict(SCHEMA, "")


@pytest.mark.parametrize(
    ("place", "names"),
    [
        (SCHEMA["properties"]["outcome"], Outcome),
        (SCHEMA["properties"]["topology"], Topology),
        (SCHEMA["properties"]["waivers"]["items"]["properties"]["state"], WaiverState),
        (SCHEMA["$defs"]["level"], Level),
        (SCHEMA["$defs"]["result"]["properties"]["verdict"], Verdict),
        (SCHEMA["$defs"]["result"]["properties"]["evidence"]["items"]["properties"]["kind"], EvidenceKind),
    ],
)
def test_the_schema_knows_the_words_of_the_model(place: dict[str, Any], names: type[StrEnum]) -> None:
    assert place["enum"] == [name.value for name in names]


@pytest.mark.parametrize("make", [records.conformant, records.not_conformant, records.interrupted])
def test_an_honest_record_is_read_back_whole(make: Callable[[], Any], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(render_record(make().to_json()))
    assert read_record(path) == json.loads(path.read_bytes())
    assert contradictions(make().to_json()) == []


def test_the_spelling_does_not_depend_on_the_order_of_keys() -> None:
    record = records.not_conformant().to_json()
    turned = dict(reversed(record.items()))
    assert render_record(turned) == render_record(record)
    assert render_record(record).endswith(b"}\n")


def test_half_a_surrogate_pair_is_replaced_so_that_the_file_stays_utf_8() -> None:
    record = records.conformant().to_json() | {"run_file": "half \ud83d pair, whole \U0001f600 pair"}
    assert json.loads(render_record(record).decode())["run_file"] == "half \ufffd pair, whole \U0001f600 pair"


@pytest.mark.parametrize("value", [b"bytes", float("nan"), float("inf"), {1: 2, "a": 3}, object()])
def test_evidence_that_is_not_json_is_a_fault_of_the_suite(value: object) -> None:
    record = records.conformant().to_json()
    with pytest.raises(SuiteFault, match="cannot be written as JSON"):
        Evidence("odd", EvidenceKind.NOTE, {"value": value}).to_json()
    record["results"][0]["evidence"][0]["observed"] = {"value": value}
    with pytest.raises(SuiteFault, match="cannot be written as JSON"):
        render_record(record)


def test_a_number_that_json_cannot_carry_is_kept_as_text() -> None:
    evidence = Evidence("nanoseconds", EvidenceKind.NOTE, {"at": 2**60, "name": "half \ud83d pair"}).to_json()
    assert evidence["observed"] == {"at": str(2**60), "name": "half \ufffd pair"}


def test_a_record_of_the_first_schema_is_still_read(tmp_path: Path) -> None:
    record = records.not_conformant().to_json()
    path = tmp_path / "record.json"
    path.write_bytes(render_record(record))
    now = read_record(path)
    now["results"] = [{**result, "place": None} for result in now["results"]]
    for result in record["results"]:
        del result["place"]
        for evidence in result["evidence"]:
            del evidence["sha256"]
    for waiver in record["waivers"]:
        del waiver["signature"]
    del record["features"]  # which is not known then
    path.write_text(json.dumps(record | {"schema": "meshmark/record/1"}))
    now = now | {"features": None}
    assert read_record(path) == now
    assert Material(now).digest == Material(read_record(path)).digest


def test_the_name_of_a_record_does_not_depend_on_where_its_evidence_is() -> None:
    record = records.not_conformant().to_json()
    assert Material(core_of(record)).digest == Material(record).digest
    assert canonical(core_of(core_of(record))) == canonical(core_of(record))


@pytest.mark.parametrize("where", ["the run", "a check", "evidence", "a signature"])
def test_a_leap_second_is_refused_before_it_breaks_a_report(where: str, tmp_path: Path) -> None:
    record = records.not_conformant().to_json()
    signature = WaiverSignature("The Ministry", "governance", "0" * 64, records.AT, "{}")
    record["waivers"][0]["signature"] = asdict(signature)
    places = {
        "the run": (record, "finished"),
        "a check": (record["results"][0], "started"),
        "evidence": (record["results"][0]["evidence"][0], "at"),
        "a signature": (record["waivers"][0]["signature"], "at"),
    }
    holder, name = places[where]
    holder[name] = "2026-12-31T23:59:60Z"
    assert "leap second" in refused(record, tmp_path)


def test_evidence_that_was_changed_is_found(tmp_path: Path) -> None:
    record = records.conformant().to_json()
    record["results"][0]["evidence"][0]["observed"]["added"] = True
    assert "is not what its digest says" in refused(record, tmp_path)


def refused(record: Any, tmp_path: Path) -> str:
    path = tmp_path / "record.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_record(path)
    assert caught.value.where == str(path)
    assert caught.value.next_step
    return str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize(
    "text", ["", "{", '{"seed": NaN}', "[" * 100_000, '"\udcff"'.encode(errors="replace").decode()]
)
def test_what_is_no_json_or_no_record_is_refused(text: str, tmp_path: Path) -> None:
    assert "is no JSON" in refused(text, tmp_path) or "has the schema None" in refused(text, tmp_path)


@pytest.mark.parametrize("named", [None, "meshmark/record/3", 7, "x" * 10_000])
def test_another_schema_is_refused_by_name(named: object, tmp_path: Path) -> None:
    message = refused(records.conformant().to_json() | {"schema": named}, tmp_path)
    assert "has the schema" in message
    assert repr(RECORD_SCHEMA) in message
    assert len(message) < 1_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record | {"extra": 1}, "extra"),
        (lambda record: record | {"seed": "7"}, "seed: "),
        (lambda record: record | {"started": "yesterday"}, "started: "),
        (lambda record: record | {"started": "2026-11-03T14:02:07+01:00"}, "started: "),
        (lambda record: record | {"\ud800": "half a surrogate pair"}, "surrogates"),
        (lambda record: {key: value for key, value in record.items() if key != "waivers"}, "waivers"),
        (lambda record: record | {"subject": record["subject"] | {"role": "king"}}, "subject/role: "),
        (lambda record: record | {"totals": record["totals"] | {"pass": 9}}, "totals: pass is 9, counted 3"),
        (lambda record: record | {"outcome": "incomplete"}, "outcome: is incomplete, recomputed conformant"),
        (lambda record: record | {"results": record["results"][1:]}, "results: MTLS-001 of the plan is missing"),
        (lambda record: record | {"plan": record["plan"][1:]}, "results: MTLS-001 is not in the plan"),
        (lambda record: record | {"plan": [*record["plan"], record["plan"][0]]}, "plan: MTLS-001 stands there 2 times"),
        (
            lambda record: record | {"plan": [record["plan"][0] | {"level": "MAY"}, *record["plan"][1:]]},
            "results: MTLS-001 has another level than in the plan",
        ),
        (
            lambda record: record | {"plan": [record["plan"][0] | {"title": "other"}, *record["plan"][1:]]},
            "results: MTLS-001 has another title than in the plan",
        ),
        (lambda record: record | {"requirements": {"MTLS-R1": "text"}}, "requirements/MTLS-R1: "),
        (lambda record: record | {"requirements": {}}, "requirements: MTLS-R1, which MTLS-001 proves, is missing"),
        (
            lambda record: record | {"plan": [record["plan"][0] | {"run": False}, *record["plan"][1:]]},
            "results: MTLS-001 was left out of the run, and yet its verdict is pass",
        ),
        (
            lambda record: (
                record | {"results": [record["results"][0] | {"verdict": "not-applicable"}, *record["results"][1:]]}
            ),
            "results: MTLS-001 was to be run, and yet its verdict is not-applicable",
        ),
        (
            lambda record: (
                record
                | {
                    "waivers": [
                        {
                            "check": "MTLS-001",
                            "reason": "-",
                            "owner": "-",
                            "expires": "2026-12-31",
                            "state": "applied",
                            "signature": None,
                        }
                    ]
                }
            ),
            "waivers: the one for MTLS-001 is applied, and yet the check did not fail",
        ),
    ],
)
def test_a_record_that_breaks_its_schema_or_contradicts_itself_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    assert said in refused(change(records.conformant().to_json()), tmp_path)
