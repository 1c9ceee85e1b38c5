"""What a check says to the reader of a red line is there, and fits everywhere it is shown."""

from __future__ import annotations

import pytest

from conformance.checks.catalogue import complete_catalogue
from conformance.model.check import Check
from conformance.report.summary import LONGEST_VALUE

CHECKS = complete_catalogue().checks


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_remedy_is_a_whole_sentence_that_a_terminal_shows_uncut(check: Check) -> None:
    assert check.remedy.endswith(".")
    assert "  " not in check.remedy
    assert len(check.remedy) <= LONGEST_VALUE


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_says_why_it_matters_and_then_how_it_is_done(check: Check) -> None:
    why, *how = check.description.split("\n\n")
    assert how
    assert len(why) <= LONGEST_VALUE


def test_no_two_checks_have_the_same_remedy() -> None:
    assert len({check.remedy for check in CHECKS}) == len(CHECKS)
