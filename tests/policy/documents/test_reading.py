"""Files of policy documents: what is in them, and where what is wrong stands."""

from __future__ import annotations

import json

import pytest

from conformance.model.policies import Kind
from conformance.model.yaml_source import YamlProblem
from conformance.policy.documents import InvalidPolicies, PolicySet, located, parse_documents

TWO = """\
# The office.
kind: member
name: office
identity: spiffe://mesh.test/office
---
kind: service
name: births
provider: registry
access:
  - caller: office
    paths:
      - prefix: /v1
"""


def test_a_file_holds_several_documents() -> None:
    found = parse_documents(TWO, source="mesh.yaml")
    assert [each.key for each in found] == [(Kind.MEMBER, "office"), (Kind.SERVICE, "births")]
    assert found[1].where() == "mesh.yaml:6:1"
    assert found[1].where("/access/0/paths/0") == "mesh.yaml:12:9"
    assert found[1].where("/access/0/paths/7/exact") == "mesh.yaml:11:5"


def test_json_is_read_too() -> None:
    text = json.dumps({"kind": "member", "name": "office", "identity": "spiffe://mesh.test/office"}, indent=1)
    (found,) = parse_documents(text, source="office.json")
    assert found.key == (Kind.MEMBER, "office")
    assert found.where("/identity") == "office.json:4:2"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "null"])
def test_empty_documents_are_passed_over(text: str) -> None:
    assert parse_documents(text, source="x") == []


def test_every_mistake_in_a_file_has_its_place_and_the_nearest_key() -> None:
    text = TWO.replace("provider", "providr").replace("identity: spiffe:", "identity: http:").replace("prefix", "prefx")
    with pytest.raises(InvalidPolicies) as refused:
        parse_documents(text, source="mesh.yaml")
    assert [(each.where, each.document, each.path, each.next_step) for each in refused.value.problems] == [
        ("mesh.yaml:4:1", "member/office", "/identity", "write it as the schema describes it"),
        ("mesh.yaml:12:9", "service/births", "/access/0/paths/0", "write it as the schema describes it"),
        ("mesh.yaml:6:1", "service/births", "/provider", "add it"),
        ("mesh.yaml:8:1", "service/births", "/providr", "did you mean `provider`?"),
    ]
    assert "mesh.yaml:8:1: service/births /providr: unknown key `providr`; did you mean `provider`?" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (TWO.replace("name: births", "name: births\nname: deaths"), "8:1", "the key `name` stands already at 7:1"),
        (TWO.replace("name: births", "name: no"), "7:7", "`no` is true, false or null to some readers of YAML"),
        (TWO + "  - *office\n", "13:5", "`*office` names nothing complete before it"),
        (TWO + "<<: {a: b}\n", "13:1", "merge keys (`<<`) are not read here"),
        ("kind: &a member\n---\nkind: *a\n", "3:7", "`*a` names nothing complete before it"),
        ('{"kind": "mesh"', "2:1", "this is not YAML or JSON"),
    ],
)
def test_what_yaml_readers_take_for_two_things_is_refused(text: str, where: str, what: str) -> None:
    with pytest.raises(YamlProblem) as refused:
        parse_documents(text, source="mesh.yaml")
    assert refused.value.where == f"mesh.yaml:{where}"
    assert refused.value.what.startswith(what)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(InvalidPolicies) as refused:
        parse_documents(f"{TWO}---\n{TWO}", source="mesh.yaml")
    assert [(each.where, each.reason) for each in refused.value.problems] == [
        ("mesh.yaml:16:1", "this policy stands already at mesh.yaml:2:1"),
        ("mesh.yaml:20:1", "this policy stands already at mesh.yaml:6:1"),
    ]


@pytest.mark.parametrize("text", ["just words", "- kind: mesh", "name: x", "kind: [mesh]"])
def test_a_document_without_kind_is_called_by_its_file(text: str) -> None:
    with pytest.raises(InvalidPolicies) as refused:
        parse_documents(text, source="mesh.yaml")
    assert [(each.document, each.where) for each in refused.value.problems] == [("mesh.yaml", "mesh.yaml:1:1")]


def test_what_is_wrong_between_documents_is_shown_in_their_files() -> None:
    documents = parse_documents(TWO, source="mesh.yaml")
    problems = PolicySet.of({each.key: each.document for each in documents}).problems()
    assert [str(each) for each in located(problems, documents)] == [
        "mesh.yaml:8:1: service/births /provider: there is no member `registry`; "
        "add member/registry first, or in the same change"
    ]
