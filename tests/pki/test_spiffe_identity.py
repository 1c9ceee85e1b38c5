"""SPIFFE IDs: what the standard allows is accepted and comes back from a certificate; all else is refused."""

from __future__ import annotations

import string
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.pki import TrustDomain, identity_in, spiffe_id

ALLOWED = string.ascii_letters + string.digits + "._-"
LONGEST_PATH = 2048 - len("spiffe://mesh.test/")

trust_domain = TrustDomain()

valid_segments = st.text(ALLOWED, min_size=1, max_size=20).filter(lambda segment: segment not in {".", ".."})
valid_paths = st.lists(valid_segments, min_size=1, max_size=8).map("/".join)
# Mostly allowed characters, so that a good share of the paths is valid, and the tricks that a parser may fall for.
any_paths = st.one_of(
    st.text(ALLOWED + "/", max_size=40), st.text(ALLOWED + "/.%?#@:\\ \n\x00\u00e9\uff0f", max_size=12), st.text()
)


def is_valid(path: str) -> bool:
    """The rules once more, in other words than the product's."""
    segments = path.split("/")
    return (
        len(path) <= LONGEST_PATH
        and all(segments)
        and not {".", ".."} & set(segments)
        and all(character in ALLOWED + "/" for character in path)
    )


@given(valid_paths)
@example("a")
@example("...")
@example("ns/bb-1/sa/Registry_2.0")
def test_a_valid_path_comes_back_from_the_certificate(path: str) -> None:
    assert trust_domain.issue(path).identity == f"spiffe://mesh.test/{path}"


@given(any_paths)
@example("")
@example("/a")
@example("a/")
@example("a//b")
@example("a/./b")
@example("a/../b")
@example("a\n")
@example("%61")
@example("a?b")
@example("a#b")
def test_a_path_is_accepted_exactly_when_it_keeps_every_rule(path: str) -> None:
    if is_valid(path):
        assert spiffe_id("mesh.test", path) == f"spiffe://mesh.test/{path}"
    else:
        with pytest.raises(UsageError, match="SPIFFE identity"):
            spiffe_id("mesh.test", path)


def test_an_identity_may_have_2048_bytes_and_not_one_more() -> None:
    longest = "a" * LONGEST_PATH
    assert len(trust_domain.issue(longest).identity or "") == 2048
    with pytest.raises(UsageError, match="2049 bytes, 2048 are allowed"):
        trust_domain.issue(longest + "a")


@pytest.mark.parametrize(
    "name", ["", "Mesh.test", "mesh.test:443", "user@mesh.test", "mesh/test", "m\u00e9sh", "a\n", "a" * 256]
)
def test_a_trust_domain_with_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a SPIFFE trust domain"):
        TrustDomain(name)


def test_a_trust_domain_may_have_255_bytes() -> None:
    assert TrustDomain("a" * 255).issue("b").identity == f"spiffe://{'a' * 255}/b"


def test_the_error_for_a_bad_path_names_the_segment_and_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        spiffe_id("mesh.test", "bb/../admin")
    assert "segment '..'" in str(caught.value)
    assert "next: use letters" in str(caught.value)


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["spiffe://mesh.test/a", "spiffe://mesh.test/b"],
        ["spiffe://mesh.test/a", "https://mesh.test/"],
        ["https://mesh.test/a"],
        ["SPIFFE://mesh.test/a"],
        ["spiffe:/mesh.test/a"],
        ["spiffe://mesh.test"],
        ["spiffe://mesh.test/"],
        ["spiffe://mesh.test/a/../b"],
        ["spiffe://mesh.test/a?b"],
        ["spiffe://mesh.test:443/a"],
    ],
)
def test_a_certificate_without_exactly_one_valid_spiffe_uri_names_nobody(uris: list[str]) -> None:
    names = [x509.DNSName("localhost"), *(x509.UniformResourceIdentifier(uri) for uri in uris)]
    credential = trust_domain.issuing_authority.issue(names, trust_domain.from_now(timedelta(hours=1)))
    assert identity_in(credential.certificate) is None
    assert credential.identity is None
