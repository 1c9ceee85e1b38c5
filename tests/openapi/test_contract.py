"""Loading contracts: as far as they can be read, and never from elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.openapi.answers import Answer, ContractValidator
from conformance.openapi.bundle import UNRESOLVED, unresolved_below
from conformance.openapi.contract import Contract, ContractProblem, load_contract
from conformance.openapi.examples import ExampleMaker, ExampleRequest
from conformance.openapi.tool_document import tool_document

BIRTHS = """\
openapi: 3.0.3
info: {title: Births, version: 1.4.0}
servers:
  - url: https://{host}/registry/{release}
    variables: {host: {default: births.example}, release: {default: v1}}
security: [{key: []}]
paths:
  /births/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: lang, in: query, schema: {type: string}}
    get:
      operationId: readBirth
      summary: One birth
      security: []
      parameters:
        - {name: lang, in: query, required: true, schema: {type: string}}
        - {name: Accept, in: header, schema: {type: string}}
      responses: {200: {description: ok}, 4XX: {description: no}, default: {description: else}}
    put:
      requestBody: {$ref: '#/components/requestBodies/Birth'}
      responses: {204: {description: ok}}
components:
  requestBodies:
    Birth: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Birth'}}}}
  schemas:
    Birth: {type: object, properties: {name: {type: string}, mother: {$ref: '#/components/schemas/Birth'}}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
"""


def contract_of(folder: Path, text: str, name: str = "api.yaml") -> Contract:
    path = folder / name
    path.write_text(text)
    return load_contract(path)


def with_schema(schema: str, version: str = "3.0.3") -> str:
    """A valid document whose only response has this schema (one line of YAML)."""
    return f"""\
openapi: {version}
info: {{title: T, version: '1'}}
servers: [{{url: /}}]
paths:
  /things:
    get:
      responses:
        '200':
          description: ok
          content:
            application/json:
              schema: {schema}
"""


def errors_of(contract: Contract) -> list[ContractProblem]:
    return [problem for problem in contract.problems if problem.severity == "error"]


def test_a_valid_contract_is_read_completely(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, BIRTHS)
    assert (contract.title, contract.version, contract.openapi_version) == ("Births", "1.4.0", "3.0.3")
    assert contract.sha256 == hashlib.sha256(BIRTHS.encode()).hexdigest()
    assert contract.base_path == "/registry/v1"
    assert contract.problems == ()
    assert contract.is_valid
    assert [operation.key for operation in contract.operations] == ["GET /births/{id}", "PUT /births/{id}"]


def test_an_operation_knows_its_parameters_body_responses_and_security(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, BIRTHS)
    read = contract.operation("GET /births/{id}")
    change = contract.operation("PUT /births/{id}")
    assert read is not None
    assert change is not None
    assert (read.operation_id, read.summary, read.is_safe) == ("readBirth", "One birth", True)
    assert [(each.place, each.name, each.required) for each in read.parameters] == [
        ("path", "id", True),
        ("query", "lang", True),
    ]
    assert list(read.responses) == ["200", "4XX", "default"]
    assert not read.needs_credentials
    assert read.location == f"{tmp_path}/api.yaml:12:5"
    assert (change.operation_id, change.is_safe, change.needs_credentials) == (None, False, True)
    assert change.request_body is not None
    assert change.request_body.required
    assert list(change.request_body.content) == ["application/json"]
    assert contract.operation("DELETE /births/{id}") is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "not text"),
        (b"\xff\xfeo\x00p\x00", "not text"),
        (b"a: [1", "not YAML"),
        (b"", "no mapping"),
        (b"- openapi: 3.0.0", "no mapping"),
        (b"just words", "no mapping"),
        (b"swagger: '2.0'\npaths: {}", "Swagger 2.0"),
        (b"paths: {}", "`openapi` is missing"),
        (b"openapi: 4.0.0", "OpenAPI 4.0.0 is not supported"),
        (b"openapi: {}", "not supported"),
    ],
)
def test_what_is_no_contract_is_refused_with_place_and_next_step(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_contract(path)
    assert what in caught.value.what
    assert str(caught.value.where).startswith(str(path))
    assert caught.value.next_step


def test_what_is_no_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, what in {
        "missing.yaml": "no such file",
        ".": "not a regular file",
        "pipe": "not a regular file",
        "loop": "no such file",
        "n\0l": "cannot be read",
        "x" * 300: "cannot be read",
    }.items():
        with pytest.raises(UsageError) as caught:
            load_contract(tmp_path / name)
        assert what in caught.value.what or "cannot be read" in caught.value.what


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="larger than"):
        contract_of(tmp_path, "#" * (8 * 1024 * 1024 + 1))


def test_files_beside_the_contract_are_read_and_bundled(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "paths.yaml").write_text(
        "births:\n  get:\n    responses:\n      200:\n        description: ok\n        content:\n"
        "          application/json: {schema: {$ref: 'schemas/birth.json'}}\n"
    )
    (tmp_path / "schemas/birth.json").write_text(
        json.dumps(
            {
                "type": "object",
                "properties": {"child": {"$ref": "#"}, "parent": {"$ref": "../api.yaml#/components/schemas/P"}},
            }
        )
    )
    text = """\
openapi: 3.0.3
info: {title: T, version: '1'}
servers: [{url: /}]
paths:
  /births: {$ref: './paths.yaml#/births'}
components:
  schemas:
    P: {type: string}
"""
    contract = contract_of(tmp_path, text)
    assert contract.problems == ()
    assert [operation.key for operation in contract.operations] == ["GET /births"]
    assert [Path(file.path).relative_to(tmp_path).as_posix() for file in contract.files] == [
        "api.yaml",
        "paths.yaml",
        "schemas/birth.json",
    ]
    references = sorted(set(all_references(contract.document)))
    assert references == [
        "#/components/schemas/P",
        "#/x-meshmark-files/1/births",
        "#/x-meshmark-files/2",
    ]


def all_references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from all_references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            yield from all_references(value)


@pytest.fixture
def listener() -> Iterator[tuple[str, list[object]]]:
    """A real server on loopback: its address, and who connected."""
    visits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, visitor = server.accept()
                except OSError:
                    return
                visits.append(visitor)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", visits
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


ELSEWHERE = [
    "{$ref: 'http://%s/schema.yaml'}",
    "{$ref: '//%s/schema.yaml'}",
    "{$ref: 'HTTP://%s/schema.yaml#/a'}",
    "{$id: 'http://%s/root/', properties: {a: {$ref: 'schema.yaml'}}}",
    "{$id: 'http://%s/root/', properties: {a: {$ref: '#/components'}}}",
    "{$schema: 'http://%s/dialect', type: string}",
    "{$dynamicRef: 'http://%s/schema.yaml'}",
    "{properties: {$ref: 'http://%s/schema.yaml'}}",
    "{enum: [{$ref: 'http://%s/schema.yaml'}], default: {$ref: 'http://%s/schema.yaml'}}",
    "{x-more: {$ref: 'http://%s/schema.yaml'}}",
    "{properties: {example: {$ref: 'http://%s/schema.yaml'}}}",
    "{oneOf: [{type: string}], discriminator: {propertyName: a, mapping: {b: 'http://%s/schema.yaml'}}}",
]


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("schema", ELSEWHERE)
def test_nothing_connects_to_another_host(
    tmp_path: Path, listener: tuple[str, list[object]], schema: str, version: str
) -> None:
    address, visits = listener
    contract = contract_of(tmp_path, with_schema(schema.replace("%s", address), version))
    assert isinstance(contract.problems, tuple)
    request = ExampleMaker(contract).request(contract.operations[0])
    assert isinstance(request, ExampleRequest)
    ContractValidator(contract).problems_of(request, Answer(200, (("content-type", "application/json"),), b'{"a": 1}'))
    assert "http://" not in json.dumps([*all_references(contract.document)])
    assert not visits


def test_a_reference_to_another_host_is_reported_with_its_place(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, with_schema("{$ref: 'https://elsewhere.example/s.yaml'}"))
    (problem,) = errors_of(contract)
    assert "nothing is fetched" in problem.message
    assert problem.location == f"{tmp_path}/api.yaml:12:24"
    assert [operation.key for operation in contract.operations] == ["GET /things"]


def test_external_examples_and_link_targets_are_left_out_with_a_warning(tmp_path: Path) -> None:
    text = with_schema("{type: string}") + (
        "              examples: {a: {externalValue: 'http://elsewhere.example/a.json'}}\n"
        "          links: {self: {operationRef: 'http://elsewhere.example/api.yaml#/paths/~1x/get'}}\n"
    )
    contract = contract_of(tmp_path, text)
    assert [problem.severity for problem in contract.problems if "not followed" in problem.message] == ["warning"] * 2
    assert "elsewhere" not in json.dumps(contract.document)


@pytest.mark.parametrize(
    "reference",
    [
        *("/etc/passwd", "file:///etc/passwd", "../secret.yaml", "a/../../secret.yaml", "%2e%2e/secret.yaml"),
        *("..%2Fsecret.yaml", "link.yaml", "folder-link/secret.yaml", "sub/link.yaml#/a", "\\\\\\\\server\\\\share"),
        *("http://[", "a\\0b", "pipe", ".", "x?y"),
    ],
)
def test_no_file_outside_the_folder_is_read(tmp_path: Path, reference: str) -> None:
    folder = tmp_path / "contract"
    (folder / "sub").mkdir(parents=True)
    secret = tmp_path / "secret.yaml"
    secret.write_text("a: {type: string, description: TOP-SECRET}")
    (folder / "link.yaml").symlink_to(secret)
    (folder / "sub/link.yaml").symlink_to("../../secret.yaml")
    (folder / "folder-link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    contract = contract_of(folder, with_schema(f'{{$ref: "{reference}"}}'))
    (problem,) = errors_of(contract)
    assert "is not resolved" in problem.message
    assert problem.location.startswith(f"{folder}/api.yaml:12:")
    assert "TOP-SECRET" not in json.dumps(contract.document)
    assert "TOP-SECRET" not in str(contract.problems)
    assert len(contract.files) == 1


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("#/components/schemas/Missing", "there is no"),
        ("#/paths/0", "there is no"),
        ("#anchor", "no anchors"),
        ("missing.yaml", "no such file"),
        ("api.yaml#/nothing", "there is no"),
        ("broken.yaml", "not YAML"),
        ("#/components/schemas/A", "in a circle"),
        ("#/components/schemas/Own", "in a circle"),
        ("#/components/schemas/Data/example/inner", "into an example"),
        ("#/components/schemas/A/properties/x", "there is no"),
    ],
)
def test_a_reference_to_nowhere_is_reported_and_the_rest_still_loads(tmp_path: Path, reference: str, why: str) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    text = with_schema(f"{{$ref: '{reference}'}}") + (
        "components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'},\n"
        "  Own: {$ref: '#/components/schemas/Own'}, Data: {example: {inner: {type: string}}}}}\n"
    )
    contract = contract_of(tmp_path, text)
    problem = next(problem for problem in errors_of(contract) if problem.location.endswith("api.yaml:12:24"))
    assert why in problem.message
    assert contract.operations[0].obstacle is None
    assert unresolved_below(contract.document, contract.operations[0].responses["200"]) == reference


def test_a_recursive_schema_is_no_problem(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, BIRTHS)
    assert unresolved_below(contract.document, contract.document) is None


@pytest.mark.parametrize(
    ("parameter", "obstacle"),
    [
        ("{$ref: '#/components/parameters/Missing'}", "which is not resolved"),
        ("{$ref: 'http://elsewhere.example/p.yaml'}", "which is not resolved"),
        ("{name: thing, in: body, schema: {type: object}}", "its `in` is `body`"),
        ("{in: query}", "its `in` is `query`"),
        ("just a word", "cannot be read"),
        ("{name: other, in: path, required: true, schema: {type: string}}", "has `{id}`"),
    ],
)
def test_an_operation_without_an_honest_request_says_why(tmp_path: Path, parameter: str, obstacle: str) -> None:
    text = (
        with_schema("{type: string}")
        .replace("/things:", "/things/{id}:")
        .replace("    get:\n", f"    get:\n      parameters: [{parameter}]\n")
    )
    contract = contract_of(tmp_path, text)
    assert obstacle in str(contract.operations[0].obstacle)
    assert any(obstacle in problem.message for problem in errors_of(contract))


def test_duplicate_keys_and_swagger_2_keys_are_reported_with_their_places(tmp_path: Path) -> None:
    text = with_schema("{type: string, type: integer}") + "basePath: /v1\n"
    contract = contract_of(tmp_path, text)
    found = {problem.location.rpartition("api.yaml")[2]: problem.message for problem in errors_of(contract)}
    assert "stands already" in found[":12:38"]
    assert any("`basePath` is a key of Swagger 2" in problem.message for problem in errors_of(contract))
    assert ":13:1" in found


def test_a_pattern_that_python_cannot_read_is_reported_and_not_judged(tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path, with_schema(r"{type: string, pattern: '^\p{L}+$', properties: {pattern: {type: string}}}")
    )
    (problem,) = contract.problems
    assert problem.severity == "warning"
    assert problem.location.endswith("api.yaml:12:38")
    schema = contract.operations[0].responses["200"]["content"]["application/json"]["schema"]
    assert "pattern" not in schema
    assert schema["properties"] == {"pattern": {"type": "string"}}


def test_the_validators_findings_have_places(tmp_path: Path) -> None:
    text = with_schema("{type: 7}").replace("      responses:", "      summary: [1]\n      responses:")
    found = errors_of(contract_of(tmp_path, text))
    assert {problem.location.rpartition("api.yaml")[2] for problem in found} >= {":7:7"}
    assert all(len(problem.message) < 400 for problem in found)


def test_a_long_chain_of_schemas_is_not_called_invalid(tmp_path: Path) -> None:
    schemas = {f"S{n}": {"properties": {"next": {"$ref": f"#/components/schemas/S{n + 1}"}}} for n in range(1000)}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "/"}],
        "paths": {"/things": {"get": {"responses": {"200": {"description": "ok"}}}}},
        "components": {"schemas": {**schemas, "S1000": {"type": "string"}}},
    }
    contract = contract_of(tmp_path, json.dumps(document))
    assert contract.is_valid
    assert [problem.severity for problem in contract.problems] == ["warning"]


def test_a_missing_server_is_a_warning_only(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, with_schema("{type: string}").replace("servers: [{url: /}]\n", ""))
    assert [problem.severity for problem in contract.problems] == ["warning"]
    assert contract.is_valid
    assert contract.base_path == ""


def test_tools_get_one_server_and_no_rule_that_nobody_has_read(tmp_path: Path) -> None:
    text = with_schema("{oneOf: [{type: string}, {$ref: '#/nowhere'}]}").replace(
        "    get:\n",
        "    servers: [{url: 'http://a.example'}]\n    get:\n      servers: [{url: 'http://b.example'}]\n"
        "      parameters: [{$ref: '#/nowhere'}, {name: q, in: query, schema: {type: string}}]\n",
    )
    contract = contract_of(tmp_path, text)
    document = tool_document(contract.document, base_url="https://127.0.0.1:1/x")
    item = document["paths"]["/things"]
    assert document["servers"] == [{"url": "https://127.0.0.1:1/x"}]
    assert "example" not in json.dumps(document)
    assert [parameter["name"] for parameter in item["get"]["parameters"]] == ["q"]
    assert item["get"]["responses"]["200"]["content"]["application/json"]["schema"] == {}
    assert UNRESOLVED in json.dumps(contract.document)
    left = tool_document(contract.document, base_url="/", without={("GET", "/things")})
    assert left["paths"]["/things"] == {}


WORDS_OF_CONTRACTS = """
$ref paths /x get parameters name in path responses 200 content schema properties #/paths #/components/schemas/A
components schemas A allOf required type object default examples application/json servers url requestBody security
info title pattern mapping
"""
WORDS = st.sampled_from(WORDS_OF_CONTRACTS.split())
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(paths=SHAPES, components=SHAPES, servers=SHAPES, info=SHAPES, item=SHAPES, operation=SHAPES)
def test_no_shape_of_a_document_stops_the_reading(
    tmp_path: Path, *, paths: Any, components: Any, servers: Any, info: Any, item: Any, operation: Any
) -> None:
    if isinstance(paths, dict):
        paths["/x"] = {"parameters": item, "get": {"parameters": item, "responses": operation, "requestBody": item}}
    document = {"openapi": "3.0.0", "info": info, "servers": servers, "paths": paths, "components": components}
    contract = contract_of(tmp_path, json.dumps(document))
    assert all(problem.location.startswith(str(tmp_path)) for problem in contract.problems)
    assert isinstance(contract.title + contract.version + contract.base_path, str)
    json.dumps(tool_document(contract.document, base_url="http://127.0.0.1:1"))
