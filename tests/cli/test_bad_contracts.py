"""A contract that cannot be read ends the run before it begins; a wrong one is judged; nothing is ever fetched."""

from __future__ import annotations

import json
import socket

import pytest
from workplace import CONTRACT, Workplace, results

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

UNREADABLE = {
    "not YAML": ("paths: [", "contract.yaml:2:1: ", "this is not YAML or JSON"),
    "not OpenAPI": ("title: nothing of the kind\n", "contract.yaml:1:1: ", "the key `openapi` is missing"),
    "no mapping": ("- openapi\n", "contract.yaml:1:1: ", "this is not an OpenAPI document"),
    "empty": ("", "contract.yaml:1:1: ", "this is not an OpenAPI document"),
    "Swagger 2": ('info: {}\nswagger: "2.0"\n', "contract.yaml:2:1: ", "a document of Swagger 2.0"),
    "OpenAPI 4": ('openapi: "4.0.0"\n', "contract.yaml:1:1: ", "OpenAPI 4.0.0 is not supported"),
    "YAML bomb": (BOMB, "contract.yaml:", ""),
    "deeply nested": ("[" * 10_000, "contract.yaml:1:", ""),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_contract_that_cannot_be_read_is_refused_at_its_place(name, workplace: Workplace, refusal):
    text, where, what = UNREADABLE[name]
    file = workplace.run_file()
    workplace.write("contract.yaml", text)
    said = refusal("certify", file)
    place, _, rest = said.partition("contract.yaml:")
    assert f"contract.yaml:{rest}".startswith(where), said
    assert "\n" not in place
    assert what in said
    assert not (workplace.folder / "meshmark-report").exists()


def test_a_contract_that_is_not_there_is_refused_where_the_run_file_names_it(workplace: Workplace, refusal):
    file = workplace.run_file(subject={"contracts": ["contract.yaml", "none.yaml"]})
    said = refusal("certify", file)
    number, line = next(
        (number, line)
        for number, line in enumerate((workplace.folder / file).read_text().splitlines(), start=1)
        if "none.yaml" in line
    )
    assert said.startswith(f"{file}:{number}:{line.index('none.yaml')}: there is no such file: none.yaml")


def test_a_folder_is_no_contract(workplace: Workplace, refusal):
    (workplace.folder / "contracts").mkdir()
    said = refusal("certify", workplace.run_file(subject={"contracts": ["contracts"]}))
    assert "this is not a regular file: contracts" in said


def with_reference(reference: str) -> str:
    return CONTRACT.replace("{type: string}", json.dumps({"$ref": reference}))


def test_a_reference_to_another_host_is_a_problem_of_the_contract_and_never_followed(workplace: Workplace):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        workplace.write("contract.yaml", with_reference(f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema.json"))
        finished = workplace.meshmark("certify", workplace.run_file(), "--only", "API-001")
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    found = results(workplace.record())["API-001"]
    assert finished.code == 1
    assert (found["verdict"], found["reason"]) == ("fail", "contract-invalid")
    assert "contract.yaml:" in found["seen"]


def test_a_reference_out_of_the_contracts_folder_is_a_problem_and_never_read(workplace: Workplace):
    workplace.write("secret.yaml", "type: string\ndescription: not to be told\n")
    workplace.write("inside/contract.yaml", with_reference("../secret.yaml"))
    file = workplace.run_file(subject={"contracts": ["inside/contract.yaml"]})
    finished = workplace.meshmark("certify", file, "--only", "API-001")
    found = results(workplace.record())["API-001"]
    assert finished.code == 1
    assert (found["verdict"], found["reason"]) == ("fail", "contract-invalid")
    written = [path.read_text() for path in (workplace.folder / "meshmark-report").iterdir()]
    assert not any("not to be told" in text for text in [*written, finished.said])
