"""How the outcome for a real building block is compared: strictly, in both directions."""

from __future__ import annotations

import pytest
import yaml
from prism import EXPECTED, difference

from conformance.checks.catalogue import complete_catalogue

KNOWN = {"API-002": {"verdict": "fail", "reason": "contract-breach", "shows": "not of type", "why": "because"}}


def result(check: str, verdict: str, reason: str, seen: str = "") -> dict[str, str]:
    return {"check": check, "verdict": verdict, "reason": reason, "seen": seen}


@pytest.mark.parametrize(
    "found",
    [
        result("API-001", "pass", "as-expected"),
        result("API-002", "fail", "contract-breach", "'' is not of type 'integer'"),
    ],
)
def test_what_is_expected_is_no_difference(found: dict[str, str]) -> None:
    assert difference(found, KNOWN) == ""


@pytest.mark.parametrize(
    "found",
    [
        result("API-001", "fail", "contract-invalid"),
        result("API-001", "not-run", "not-reached"),
        result("API-002", "pass", "as-expected"),
        result("API-002", "inconclusive", "operation-unproven", "not of type"),
        result("API-002", "fail", "operation-unanswered", "not of type"),
        result("API-002", "fail", "contract-breach", "GET /things undeclared-status: 418"),
    ],
)
def test_anything_else_is_a_difference_also_an_unexpected_pass(found: dict[str, str]) -> None:
    assert difference(found, KNOWN).startswith(found["check"])


def test_every_expected_finding_is_of_a_known_check_for_a_reason_that_it_declares() -> None:
    catalogue = complete_catalogue()
    checks = {check.id: check for check in catalogue.checks}
    for id, expected in yaml.safe_load(EXPECTED.read_text("utf-8")).items():  # noqa: A001 -- the word everybody uses
        declared = {"fail": checks[id].fails, "inconclusive": checks[id].inconclusive}[expected["verdict"]]
        assert expected["reason"] in declared
        assert expected["shows"]
        assert expected["why"].endswith(".")
