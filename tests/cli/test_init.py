"""`meshmark init` writes a commented run file that only lacks what nobody but the vendor knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from workplace import CONTRACT, REPOSITORY, Workplace

from conformance.model.run_file import RunFile, parse_run_file

CONTRACTS = sorted((REPOSITORY / "specs" / "contracts").glob("*.yaml"))


def parsed(path: Path) -> RunFile:
    return parse_run_file(path.read_text("utf-8"), path).run_file


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda path: path.stem)
def test_a_contract_becomes_a_run_file_that_is_accepted(contract, workplace: Workplace, output):
    output("init", str(contract))
    (written,) = workplace.folder.glob("*.meshmark.yaml")
    run_file = parsed(written)
    assert written.name == f"{run_file.subject.name}.meshmark.yaml"
    assert run_file.subject.contracts == [str(contract)]
    assert run_file.subject.url.startswith("http://127.0.0.1:8080")
    assert run_file.profile == "mesh"


def test_several_contracts_are_one_building_block_named_after_the_first(workplace: Workplace, output):
    workplace.write("things.yaml", CONTRACT)
    workplace.write("more.yaml", CONTRACT.replace("Things", "More"))
    shown = output("init", "things.yaml", "more.yaml")
    run_file = parsed(workplace.folder / "things.meshmark.yaml")
    assert run_file.subject.contracts == ["things.yaml", "more.yaml"]
    assert run_file.subject.version == "1.0"
    assert "meshmark doctor things.meshmark.yaml" in shown
    assert "meshmark certify things.meshmark.yaml" in shown


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Births & Deaths — Registry", "births-deaths-registry"),
        ("42nd Service", "nd-service"),
        ("Ünïcode", "n-code"),
        ("出生登録", "building-block"),
        ("x" * 100, "x" * 63),
        ('"quoted": {yes}', "quoted-yes"),
    ],
)
def test_any_title_becomes_a_name_that_is_accepted(title, name, workplace: Workplace, output):
    workplace.write("contract.yaml", CONTRACT.replace("Things", repr(title)))
    output("init", "contract.yaml")
    assert parsed(workplace.folder / f"{name}.meshmark.yaml").subject.name == name


@pytest.mark.parametrize("path", ["with space.yaml", "it's.yaml", 'with "quotes".yaml', "ünïcode.yaml", "a#b: c.yaml"])
def test_any_path_of_a_contract_is_kept(path, workplace: Workplace, output):
    workplace.write(path, CONTRACT)
    output("init", path)
    assert parsed(workplace.folder / "things.meshmark.yaml").subject.contracts == [path]


@pytest.mark.parametrize("server", ["https://host.example/api/v1", "/", "https://{h}/{v}/", "http://[broken", "/a b"])
def test_the_base_path_of_the_contract_is_in_the_url(server, workplace: Workplace, output):
    workplace.write("contract.yaml", CONTRACT.replace("{url: /}", f"{{url: '{server}'}}"))
    output("init", "contract.yaml")
    url = parsed(workplace.folder / "things.meshmark.yaml").subject.url
    assert url == ("http://127.0.0.1:8080/api/v1" if "api" in server else url)
    assert url.startswith("http://127.0.0.1:8080")


def test_a_name_can_be_given(workplace: Workplace, output):
    workplace.write("contract.yaml", CONTRACT)
    output("init", "contract.yaml", "--name", "civil-registry")
    assert parsed(workplace.folder / "civil-registry.meshmark.yaml").subject.name == "civil-registry"


@pytest.mark.parametrize("name", ["Civil", "../escape", "-x", "1a", "a" * 64, ""])
def test_a_name_that_cannot_be_is_refused(name, workplace: Workplace, refusal):
    workplace.write("contract.yaml", CONTRACT)
    if name:
        assert "cannot be the name of a service" in refusal("init", "contract.yaml", f"--name={name}")
    assert list(workplace.folder.glob("**/*.meshmark.yaml")) == []


def test_an_older_run_file_is_never_overwritten(workplace: Workplace, refusal):
    workplace.write("contract.yaml", CONTRACT)
    older = workplace.write("things.meshmark.yaml", "precious\n")
    said = refusal("init", "contract.yaml")
    assert said.startswith("things.meshmark.yaml: there is such a run file already\n  next: remove it, or ")
    assert older.read_text() == "precious\n"


def test_a_document_that_is_no_contract_is_refused(workplace: Workplace, refusal):
    workplace.write("things.yaml", "swagger: '2.0'\n")
    assert refusal("init", "things.yaml").startswith("things.yaml:1:1: this is a document of Swagger 2.0")
    assert list(workplace.folder.glob("*.meshmark.yaml")) == []


def test_a_contract_with_problems_is_taken_and_they_are_counted(workplace: Workplace, output):
    workplace.write("contract.yaml", CONTRACT.replace("openapi:", "openapi: 3.0.0\nopenapi:"))
    assert "note: contract.yaml has 1 problems; the check API-001 will list them" in output("init", "contract.yaml")
