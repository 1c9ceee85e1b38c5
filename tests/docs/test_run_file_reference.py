"""Every key of the run file, every timeout and every placeholder is documented, with its default, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from conformance.mesh import IMAGE_PLACEHOLDERS, PLACEHOLDERS
from conformance.model.run_file import (
    Bounds,
    Companion,
    GeneratedInput,
    Overlay,
    RunFile,
    Subject,
    WaiverEntry,
    run_file_schema,
)
from conformance.model.timeouts import Timeouts
from conformance.model.yaml_source import parse_yaml

from .documents import REPOSITORY, blocks, code, document
from .renew_schema import SCHEMA, schema_text

README = document("README.md")
PARTS: dict[str, type[BaseModel]] = {
    "The run file": RunFile,
    "`subject`": Subject,
    "`companions`": Companion,
    "`generated_input`": GeneratedInput,
    "`overlays`": Overlay,
    "`waivers`": WaiverEntry,
    "`bounds`": Bounds,
}
RUN_FILES = sorted((REPOSITORY / "fixtures").glob("*.meshmark.yaml"))


@pytest.mark.parametrize(("heading", "part"), PARTS.items())
def test_every_key_is_documented_and_every_documented_key_exists(heading: str, part: type[BaseModel]) -> None:
    documented = [code(row[0]) for row in README.table(heading, "key")]
    assert sorted(documented) == sorted(part.model_fields)


@pytest.mark.parametrize(("heading", "part"), PARTS.items())
def test_the_defaults_are_the_documented_ones(heading: str, part: type[BaseModel]) -> None:
    for row in README.table(heading, "key"):
        default = part.model_fields[code(row[0])].default
        assert row[2] in _written(default), f"{heading} {row[0]}"


def test_every_way_to_describe_a_part_has_its_section() -> None:
    described = set(run_file_schema()["$defs"]) - {"Feature"}
    assert described == {part.__name__ for part in PARTS.values()} - {"RunFile"}


def test_every_timeout_is_documented_with_its_default() -> None:
    documented = {code(row[0]): float(row[2]) for row in README.table("Timeouts", "name")}
    assert documented == Timeouts().to_json()


def test_every_placeholder_is_documented_and_where_it_is_known() -> None:
    rows = README.table("`subject`", "placeholder")
    assert {code(row[0]).strip("{}") for row in rows} == PLACEHOLDERS
    elsewhere = {code(row[0]).strip("{}") for row in rows if "not " not in row[2]}
    assert elsewhere == IMAGE_PLACEHOLDERS


def test_the_schema_for_editors_is_up_to_date() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), "renew it: python -m tests.docs.renew_schema"


def test_the_schema_lies_where_the_readme_says() -> None:
    assert f"`{SCHEMA.relative_to(REPOSITORY).as_posix()}`" in README.text


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.name)
def test_the_schema_takes_the_bundled_run_files(path: Path) -> None:
    _validator().validate(parse_yaml(path.read_text("utf-8"), source=path.name).value)


def test_the_schema_takes_the_run_files_that_are_shown() -> None:
    shown = [parse_yaml(block.text, source=str(block)).value for block in blocks("yaml")]
    run_files = [value for value in shown if isinstance(value, dict) and "subject" in value]
    assert run_files
    for value in run_files:
        _validator().validate(value)


@pytest.mark.parametrize("key", ["subjekt", "timeout"])
def test_the_schema_refuses_unknown_keys(key: str) -> None:
    value = parse_yaml(RUN_FILES[0].read_text("utf-8"), source="").value
    assert isinstance(value, dict)
    assert not _validator().is_valid({**value, key: {}})


def _validator() -> Any:
    return jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))


def _written(default: object) -> set[str]:
    """How a default may stand in the table."""
    if default is PydanticUndefined:
        return {"required"}
    if default is None:
        return {"none", "the embedded Envoy"}
    if default == "":
        return {"empty"}
    if isinstance(default, BaseModel):
        return {"its own defaults"}
    return {f"`{default}`"}
