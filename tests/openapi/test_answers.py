"""Answers are judged by the contract, and each breach has its kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.openapi.answers import Answer, Breach, ContractValidator
from conformance.openapi.contract import load_contract
from conformance.openapi.examples import ExampleMaker, ExampleRequest

JSON = ("content-type", "application/json; charset=utf-8")
READ = ExampleRequest("GET", "/births/7?lang=en", (), None)
BIRTH: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": r"^\p{L}+$"},
        "born": {"type": "string", "format": "date"},
        "secret": {"type": "string", "writeOnly": True},
        "mother": {"$ref": "#/components/schemas/Birth"},
        "note": {"type": "string", "nullable": True},
    },
    "additionalProperties": False,
}


def responses(schema: Any = None, media_type: str = "application/json") -> dict[str, Any]:
    return {
        "200": {
            "description": "ok",
            "headers": {
                "X-Trace": {"required": True, "schema": {"type": "integer"}},
                "X-More": {"schema": {"type": "integer"}},
            },
            "content": {media_type: {"schema": schema or {"$ref": "#/components/schemas/Birth"}}},
        },
        "204": {"description": "gone"},
        "4XX": {
            "description": "no",
            "content": {"application/problem+json; charset=utf-8": {"schema": {"type": "object"}}},
        },
    }


def validator_of(
    folder: Path, answers: dict[str, Any], version: str = "3.0.3", schema: Any = None
) -> ContractValidator:
    document = {
        "openapi": version,
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://elsewhere.example/api"}],
        "paths": {"/births/{id}": {"get": {"deprecated": True, "responses": answers}, "head": {"responses": answers}}},
        "components": {"schemas": {"Birth": schema or BIRTH}},
    }
    file = folder / "api.json"
    file.write_text(json.dumps(document))
    return ContractValidator(load_contract(file))


def answer(body: Any, status: int = 200, *headers: tuple[str, str]) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers or (JSON, ("X-Trace", "5")), content)


def kinds(breaches: tuple[Breach, ...]) -> list[str]:
    return [breach.kind for breach in breaches]


@pytest.mark.parametrize(
    "good",
    [
        answer({"name": "Ana", "born": "2024-02-29", "mother": {"name": "Eva"}, "note": None}),
        answer({"name": "Ana"}, 200, ("CONTENT-TYPE", "APPLICATION/JSON"), ("x-trace", "5"), ("x-more", "6")),
        answer(b"", 204, ("x-trace", "5")),
        answer({"title": "no"}, 404, ("content-type", "application/problem+json")),
        answer({"title": "no"}, 499, ("content-type", 'application/problem+json; charset="utf-8"')),
    ],
)
def test_an_answer_that_keeps_the_contract_has_no_breach(tmp_path: Path, good: Answer) -> None:
    assert validator_of(tmp_path, responses()).problems_of(READ, good) == ()


@pytest.mark.parametrize(
    ("bad", "expected", "words"),
    [
        (answer({"name": "Ana"}, 500), ["undeclared-status"], "500; declared: 200, 204, 4XX"),
        (answer({"name": 5}), ["schema-breach"], "`/name`"),
        (answer({}), ["schema-breach"], "name"),
        (answer({"name": "Ana", "mother": {"name": "Eva", "born": "yesterday"}}), ["schema-breach"], "`/mother/born`"),
        (answer({"name": "Ana", "age": 5}), ["schema-breach"], "age"),
        (answer({"name": 5, "born": 6}), ["schema-breach", "schema-breach"], "`/name`"),
        (answer([]), ["schema-breach"], "`/`"),
        (
            answer({"name": "A"}, 200, ("content-type", "text/html"), ("x-trace", "5")),
            ["wrong-content-type"],
            "text/html",
        ),
        (answer({"name": "A"}, 200, ("x-trace", "5")), ["wrong-content-type"], "declared: application/json"),
        (answer({"name": "A"}, 200, ("content-type", ";;=,"), ("x-trace", "5")), ["wrong-content-type"], "``"),
        (answer({"name": "A"}, 200, JSON), ["missing-header"], "`X-Trace`"),
        (answer({"name": "A"}, 200, JSON, ("x-trace", "five")), ["header-breach"], "`X-Trace`"),
        (answer({"name": "A"}, 200, JSON, ("x-trace", "5"), ("x-more", "many")), ["header-breach"], "`X-More`"),
        (answer(b""), ["missing-body"], "none came"),
        (answer(b'{"name": "A"'), ["unreadable-body"], "application/json"),
        (answer(b"\xff\xfe\x00"), ["unreadable-body"], "application/json"),
        (answer(b"[" * 100_000), ["unreadable-body"], "application/json"),
        (answer({}, 200, JSON), ["schema-breach", "missing-header"], "name"),
    ],
)
def test_each_breach_has_its_kind(tmp_path: Path, bad: Answer, expected: list[str], words: str) -> None:
    breaches = validator_of(tmp_path, responses()).problems_of(READ, bad)
    assert kinds(breaches) == expected
    assert words in breaches[0].message


@pytest.mark.parametrize("request_path", ["/deaths/7", "/births/7/notes", "/births"])
def test_an_operation_that_the_contract_lacks_is_said_to_be_undeclared(tmp_path: Path, request_path: str) -> None:
    validator = validator_of(tmp_path, responses())
    assert kinds(validator.problems_of(ExampleRequest("GET", request_path, (), None), answer({}))) == [
        "undeclared-operation"
    ]
    assert kinds(validator.problems_of(ExampleRequest("PUT", "/births/7", (), None), answer({}))) == [
        "undeclared-operation"
    ]


def test_no_body_is_asked_of_head_and_of_204(tmp_path: Path) -> None:
    declared = responses() | {"204": responses()["200"]}
    validator = validator_of(tmp_path, declared)
    head = ExampleRequest("HEAD", "/births/7", (), None)
    assert validator.problems_of(head, answer(b"", 200, JSON, ("x-trace", "5"))) == ()
    assert kinds(validator.problems_of(head, answer(b"", 200, JSON))) == ["missing-header"]
    assert validator.problems_of(READ, answer(b"", 204, ("x-trace", "5"))) == ()


@pytest.mark.parametrize(
    ("media_type", "content_type", "body", "expected"),
    [
        ("*/*", "application/json", b'{"name": "A"}', []),
        ("*/*", "application/json", b'{"name": 5}', ["schema-breach"]),
        ("application/*", "application/vnd.birth+json", b'{"name": 5}', ["schema-breach"]),
        ("application/*", "text/plain", b"x", ["wrong-content-type"]),
        ("Application/JSON; charset=utf-8", "application/json", b'{"name": "A"}', []),
        ("application/problem+json", "application/problem+json", b'{"name": 5}', ["schema-breach"]),
        ("text/plain", "text/plain; charset=latin-1", b"\xe9", ["schema-breach"]),
        ("application/xml", "application/xml", b"<a/>", ["unjudgeable"]),
        ("application/octet-stream", "application/octet-stream", b"\x00", []),
        ("text/csv", "text/csv", b"", []),
    ],
)
def test_bodies_are_read_by_the_media_type_that_they_have(
    tmp_path: Path, media_type: str, content_type: str, body: bytes, expected: list[str]
) -> None:
    validator = validator_of(tmp_path, responses(media_type=media_type))
    headers = (("content-type", content_type), ("x-trace", "5"))
    assert kinds(validator.problems_of(READ, answer(body, 200, *headers))) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "float"},
        {"properties": []},
        {"allOf": [{"$ref": "#/components/schemas/Birth"}]},
        {"minimum": "one"},
        {"required": 5},
    ],
)
def test_the_subject_is_not_blamed_for_a_rule_that_cannot_be_read(tmp_path: Path, schema: Any) -> None:
    breaches = validator_of(tmp_path, responses(), schema=schema).problems_of(READ, answer(5))
    assert set(kinds(breaches)) <= {"unjudgeable"}


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"oneOf": [{"type": "object"}, {"$ref": "#/nowhere"}]}])
def test_a_rule_behind_an_unresolved_reference_is_no_rule(tmp_path: Path, schema: Any) -> None:
    validator = validator_of(tmp_path, responses(schema))
    assert validator.problems_of(READ, answer([1, 2])) == ()
    assert kinds(validator.problems_of(READ, answer(b"{"))) == ["unreadable-body"]


def test_documents_of_openapi_3_1_are_judged_by_its_rules(tmp_path: Path) -> None:
    schema = {"type": ["object", "null"], "properties": {"n": {"exclusiveMinimum": 5}}}
    validator = validator_of(tmp_path, responses(), "3.1.0", schema)
    assert validator.problems_of(READ, answer(None)) == ()
    assert kinds(validator.problems_of(READ, answer({"n": 5}))) == ["schema-breach"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    status=st.integers(100, 599),
    headers=st.lists(
        st.tuples(st.sampled_from(["content-type", "x-trace", "x-more"]), st.text(max_size=20)), max_size=3
    ),
    body=st.binary(max_size=20)
    | st.sampled_from([b"{}", b"NaN", b"1e999", b'"\\ud800"', b"[[[[", b'{"name":"\\u0000"}']),
)
def test_no_answer_is_too_strange_to_be_judged(
    strange_validator: ContractValidator, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    breaches = strange_validator.problems_of(READ, Answer(status, tuple(headers), body))
    assert "unjudgeable" not in kinds(breaches)


@pytest.fixture(scope="module")
def strange_validator(tmp_path_factory: pytest.TempPathFactory) -> ContractValidator:
    return validator_of(tmp_path_factory.mktemp("strange"), responses())


def test_the_answers_that_real_contracts_show_as_examples_are_judged_without_harm(
    real_contract: dict[str, Any], real_contracts_folder: Path
) -> None:
    try:
        contract = load_contract(real_contracts_folder / real_contract["file"])
    except UsageError:
        pytest.skip("it does not load")
    validator = ContractValidator(contract)
    maker = ExampleMaker(contract)
    for operation in contract.operations:
        request = maker.request(operation)
        if isinstance(request, ExampleRequest):
            breaches = validator.problems_of(request, Answer(299, (JSON,), b"{}"))
            assert "undeclared-operation" not in kinds(breaches)
            for status in operation.responses:
                number = int(status) if status.isdecimal() else 200
                for breach in validator.problems_of(request, Answer(number, (JSON,), b'{"a": [1]}')):
                    assert breach.kind != "undeclared-status" or number == 200
