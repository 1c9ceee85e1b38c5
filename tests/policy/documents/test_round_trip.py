"""Policies become documents and come back as they were; documents have the keys and defaults of the values."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given

from conformance.model.policies import Policy
from conformance.model.policy import ServicePolicy
from conformance.policy.documents import canonical, key_in, to_document, to_policy
from conformance.policy.documents.form import Form
from conformance.policy.documents.mesh_form import MemberForm, MeshForm
from conformance.policy.documents.service_form import ServiceForm

from .renew_schema import SCHEMA
from .strategies import policies, services

SCHEMA_VALIDATOR = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))
NAMED_OTHERWISE = {ServiceForm: {"service": "name", "version": "revision"}, MemberForm: {"member": "name"}}

UNLIKE_THEIR_VALUE = {("Share", "group"), ("ServiceForm", "provider"), ("ServiceForm", "revision")}
"""What a document can leave out and a value cannot, or the other way round."""


def _forms(form: type[Form]) -> list[type[Form]]:
    return [form, *(each for child in form.__subclasses__() for each in _forms(child))]


@given(policies)
def test_a_policy_comes_back_exactly_also_through_json_text(policy: Policy) -> None:
    text = json.dumps(to_document(policy))
    assert to_policy(json.loads(text)) == policy


@given(policies)
def test_the_schema_for_editors_takes_what_is_written(policy: Policy) -> None:
    SCHEMA_VALIDATOR.validate(json.loads(json.dumps(to_document(policy))))


@given(services)
def test_a_derived_revision_is_left_out_and_comes_back(policy: ServicePolicy) -> None:
    document = to_document(policy)
    document.pop("revision", None)
    derived = to_policy(document)
    assert isinstance(derived, ServicePolicy)
    assert to_document(derived) == document
    assert len(derived.version) == 12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"provider": "a"}, {"provider": "a", "timeout_s": 15}),
        ({"provider": "a"}, {"provider": "a", "timeout_s": 15.0, "retry": {"attempts": 2}, "endpoints": []}),
        ({"provider": "a", "code": "x"}, {"code": "x", "provider": "a"}),
    ],
)
def test_documents_that_say_the_same_have_the_same_revision(one: dict[str, Any], other: dict[str, Any]) -> None:
    policies = [to_policy({"kind": "service", "name": "s", **each}) for each in (one, other)]
    assert policies[0] == policies[1]


def test_a_different_document_has_another_revision() -> None:
    policies = [to_policy({"kind": "service", "name": "s", "provider": "a", "timeout_s": each}) for each in (1, 2)]
    versions = {policy.version for policy in policies if isinstance(policy, ServicePolicy)}
    assert len(versions) == 2


def test_the_kind_mesh_needs_no_name() -> None:
    assert key_in({"kind": "mesh"}) == key_in({"kind": "mesh", "name": "mesh"}) == ("mesh", "mesh")
    assert to_policy({"kind": "mesh"}) == to_policy({"kind": "mesh", "name": "mesh"})


def test_the_order_of_keys_does_not_count_in_canonical_text() -> None:
    assert canonical({"b": [1], "a": "é"}) == canonical({"a": "é", "b": [1]}) == '{"a":"\\u00e9","b":[1]}'


@pytest.mark.parametrize("form", _forms(Form)[1:], ids=lambda form: form.__name__)
def test_a_form_has_the_keys_and_defaults_of_its_value(form: type[Form]) -> None:
    renamed = NAMED_OTHERWISE.get(form, {})
    fields = {renamed.get(field.name, field.name): field for field in dataclasses.fields(form.makes)}
    own = {"kind", "name"} if form is MeshForm else {"kind"} if form in NAMED_OTHERWISE else set()
    assert set(form.model_fields) == set(fields) | own
    for name, field in fields.items():
        key = form.model_fields[name]
        if (form.__name__, name) in UNLIKE_THEIR_VALUE:
            continue
        assert key.is_required() == (field.default is dataclasses.MISSING), name
        if key.is_required():
            continue
        default = key.default
        made = default.makes() if isinstance(default, Form) else default
        assert made == field.default, name
        assert not isinstance(default, Form) or default == type(default)(), name
