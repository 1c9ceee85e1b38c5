"""`meshmark catalogue` shows every requirement, what checks it and what proves the check, in three formats."""

from __future__ import annotations

import json

import pytest
from workplace import Workplace

from conformance.checks.catalogue import complete_catalogue
from conformance.faults import complete_faults

CATALOGUE = complete_catalogue()


def test_json_holds_all_requirements_checks_and_faults(workplace: Workplace):
    finished = workplace.meshmark("catalogue", "--format", "json")
    content = json.loads(finished.out)
    assert finished.code == 0
    assert content["profile"] == "mesh"
    assert [each["id"] for each in content["requirements"]] == list(CATALOGUE.requirements)
    assert [each["id"] for each in content["checks"]] == [check.id for check in CATALOGUE.checks]
    assert all(
        {"title", "level", "proves", "needs", "area", "topologies", "remedy", "faults"} <= each.keys()
        for each in content["checks"]
    )
    proven = {each["id"]: set(each["faults"]) for each in content["checks"]}
    for fault in complete_faults().values():
        for check in fault.caught_by:
            assert fault.id in proven[check]


def test_a_requirement_names_its_checks_or_why_there_is_none(workplace: Workplace):
    content = json.loads(workplace.meshmark("catalogue", "--format", "json").out)
    for requirement in content["requirements"]:
        proving = [check.id for check in CATALOGUE.checks if requirement["id"] in check.proves]
        assert requirement["checks"] == proving
        assert proving == [] or requirement["unchecked"] is None


@pytest.mark.parametrize("profile", sorted(CATALOGUE.profiles))
def test_levels_are_those_of_the_profile(profile, output):
    content = json.loads(output("catalogue", "--format", "json", "--profile", profile))
    for each in content["checks"]:
        level = CATALOGUE.level_of(CATALOGUE[each["id"]], CATALOGUE.profiles[profile])
        assert each["level"] == (level.value if level else None)


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_every_id_is_in_the_readable_formats(form, output):
    shown = output("catalogue", "--format", form)
    for each in (*CATALOGUE.checks, *CATALOGUE.requirements.values()):
        assert each.id in shown


def test_markdown_tables_have_as_many_cells_in_each_line(output):
    width = 0
    for line in output("catalogue", "--format", "markdown").splitlines():
        cells = line.replace("\\|", "").count("|")
        if not line.startswith("|"):
            width = 0
        elif not width:
            width = cells
        assert cells == width or not line.startswith("|"), line


def test_an_unknown_profile_is_refused(refusal):
    assert refusal("catalogue", "--profile", "mesch").startswith("unknown profile mesch\n  next: use one of: ")
