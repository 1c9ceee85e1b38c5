"""Example requests: honest by another judge's verdict, the same each time, or a stated reason."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_path import SchemaPath
from openapi_core import V30RequestValidator, V31RequestValidator
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathNotFound
from openapi_core.validation.request.exceptions import (
    InvalidRequestBody,
    MissingRequiredParameter,
    SecurityValidationError,
)
from werkzeug.datastructures import Headers, MultiDict

from conformance.openapi.bundle import follow
from conformance.openapi.contract import Contract, Operation, load_contract
from conformance.openapi.examples import ExampleMaker, ExampleRequest, NoRequest, in_exercise_order
from conformance.openapi.pattern_text import text_for_pattern
from conformance.openapi.scalars import NoValue
from conformance.openapi.schema_rules import SchemaRules
from conformance.openapi.tool_document import tool_document
from conformance.openapi.values import ValueMaker


def contract_of(folder: Path, operation: dict[str, Any], *, path: str = "/things", **more: Any) -> Contract:
    document = {
        "openapi": more.pop("openapi", "3.0.3"),
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "/"}],
        "paths": {path: {"post": {"responses": {"200": {"description": "ok"}}, **operation}}},
        **more,
    }
    file = folder / "api.json"
    file.write_text(json.dumps(document))
    return load_contract(file)


def request_of(contract: Contract) -> ExampleRequest | NoRequest:
    return ExampleMaker(contract).request(contract.operations[0])


def body(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema, **more}}}}


def parameter(place: str, schema: dict[str, Any], name: str = "p", **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": place, "required": True, "schema": schema, **more}]}


BIRTH = {
    "type": "object",
    "required": ["name", "born", "id"],
    "properties": {
        "id": {"type": "string", "format": "uuid", "readOnly": True},
        "name": {"type": "string", "minLength": 10},
        "born": {"type": "string", "format": "date"},
        "weight": {"type": "number", "minimum": 0.5, "maximum": 0.75},
        "sex": {"type": "string", "enum": ["F", "M"]},
        "place": {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"}}},
        "twins": {"type": "array", "items": {"type": "integer", "multipleOf": 7}, "minItems": 2, "uniqueItems": True},
    },
}


def test_a_body_has_every_property_that_is_sent_and_keeps_its_schema(tmp_path: Path) -> None:
    request = request_of(contract_of(tmp_path, body(BIRTH)))
    assert isinstance(request, ExampleRequest)
    assert request.body is not None
    assert json.loads(request.body) == {
        "name": "exampleexa",
        "born": "2024-01-15",
        "weight": 0.625,
        "sex": "F",
        "place": {"code": "AA-555"},
        "twins": [7, 14],
    }
    assert request.headers == (("accept", "*/*"), ("content-type", "application/json"))


def test_the_same_contract_gives_the_same_request(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, body(BIRTH))
    assert request_of(contract) == request_of(contract)


@pytest.mark.parametrize(
    ("media", "value"),
    [
        ({"example": {"n": 5}}, {"n": 5}),
        ({"examples": {"a": {"value": {"n": 6}}}}, {"n": 6}),
        ({"examples": {"a": {"$ref": "#/components/examples/E"}}}, {"n": 7}),
        ({"example": {"n": "an example that breaks its own schema"}}, {"n": 1}),
        ({"example": {}, "examples": {"a": {"value": {"n": 8}}}}, {"n": 8}),
    ],
)
def test_an_example_of_the_contract_comes_first_if_it_keeps_the_schema(tmp_path: Path, media: Any, value: Any) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    components = {"examples": {"E": {"value": {"n": 7}}}}
    request = request_of(contract_of(tmp_path, body(schema, **media), components=components))
    assert isinstance(request, ExampleRequest)
    assert json.loads(request.body or b"") == value


SCHEMAS: list[tuple[Any, Any]] = [
    ({}, "example"),
    ({"type": "string", "default": "d"}, "d"),
    ({"type": "string", "maxLength": 3}, "exa"),
    ({"type": "integer", "minimum": 10}, 10),
    ({"type": "integer", "minimum": 10, "exclusiveMinimum": True}, 11),
    ({"type": "integer", "maximum": -5}, -5),
    ({"type": "number", "multipleOf": 0.25, "minimum": 3.1}, 3.25),
    ({"type": "boolean"}, True),
    ({"type": "array", "items": {"type": "string"}, "minItems": 3}, ["example"] * 3),
    ({"type": "array", "maxItems": 0, "items": {}}, []),
    ({"allOf": [{"required": ["a"], "properties": {"a": {"type": "integer"}}}, {"type": "object"}]}, {"a": 1}),
    ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, None),
    ({"anyOf": [{"type": "string", "pattern": "(?=x)"}, {"type": "boolean"}]}, True),
    ({"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}}, {"key1": 1, "key2": 1}),
    ({"type": "object", "required": ["x"]}, {"x": "example"}),
    ({"properties": {"a": {"type": "boolean"}}}, {"a": True}),
    ({"type": "string", "format": "date-time"}, "2024-01-15T09:30:00Z"),
    ({"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": ["a", "b"]}}, ["a", "b"]),
]


@pytest.mark.parametrize(("schema", "value"), SCHEMAS)
def test_a_plain_schema_gives_the_plainest_value(schema: Any, value: Any) -> None:
    maker = ValueMaker({"openapi": "3.0.3"}, "3.0.3")
    if value is None:
        with pytest.raises(NoValue, match="fits it alone"):
            maker.value(schema)
    else:
        assert maker.value(schema) == value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": ["null", "integer"], "exclusiveMinimum": 4}, 5),
        ({"type": "null"}, None),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"type": "string", "examples": ["x"]}, "x"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ],
)
def test_the_keywords_of_openapi_3_1_are_known(schema: Any, value: Any) -> None:
    assert ValueMaker({"openapi": "3.1.0"}, "3.1.0").value(schema) == value


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "string", "pattern": "(?<=a)b"}, "no text is known for the pattern"),
        ({"type": "string", "minLength": 10**9}, "characters"),
        ({"type": "array", "minItems": 10**9, "items": {}}, "items"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "between its bounds"),
        ({"type": "integer", "minimum": 10**250, "multipleOf": 1e-250}, "beyond"),
        ({"enum": []}, "keeps the schema"),
        ({"not": {}}, "keeps the schema"),
        ({"type": "float"}, "no type `float`"),
        ({"properties": []}, "cannot be read"),
        ({"$ref": "#/components/schemas/Endless"}, "again and again"),
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "("}}}, "`a`"),
    ],
)
def test_where_no_value_is_known_the_reason_is_stated(tmp_path: Path, schema: Any, why: str) -> None:
    endless = {"type": "object", "required": ["e"], "properties": {"e": {"$ref": "#/components/schemas/Endless"}}}
    request = request_of(contract_of(tmp_path, body(schema), components={"schemas": {"Endless": endless}}))
    assert isinstance(request, NoRequest)
    assert why in request.reason


def test_a_recursive_schema_ends_where_it_may() -> None:
    tree = {"type": "object", "properties": {f"p{n}": {"$ref": "#/components/schemas/T"} for n in range(20)}}
    document = {"openapi": "3.0.3", "components": {"schemas": {"T": tree}}}
    with pytest.raises(NoValue):
        ValueMaker(document, "3.0.3").value({"allOf": [{"$ref": "#/components/schemas/T"}], "maxProperties": 0})
    child = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/C"}}}
    made = ValueMaker({"components": {"schemas": {"C": child}}}, "3.0.3").value({"$ref": "#/components/schemas/C"})
    assert made == {"child": {"child": {"child": {"child": {}}}}}


@pytest.mark.parametrize(
    ("parameters", "path", "expected"),
    [
        (parameter("query", {"type": "string", "enum": ["a b&c/ü"]}), "/t", "/t?p=a%20b%26c%2F%C3%BC"),
        (parameter("query", {"type": "array", "items": {"type": "integer"}, "minItems": 2}), "/t", "/t?p=1&p=1"),
        (
            parameter("query", {"type": "array", "items": {"enum": ["x"]}, "minItems": 2}, explode=False),
            "/t",
            "/t?p=x,x",
        ),
        (
            parameter("query", {"type": "array", "items": {"enum": ["x"]}, "minItems": 2}, style="pipeDelimited"),
            "/t",
            "/t?p=x%7Cx",
        ),
        (parameter("query", {"properties": {"k": {"type": "integer"}}}, style="deepObject"), "/t", "/t?p[k]=1"),
        (parameter("query", {"properties": {"k": {"type": "integer"}}}), "/t", "/t?k=1"),
        (parameter("path", {"type": "boolean"}), "/t/{p}/x", "/t/true/x"),
        (parameter("path", {"enum": ["a/../b"]}), "/t/{p}", "/t/a%2F..%2Fb"),
        (parameter("path", {"properties": {"k": {"type": "integer"}}}, explode=True), "/t/{p}", "/t/k=1"),
    ],
)
def test_parameters_are_written_in_their_style(tmp_path: Path, parameters: Any, path: str, expected: str) -> None:
    request = request_of(contract_of(tmp_path, parameters, path=path))
    assert isinstance(request, ExampleRequest)
    assert request.path == expected


def test_headers_and_cookies_are_sent_and_optional_parameters_are_not(tmp_path: Path) -> None:
    operation = {
        "parameters": [
            {"name": "X-Client", "in": "header", "required": True, "schema": {"enum": ["GOV/1"]}},
            {"name": "session", "in": "cookie", "required": True, "schema": {"type": "integer"}},
            {"name": "more", "in": "query", "schema": {"type": "string"}},
        ],
        "responses": {"200": {"description": "ok", "content": {"application/json": {}, "nonsense": {}}}},
    }
    request = request_of(contract_of(tmp_path, operation))
    assert isinstance(request, ExampleRequest)
    assert request.path == "/things"
    assert request.headers == (("accept", "application/json"), ("X-Client", "GOV/1"), ("cookie", "session=1"))


@pytest.mark.parametrize(
    ("operation", "path", "why"),
    [
        (parameter("header", {"type": "string"}, name="X-Payer FI-ID"), "/t", "HTTP does not allow"),
        (parameter("header", {"enum": ["a\r\nX-Evil: 1"]}), "/t", "printable ASCII"),
        (parameter("path", {"enum": [".."]}), "/t/{p}", "cannot stand in a path"),
        (parameter("path", {"type": "string"}, style="matrix"), "/t/{p}", "`matrix` is not built"),
        (body({"type": "object"}, "application/xml"), "/t", "`application/xml` are not built"),
        ({"requestBody": {"required": True, "content": {}}}, "/t", "no media type"),
        ({"parameters": [{"$ref": "#/nowhere"}]}, "/t", "not resolved"),
        (body({"$ref": "#/nowhere"}), "/t", "not resolved"),
    ],
)
def test_a_request_that_would_not_be_honest_is_not_built(tmp_path: Path, operation: Any, path: str, why: str) -> None:
    request = request_of(contract_of(tmp_path, operation, path=path))
    assert isinstance(request, NoRequest)
    assert why in request.reason


def test_forms_and_texts_are_encoded(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x y"]}, "b": {"type": "integer"}}}
    form = request_of(contract_of(tmp_path, body(schema, "application/x-www-form-urlencoded")))
    assert isinstance(form, ExampleRequest)
    assert form.body == b"a=x+y&b=1"
    parts = request_of(contract_of(tmp_path, body(schema, "multipart/form-data")))
    assert isinstance(parts, ExampleRequest)
    assert parts.body is not None
    assert parts.body.count(b"--meshmark-example-boundary") == 3
    text = request_of(contract_of(tmp_path, body({"type": "string"}, "text/plain")))
    assert isinstance(text, ExampleRequest)
    assert text.body == b"example"


def test_what_makes_comes_before_what_reads_and_deleting_last(tmp_path: Path) -> None:
    one = {"responses": {}, "parameters": [{"name": "id", "in": "path", "required": True, "schema": {}}]}
    paths = {
        "/births/{id}": {"delete": one, "get": one, "patch": one},
        "/births/{id}/notes": {"delete": one, "post": one},
        "/births": {"get": {"responses": {}}, "post": {"responses": {}}},
    }
    file = tmp_path / "api.json"
    file.write_text(json.dumps({"openapi": "3.0.3", "info": {}, "paths": paths}))
    assert [operation.key for operation in in_exercise_order(load_contract(file).operations)] == [
        "POST /births",
        "POST /births/{id}/notes",
        "GET /births",
        "GET /births/{id}",
        "PATCH /births/{id}",
        "DELETE /births/{id}/notes",
        "DELETE /births/{id}",
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-\d{4,6}$",
        r"^\+?[1-9]\d{1,14}$",
        r"^(a|b)c+(?:d|e)?$",
        r"^[^a-z]+$",
        r"^[]\\x]{2}\.\/$",
        r"\u0041\x42\t",
        r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$",
        "",
        "^$",
        "a{0}",
    ],
)
def test_the_text_for_a_plain_pattern_matches_it(pattern: str) -> None:
    text = text_for_pattern(pattern)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(("pattern", "text"), [("[[]", "["), ("[a&&b]", "a"), ("[^a||b]", "5"), ("[~~]", "~")])
def test_what_python_warns_of_is_ordinary_in_a_contract(pattern: str, text: str) -> None:
    assert text_for_pattern(pattern) == text


def test_a_pattern_is_stretched_to_the_length_that_is_asked_for() -> None:
    assert len(text_for_pattern("^[a-z]*$", 12) or "") >= 12
    assert text_for_pattern("^[0-9]{3,40}$", 12) == "5" * 12


@settings(deadline=None)
@given(st.text(alphabet="ab0[](){}|*+?^$.\\-,d:w=", max_size=12), st.integers(0, 20))
def test_no_pattern_stops_the_reading(pattern: str, shortest: int) -> None:
    text = text_for_pattern(pattern, shortest)
    assert text is None or len(text) <= 4096


PLAIN_SCHEMAS = st.recursive(
    st.sampled_from([schema for schema, value in SCHEMAS if value is not None]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner, "minItems": st.integers(0, 3)}),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from("abc"), inner),
                "required": st.just([]) | st.just(["a"]),
            }
        ),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(PLAIN_SCHEMAS)
def test_whatever_is_made_keeps_its_schema(schema: Any) -> None:
    document = {"openapi": "3.0.3"}
    # The parts of an `allOf` may well contradict each other; nothing else here has no value.
    with suppress(NoValue) if "allOf" in json.dumps(schema) else nullcontext():
        value = ValueMaker(document, "3.0.3").value(schema)
        assert SchemaRules(document, "3.0.3").breach(schema, value) is None


@dataclass
class SentRequest:
    """A request for openapi-core, which judges it without knowing how it was made."""

    method: str
    path: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None
    host_url: str = "http://contract.invalid"

    @classmethod
    def of(cls, request: ExampleRequest) -> SentRequest:
        path, _, query = request.path.partition("?")
        headers = Headers(list(request.headers))
        parameters = RequestParameters(query=MultiDict(parse_qsl(query)), header=headers)
        return cls(request.method.lower(), path, parameters, headers.get("content-type", ""), request.body)


@pytest.mark.filterwarnings("ignore:Unsupported scheme type", "ignore::DeprecationWarning:openapi_core")
def test_the_example_requests_of_the_real_contracts_keep_them_or_a_reason_is_stated(
    real_contract: dict[str, Any], real_contracts_folder: Path
) -> None:
    if not real_contract["openapi_core_loads"]:
        pytest.skip("the judge cannot read it")
    contract = load_contract(real_contracts_folder / real_contract["file"])
    document = tool_document(contract.document, base_url=SentRequest.host_url)
    judge = V31RequestValidator if contract.openapi_version.startswith("3.1") else V30RequestValidator
    validator = judge(SchemaPath.from_dict(document))
    for operation in contract.operations:
        request = ExampleMaker(contract).request(operation)
        if isinstance(request, NoRequest):
            assert operation.obstacle
            continue
        errors = list(validator.iter_errors(SentRequest.of(request)))
        assert [error for error in errors if not beyond(contract, operation, error)] == [], operation.key


def beyond(contract: Contract, operation: Operation, error: Exception) -> bool:
    """Whether it is no fault of the request but beyond the judge, or credentials, which are no part of an example."""
    if isinstance(error, MissingRequiredParameter):
        schemas = {each.name: follow(contract.document, each.definition.get("schema")) for each in operation.parameters}
        # An object that is spread over the query: the judge looks for its name in vain.
        return bool(schemas[error.name].get("properties"))
    if isinstance(error, InvalidRequestBody):
        assert operation.request_body is not None
        # Parts of forms are bytes to the judge, also where the contract says text.
        return "multipart/form-data" in operation.request_body.content
    return isinstance(error, SecurityValidationError) or (isinstance(error, PathNotFound) and "?" in operation.path)
