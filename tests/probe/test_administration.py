"""What the policy admin service said to a change that was asked for."""

from __future__ import annotations

from conformance.policy.documents import Problem
from conformance.probe import Asked

PROBLEM = Problem("service/witness", "/provider", "there is no member `nowhere`", "add it first")


def test_an_objection_is_to_one_place_of_one_document_and_has_a_reason() -> None:
    asked = Asked(None, (PROBLEM,))
    assert asked.object_to("service/witness", "/provider")
    assert not asked.object_to("service/witness", "/access")
    assert not asked.object_to("service/bystander", "/provider")
    assert not Asked(None, (Problem("service/witness", "/provider", "", ""),)).object_to("service/witness", "/provider")


def test_it_says_in_words_what_became_of_it() -> None:
    assert str(Asked(7)) == "taken as version 7"
    assert str(Asked(None)) == "refused"
    assert str(Asked(None, (PROBLEM,))) == str(PROBLEM)
