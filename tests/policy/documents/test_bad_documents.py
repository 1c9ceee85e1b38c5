"""Every way to write a policy wrong is named with its document, its place and its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.model.policies import Kind, PolicyKey
from conformance.model.yaml_source import parse_yaml
from conformance.policy.documents import PolicySet
from conformance.policy.documents.limits import DEEPEST, LARGEST

from .small_mesh import MEMBER, MESH, OTHER, P256, SERVICE, problems_of, small_mesh

TABLE: Any = parse_yaml(Path(__file__).with_name("bad_documents.yaml").read_text("utf-8"), source="").value


def test_the_small_mesh_is_good() -> None:
    assert problems_of(small_mesh()) == []


@pytest.mark.parametrize("row", [*TABLE["alone"], *TABLE["together"]], ids=lambda row: json.dumps(row["put"])[:60])
def test_a_mistake_is_named_with_document_place_and_reason(row: Any) -> None:
    documents = small_mesh()
    ((path, value),) = row["put"].items()
    _put(documents[_key(row["document"])], path, value)
    expected = (row.get("in", row["document"]), row.get("path", path), row["reason"])
    assert problems_of(documents) == [expected]


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        (MEMBER, {"service/births /provider", "mesh/mesh /federation"}),
        (OTHER, {"service/births /access/0/caller"}),
        (SERVICE, {"member/office /calls/0"}),
        (MESH, {"service/births /tokens/issuers/0", "service/births /access/1/caller"}),
    ],
)
def test_what_others_depend_on_cannot_be_taken_away(key: PolicyKey, problems: set[str]) -> None:
    documents = small_mesh()
    del documents[key]
    assert {f"{document} {path}" for document, path, _ in problems_of(documents)} == problems


def test_lists_have_an_end() -> None:
    documents = small_mesh()
    documents[SERVICE]["endpoints"] = [{"host": "127.0.0.1", "port": 1}] * 1001
    assert problems_of(documents) == [("service/births", "/endpoints", "1001 items; 1000 are taken at most")]
    documents = small_mesh()
    documents[MESH]["issuers"][0]["jwks"]["keys"] = [{**P256, "kid": str(number)} for number in range(1001)]
    assert problems_of(documents) == [("mesh/mesh", "/issuers/0/jwks/keys", "1001 keys; 1000 are taken at most")]


@pytest.mark.parametrize(
    ("path", "value"), [("identity", "spiffe://mesh.test/security-server/office"), ("id", "MESH/GOV/2/office")]
)
def test_two_members_cannot_be_one(path: str, value: str) -> None:
    documents = small_mesh()
    documents[MEMBER][path] = value
    assert problems_of(documents) == [
        ("member/office", f"/{path}", "member/registry has it too"),
        ("member/registry", f"/{path}", "member/office has it too"),
    ]


def test_two_services_of_one_member_cannot_have_one_code() -> None:
    documents = small_mesh()
    documents[SERVICE[0], "others"] = {"kind": "service", "name": "others", "provider": "registry", "code": "births"}
    assert problems_of(documents) == [
        ("service/births", "/code", "service/others of the same member has this code too"),
        ("service/others", "/code", "service/births of the same member has this code too"),
    ]


def test_two_issuers_or_two_domains_cannot_have_one_name() -> None:
    documents = small_mesh()
    documents[MESH]["issuers"] *= 2
    documents[MESH]["federation"] *= 2
    assert [path for _, path, _ in problems_of(documents)] == [
        "/federation/1/name",
        "/issuers/1/issuer",
        "/issuers/1/name",
    ]


def test_what_cannot_be_read_is_not_blamed_on_those_who_refer_to_it() -> None:
    documents = small_mesh()
    documents[MEMBER]["identity"] = 5
    documents[MESH]["instance"] = 5
    assert {(document, path) for document, path, _ in problems_of(documents)} == {
        ("member/registry", "/identity"),
        ("mesh/mesh", "/instance"),
    }


@pytest.mark.parametrize("depth", [DEEPEST + 1, 100_000])
def test_a_document_that_is_too_deep_is_refused_before_anybody_descends(depth: int) -> None:
    documents = small_mesh()
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    documents[SERVICE]["access"] = nested
    assert problems_of(documents) == [("service/births", "", "nested more than 32 levels deep")]


def test_a_document_that_is_too_large_is_refused() -> None:
    documents = small_mesh()
    documents[SERVICE]["provider"] = "x" * LARGEST
    size = len(json.dumps(documents[SERVICE], separators=(",", ":")))
    assert problems_of(documents) == [("service/births", "", f"{size:,} bytes; 1,048,576 are taken at most")]


def test_numbers_that_json_does_not_have_are_refused() -> None:
    documents = small_mesh()
    documents[SERVICE]["timeout_s"] = float("nan")
    assert problems_of(documents) == [("service/births", "", "there is a number that JSON does not have")]


def test_a_misspelt_key_or_name_has_the_nearest_valid_one_as_next_step() -> None:
    documents = small_mesh()
    documents[SERVICE] |= {"provider": "registri", "tokens": {"audience": "x", "issuers": ["logim"]}}
    documents[OTHER]["gatewey"] = True
    steps = {each.path: each.next_step for each in PolicySet.of(documents).problems()}
    assert steps == {
        "/provider": "did you mean `registry`?",
        "/tokens/issuers/0": "did you mean `login`?",
        "/gatewey": "did you mean `gateway`?",
    }


def _key(name: str) -> PolicyKey:
    kind, _, rest = name.partition("/")
    return Kind(kind), rest


def _put(document: Any, path: str, value: Any) -> None:
    *steps, last = path.split("/")[1:]
    here = document
    for step in steps:
        here = here[int(step)] if isinstance(here, list) else here[step]
    here[int(last) if isinstance(here, list) else last] = value
