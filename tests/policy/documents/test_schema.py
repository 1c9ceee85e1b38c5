"""The JSON Schema that editors get."""

from __future__ import annotations

import json

import jsonschema_rs

from conformance.policy.documents.schema import policy_schema

from .renew_schema import SCHEMA, schema_text


def test_the_schema_for_editors_is_up_to_date() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), "renew it: python -m tests.policy.documents.renew_schema"


def test_every_key_is_described() -> None:
    definitions = policy_schema()["$defs"]
    for name, definition in definitions.items():
        assert definition.get("description"), name
        for key, value in definition.get("properties", {}).items():
            # An enumeration says it once, where its words are.
            named = definitions.get(value.get("$ref", "").rsplit("/", 1)[-1], {})
            assert value.get("description") or named.get("enum"), f"{name}.{key}"


def test_no_address_out_there_stands_in_it() -> None:
    assert schema_text().count("https://") == 1
    assert policy_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_refuses_unknown_keys_and_unknown_kinds() -> None:
    validator = jsonschema_rs.validator_for(json.loads(schema_text()))
    service = {"kind": "service", "name": "a", "provider": "b"}
    assert validator.is_valid(service)
    assert not validator.is_valid({**service, "providr": "b"})
    assert not validator.is_valid({**service, "kind": "server"})
    assert not validator.is_valid({**service, "access": [{"caller": "a", "paths": ["/v1"]}]})
