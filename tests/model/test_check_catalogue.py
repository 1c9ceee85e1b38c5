"""A malformed check is refused where it is declared, by everything that is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.model.check import Catalogue
from conformance.model.errors import ExitCode, SuiteFault
from conformance.model.requirements import Feature, Level, Profile, Requirement

GOOD: dict[str, Any] = {
    "id": "MTLS-001",
    "title": "A caller without a certificate is refused",
    "proves": ["MTLS-R1"],
    "needs": [Feature.MTLS],
    "evidence": ["known caller", "anonymous caller"],
    "fails": {"caller-accepted": "The caller is refused."},
    "remedy": "Ask callers for a certificate.",
    "inconclusive": {"known-caller-refused": "A known caller is let in."},
}


async def documented(_: Any) -> None:
    """Why it matters."""


async def undocumented(_: Any) -> None:
    pass


def blocking(_: Any) -> None:
    """Not a coroutine function."""


def new_catalogue() -> Catalogue:
    levels = {1: Level.MUST, 2: Level.SHOULD, 3: None}
    requirements = [
        Requirement(f"MTLS-R{number}", Level.MUST, "text", (), (), {"mesh": level} if level else {})
        for number, level in levels.items()
    ]
    return Catalogue(requirements, [Profile("mesh", "title", "text", (), (), ())])


MALFORMED = [
    ({"id": "MTLS-1"}, documented, "its id is not of the form AREA-nnn"),
    ({"id": "MTLS-0001"}, documented, "its id is not of the form AREA-nnn"),
    ({"id": "mtls-001"}, documented, "its id is not of the form AREA-nnn"),
    ({"id": "MTLS-001\n"}, documented, "its id is not of the form AREA-nnn"),
    ({"id": "NONE-001"}, documented, "its area is none of MTLS, POLICY"),
    ({"title": " "}, documented, "its title is empty"),
    ({"proves": []}, documented, "it proves no requirement"),
    ({"proves": ["MTLS-R9"]}, documented, "it proves MTLS-R9, which the requirement catalogue does not have"),
    ({"evidence": []}, documented, "it promises no evidence"),
    ({"evidence": ["a", "a"]}, documented, "it promises the same evidence twice"),
    ({"fails": {}}, documented, "it names no reason to fail"),
    ({"remedy": " "}, documented, "it names no remedy"),
    ({"fails": {"Not A Code": "text"}}, documented, "a reason is not a lower-case-with-dashes code"),
    ({"inconclusive": {"-code": "text"}}, documented, "a reason is not a lower-case-with-dashes code"),
    ({"inconclusive": {"caller-accepted": "text"}}, documented, "a reason stands under both fails and inconclusive"),
    ({}, undocumented, "it has no docstring"),
    ({}, blocking, "its body is not a coroutine function"),
]


@pytest.mark.parametrize(("changes", "body", "problem"), MALFORMED, ids=[problem for *_, problem in MALFORMED])
def test_a_malformed_declaration_is_refused(changes, body, problem):
    catalogue = new_catalogue()
    with pytest.raises(SuiteFault) as refused:
        catalogue.check(**(GOOD | changes))(body)
    assert problem in refused.value.what
    assert refused.value.where.endswith(f".{body.__name__}")
    assert refused.value.exit_code is ExitCode.ENVIRONMENT
    assert catalogue.checks == ()


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(SuiteFault) as refused:
        new_catalogue().check(**(GOOD | {"id": "x", "title": "", "proves": [], "evidence": [], "fails": {}}))(blocking)
    assert refused.value.what.count(";") == 6


def test_an_id_is_given_once():
    catalogue = new_catalogue()
    catalogue.check(**GOOD)(documented)
    with pytest.raises(SuiteFault, match="its id is taken"):
        catalogue.check(**GOOD)(documented)
    assert len(catalogue.checks) == 1


def test_a_good_declaration_is_kept_as_it_was_given():
    catalogue = new_catalogue()
    assert catalogue.check(**GOOD)(documented) is documented
    check = catalogue["MTLS-001"]
    assert "MTLS-001" in catalogue
    assert (check.area, check.description, check.body) == ("MTLS", "Why it matters.", documented)
    assert check.remedy == "Ask callers for a certificate."
    assert check.evidence == ("known caller", "anonymous caller")


@pytest.mark.parametrize(
    ("proves", "level"),
    [
        (["MTLS-R1"], Level.MUST),
        (["MTLS-R2", "MTLS-R1"], Level.MUST),
        (["MTLS-R2", "MTLS-R3"], Level.SHOULD),
        (["MTLS-R3"], None),
    ],
)
def test_a_check_has_the_strictest_level_of_what_it_proves(proves, level):
    catalogue = new_catalogue()
    catalogue.check(**(GOOD | {"proves": proves}))(documented)
    assert catalogue.level_of(catalogue["MTLS-001"], catalogue.profiles["mesh"]) is level


def test_checks_are_in_the_areas_reading_order_and_then_by_id():
    catalogue = new_catalogue()
    for identifier in ("API-001", "MTLS-002", "POLICY-001", "MTLS-001"):
        catalogue.check(**(GOOD | {"id": identifier}))(documented)
    assert [check.id for check in catalogue.checks] == ["MTLS-001", "MTLS-002", "POLICY-001", "API-001"]


def test_what_no_check_proves_is_known():
    catalogue = new_catalogue()
    catalogue.check(**GOOD)(documented)
    assert [requirement.id for requirement in catalogue.unproven()] == ["MTLS-R2", "MTLS-R3"]
