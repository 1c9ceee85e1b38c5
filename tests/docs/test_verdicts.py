"""What the README says about verdicts, outcomes, exit codes and the catalogue is what the product has."""

from __future__ import annotations

import pytest

from conformance.checks.catalogue import complete_catalogue
from conformance.model.check import Check
from conformance.model.errors import ExitCode
from conformance.model.verdict import Outcome, Verdict, exit_code_of

from .documents import code, document

README = document("README.md")
SECTION = "How to read a verdict"
CHECKS = complete_catalogue().checks


def test_every_verdict_is_explained() -> None:
    assert [code(row[0]) for row in README.table(SECTION, "verdict")] == [verdict.value for verdict in Verdict]


def test_every_outcome_is_explained_with_its_exit_code() -> None:
    documented = {code(row[0]): int(row[2]) for row in README.table(SECTION, "outcome")}
    assert documented == {outcome.value: int(exit_code_of(outcome)) for outcome in Outcome}


def test_every_exit_code_is_explained() -> None:
    assert [int(row[0]) for row in README.table(SECTION, "code")] == [int(each) for each in ExitCode]


def test_the_areas_that_have_checks_are_named() -> None:
    text = " ".join(README.section(SECTION))
    named = text.partition("Checks exist for these areas today: ")[2].partition(".")[0].split(", ")
    assert named == list(dict.fromkeys(check.area for check in CHECKS))


def test_every_profile_is_named_where_run_files_are_explained() -> None:
    (profile,) = [row for row in README.table("The run file", "key") if code(row[0]) == "profile"] or [[""]]
    assert all(f"`{name}`" in profile[1] for name in complete_catalogue().profiles)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_can_be_understood_without_its_code(check: Check) -> None:
    assert check.title
    assert not check.title.endswith(".")
    assert check.title[0].isupper()
    why, _, how = check.description.partition("\n\n")
    assert why
    assert how, "the docstring says why it matters, and after a blank line how it is done"
    assert all(sentence.endswith(".") for sentence in (*check.fails.values(), *check.inconclusive.values()))
