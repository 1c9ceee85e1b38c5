"""The run file's schema for editors and its reader agree, and whatever text is given, there is an answer in words."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from workplace import FIXTURES

from conformance.model.run_file import RunFileError, parse_run_file, run_file_schema
from conformance.model.timeouts import Timeouts
from conformance.model.yaml_source import YamlProblem

PATH = Path("some.meshmark.yaml")
REFERENCES = sorted(FIXTURES.glob("*.meshmark.yaml"))


@pytest.mark.parametrize("file", REFERENCES, ids=lambda file: file.name)
def test_the_reference_run_files_keep_the_schema(file):
    text = file.read_text("utf-8")
    jsonschema_rs.validator_for(run_file_schema()).validate(yaml.safe_load(text))
    assert file.name.startswith(parse_run_file(text, file).run_file.subject.name)


def test_the_schema_explains_every_key():
    schema = run_file_schema()
    parts = schema["$defs"]
    for part in (schema, *parts.values()):
        for name, described in part.get("properties", {}).items():
            whole = parts[described["$ref"].rpartition("/")[2]] | described if "$ref" in described else described
            assert whole.get("description"), name


def test_the_timeout_table_takes_the_run_files_values():
    text = REFERENCES[0].read_text("utf-8") + "\ntimeouts: {request: 1.5}\n"
    table = parse_run_file(text, PATH).run_file.timeout_table()
    assert table == Timeouts(request=1.5)


keys = st.sampled_from(["subject", "name", "url", "companions", "calls", "timeouts", "request", "waivers", "zzz"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["things", "http://127.0.0.1:1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(keys, values) | st.dictionaries(st.just("subject"), st.dictionaries(keys, values)) | values)
def test_any_mistake_has_a_place_and_a_next_step(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    with pytest.raises((RunFileError, YamlProblem)) as refused:
        parse_run_file(text, PATH)
    name, line, column = refused.value.where.split(":")
    assert name == str(PATH)
    assert 1 <= int(line) <= text.count("\n") + 1
    assert int(column) >= 1
    assert refused.value.next_step
