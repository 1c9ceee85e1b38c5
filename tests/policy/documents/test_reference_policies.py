"""The policies of the reference mesh, as they are delivered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.model.policies import Kind
from conformance.model.run_file import parse_run_file
from conformance.model.yaml_source import parse_yaml
from conformance.policy.documents import LocatedDocument, PolicySet, judge, parse_documents, to_document, to_policy

from .renew_schema import schema_text

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = sorted((REPOSITORY / "fixtures" / "policies").glob("*.yaml"))
SERVICES = ["birth-registry", "citizen-id", "death-registry", "patient-registry"]


def _documents() -> list[LocatedDocument]:
    return [each for path in FILES for each in parse_documents(path.read_text("utf-8"), source=path.name)]


def _set() -> PolicySet:
    return PolicySet.of({each.key: each.document for each in _documents()})


def test_nothing_is_wrong_with_them() -> None:
    judge({each.key: each.document for each in _documents()}, [])


def test_they_describe_the_reference_services_and_the_members_before_them() -> None:
    policies = _set()
    assert sorted(policies.names(Kind.SERVICE)) == SERVICES
    assert sorted(policies.names(Kind.MEMBER)) == sorted([*SERVICES, "registration-office"])
    assert all(member.id for name in policies.names(Kind.MEMBER) if (member := policies.member(name)))


@pytest.mark.parametrize("document", _documents(), ids=lambda each: "-".join(each.key))
def test_each_is_written_in_its_shortest_form(document: LocatedDocument) -> None:
    shortest = to_document(to_policy(document.document))
    written: dict[str, Any] = {**document.document}
    if document.key[0] is Kind.MESH:
        # These three are shown on purpose, though they are the defaults.
        assert to_policy(written) == to_policy({"kind": "mesh"})
        return
    assert written == shortest


@pytest.mark.parametrize("document", _documents(), ids=lambda each: "-".join(each.key))
def test_the_schema_for_editors_takes_each(document: LocatedDocument) -> None:
    jsonschema_rs.validator_for(json.loads(schema_text())).validate(document.document)


@pytest.mark.parametrize("name", SERVICES)
def test_the_operations_are_those_of_the_contract(name: str) -> None:
    path = REPOSITORY / "specs" / "contracts" / f"{name}.yaml"
    contract: Any = parse_yaml(path.read_text("utf-8"), source=path.name).value
    service = _set().service(name)
    assert service is not None
    assert {(each.method, each.path) for each in service.contract} == {
        (method.upper(), path) for path, item in contract["paths"].items() for method in item
    }


@pytest.mark.parametrize("name", SERVICES)
def test_members_call_what_the_run_files_say_and_are_let_through(name: str) -> None:
    path = REPOSITORY / "fixtures" / f"{name}.meshmark.yaml"
    run_file = parse_run_file(path.read_text("utf-8"), path).run_file
    policies = _set()
    member = policies.member(name)
    assert member is not None
    assert sorted(member.calls) == sorted(run_file.subject.calls)
    for called in member.calls:
        service = policies.service(called)
        assert service is not None
        assert name in {rule.caller for rule in service.access}
