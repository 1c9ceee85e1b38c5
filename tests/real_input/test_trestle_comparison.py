"""How documents that trestle has read are compared: whatever is lost is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trestle_reader import PLAN, RECORD, RESULTS, differences, lost

GOLDEN = Path(__file__).parents[1] / "report/golden/not-conformant"
RECORD_READ = json.loads((GOLDEN / RECORD).read_bytes())
PLAN_READ = json.loads((GOLDEN / PLAN).read_bytes())["assessment-plan"]
RESULTS_READ = json.loads((GOLDEN / RESULTS).read_bytes())["assessment-results"]


def test_honest_documents_lose_nothing() -> None:
    assert lost(RECORD_READ, PLAN_READ, RESULTS_READ) == []
    assert list(differences(PLAN_READ, PLAN_READ)) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda plan, _: plan["local-definitions"]["activities"].pop(), "checks of the plan"),
        (lambda plan, _: plan["tasks"][0]["associated-activities"].pop(), "checks of the plan"),
        (lambda plan, _: plan["local-definitions"]["objectives-and-methods"].pop(), "requirements"),
        (lambda plan, _: plan.update(uuid="other"), "the plan's UUID"),
        (lambda _, result: result["results"][0]["observations"].pop(), "verdicts"),
        (lambda _, result: result["results"][0]["risks"].pop(0), "fails"),
        (lambda _, result: result["results"][0]["risks"][-1].update(status="open"), "waivers in force"),
        (lambda _, result: result["back-matter"]["resources"].pop(), "digests of evidence"),
        (lambda _, result: result["results"][0]["props"].pop(0), "outcome"),
    ],
)
def test_what_is_lost_is_named(change: Callable[[Any, Any], object], what: str) -> None:
    plan, results = copy.deepcopy(PLAN_READ), copy.deepcopy(RESULTS_READ)
    change(plan, results)
    assert [line.partition(":")[0] for line in lost(RECORD_READ, plan, results)] == [what]


def test_two_spellings_of_a_moment_are_one_and_other_text_is_not() -> None:
    assert list(differences({"at": ["2026-11-03T14:02:05.000Z"]}, {"at": ["2026-11-03T14:02:05+00:00"]})) == []
    assert len(list(differences({"at": ["2026-11-03T14:02:05.000Z"]}, {"at": ["2026-11-03T14:02:06+00:00"]}))) == 1
    assert list(differences({"a": "x", "b": [1, 2]}, {"b": [1]})) == [
        "/a: written 'x', read 'None'",
        "/b: 2 written, 1 read",
    ]
