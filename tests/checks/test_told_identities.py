"""Which identities a building block finds in the certificate headers that reach it."""

from __future__ import annotations

from conformance.checks.authz.forged_headers import identities_in

TRUE, FALSE = "spiffe://mesh.test/security-server/caller", "spiffe://mesh.test/security-server/somebody"


def test_one_element_names_one_identity() -> None:
    assert identities_in([f"By={FALSE};Hash=00;URI={TRUE}"]) == [TRUE]


def test_an_identity_that_was_put_before_the_true_one_is_seen() -> None:
    assert identities_in([f"By=x;URI={FALSE},By=x;Hash=00;URI={TRUE}"]) == [FALSE, TRUE]


def test_an_identity_in_a_second_header_is_seen() -> None:
    assert identities_in([f"URI={TRUE}", f"uri={FALSE}"]) == [TRUE, FALSE]


def test_no_header_names_nobody() -> None:
    assert identities_in([]) == []
