"""The reader of YAML: exact positions, no surprises, bounded cost."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.model.yaml_source import Position, YamlProblem, parse_yaml, parse_yaml_stream

RUN_FILE = """\
# a comment
subject:
  name: "birth-registry"
  contracts:
    - api/births.yaml
    - {path: api/deaths.yaml, optional: true}
seed: 7
"""


WORDS_OF_MANY_MEANINGS = """
NO no on Off yes Y n True FALSE Null
010 -007 0x1F 0o17 0b11 1_000 12:30 1:20:30.5 +5 .5 5. .inf -.INF .nan 1e999
"""


def refusal(text: str, *, lenient: bool = False) -> YamlProblem:
    with pytest.raises(YamlProblem) as caught:
        parse_yaml(text, source="run.meshmark.yaml", lenient=lenient)
    assert isinstance(caught.value, UsageError)
    assert caught.value.next_step
    return caught.value


def test_values_are_plain_and_every_one_knows_its_place() -> None:
    document = parse_yaml(RUN_FILE, source="run.meshmark.yaml")
    assert document.value == {
        "subject": {
            "name": "birth-registry",
            "contracts": ["api/births.yaml", {"path": "api/deaths.yaml", "optional": True}],
        },
        "seed": 7,
    }
    assert document.position(("subject", "name")) == Position(3, 9)
    assert document.key_position(("subject", "name")) == Position(3, 3)
    assert document.position(("subject", "contracts", 1, "optional")) == Position(6, 41)
    assert document.key_position(("subject", "contracts", 0)) == Position(5, 7)
    assert document.where(("seed",)) == "run.meshmark.yaml:7:1"


def test_a_path_that_leads_nowhere_gives_the_last_place_on_the_way() -> None:
    document = parse_yaml(RUN_FILE, source="run.meshmark.yaml")
    assert document.where(("subject", "version")) == "run.meshmark.yaml:2:1"
    assert document.where(("subject", "contracts", 9)) == "run.meshmark.yaml:4:3"
    assert document.where(("nothing",)) == "run.meshmark.yaml:2:1"
    assert document.where() == "run.meshmark.yaml:2:1"


def test_an_empty_document_is_none() -> None:
    assert parse_yaml("", source="x").value is None
    assert parse_yaml("# only a comment\n", source="x").value is None
    assert parse_yaml("", source="x").where(("a",)) == "x:1:1"


@pytest.mark.parametrize(
    "word",
    [
        *WORDS_OF_MANY_MEANINGS.split(),
        "9" * 5000,
    ],
)
def test_a_word_that_readers_take_for_different_things_is_refused_with_its_place(word: str) -> None:
    problem = refusal(f"a: 1\nb: {word}\n")
    assert problem.where == "run.meshmark.yaml:2:4"
    assert "quote" in problem.next_step
    assert parse_yaml(f"b: '{word}'", source="x").value == {"b": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("1.2.3", "1.2.3"),
        ("8080:80", "8080:80"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("node", "node"),
        ("!!str 010", "010"),
        ("! NO", "NO"),
    ],
)
def test_a_clear_word_is_what_it_says(word: str, value: object) -> None:
    assert parse_yaml(f"a: {word}", source="x").value == {"a": value}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("TRUE", True),
        ("Null", None),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("+5", 5),
        (".5", 0.5),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("2026-11-23", "2026-11-23"),
    ],
)
def test_contracts_are_read_by_the_core_rules_of_yaml_1_2(word: str, value: object) -> None:
    read = parse_yaml(f"a: {word}", source="x", lenient=True).value
    assert read == {"a": value}
    assert isinstance(read, dict)
    assert type(read["a"]) is type(value)


def test_keys_of_contracts_are_text() -> None:
    text = "responses: {200: a, 4XX: b, default: c, on: d, true: e, 1.0: f, null: g}"
    read = parse_yaml(text, source="x", lenient=True).value
    assert isinstance(read, dict)
    assert list(read["responses"]) == ["200", "4XX", "default", "on", "true", "1.0", "null"]


@pytest.mark.parametrize("key", ["200", "true", "null", "1.5", "~", "on", "010"])
def test_keys_of_run_files_must_be_text(key: str) -> None:
    assert refusal(f"a: 1\n{key}: 2").where == "run.meshmark.yaml:2:1"
    assert parse_yaml(f'"{key}": 2', source="x").value == {key: 2}


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("text", ["? [a]\n: 1", "? {a: b}\n: 1", "a: &x 1\n? *x\n: 2"])
def test_a_key_that_is_no_word_is_refused(text: str, lenient: bool) -> None:
    assert "a key must be a word" in refusal(text, lenient=lenient).what


def test_a_duplicate_key_is_refused_and_both_places_are_named() -> None:
    problem = refusal("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert problem.where == "run.meshmark.yaml:4:3"
    assert "2:3" in problem.what


def test_of_duplicate_keys_in_a_contract_the_last_counts_and_a_remark_says_so() -> None:
    document = parse_yaml("a:\n  b: 1\n  b: 3\n'200': x\n200: y\n", source="x", lenient=True)
    assert document.value == {"a": {"b": 3}, "200": "y"}
    assert [(remark.position, "already at 2:3" in remark.message) for remark in document.remarks] == [
        (Position(3, 3), True),
        (Position(5, 1), False),
    ]
    assert document.position(("a", "b")) == Position(3, 6)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!binary aGVsbG8=",
        "a: !secret x",
        "a: !!set {x}",
        "!x {a: 1}",
    ],
)
def test_tags_beyond_the_plain_ones_are_refused(text: str, lenient: bool) -> None:
    assert "the tag" in refusal(text, lenient=lenient).what


def test_aliases_stand_for_what_they_name_and_keep_its_place() -> None:
    document = parse_yaml("a: &x\n  b: 1\nc: *x\nd: &y word\ne: *y\n", source="x")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}, "d": "word", "e": "word"}
    assert document.key_position(("c", "b")) == Position(2, 3)


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: *a}", "a: *nowhere", "k: &a 1\nl: &a [*a]"])
def test_an_alias_of_something_incomplete_is_refused(text: str) -> None:
    assert "names nothing complete" in refusal(text).what


def test_merge_keys_are_for_contracts_only() -> None:
    text = "base: &base {type: string, example: a}\nother: &other {example: b, format: c}\n"
    merged = text + "one: {example: mine, <<: *base}\ntwo: {<<: [*base, *other], type: integer}\n"
    read = parse_yaml(merged, source="x", lenient=True)
    assert isinstance(read.value, dict)
    assert read.value["one"] == {"type": "string", "example": "mine"}
    assert read.value["two"] == {"type": "integer", "example": "a", "format": "c"}
    assert read.position(("two", "format")).line == 2
    assert not read.remarks
    assert "merge" in refusal(merged).what
    assert parse_yaml('"<<": 1', source="x").value == {"<<": 1}
    assert parse_yaml('a: {"<<": 1}', source="x", lenient=True).value == {"a": {"<<": 1}}


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    for lenient in (False, True):
        assert "values" in refusal(bomb, lenient=lenient).what


@pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "{a: " * 5000, "[" * 200 + "]" * 200])
def test_depth_is_bounded(text: str) -> None:
    assert "levels deep" in refusal(text).what


def test_size_is_bounded() -> None:
    assert "at most" in refusal("a: " + "x" * (9 * 1024 * 1024)).what


def test_a_stream_of_documents_is_read_one_by_one_and_each_knows_its_place() -> None:
    found = parse_yaml_stream("a: 1\n---\n---\nb: [2]\n", source="x")
    assert [each.value for each in found] == [{"a": 1}, None, {"b": [2]}]
    assert [each.where(("b", 0)) for each in found] == ["x:1:1", "x:3:1", "x:4:5"]
    assert parse_yaml_stream("", source="x") == []


def test_the_bounds_count_for_all_documents_of_a_stream_together() -> None:
    with pytest.raises(YamlProblem) as refused:
        parse_yaml_stream(("[" + "1," * 600_000 + "1]\n---\n") * 2, source="x")
    assert refused.value.where is not None
    assert refused.value.where.startswith("x:3:")


def test_a_second_document_is_refused_with_its_place() -> None:
    assert refusal("a: 1\n---\nb: 2\n").where == "run.meshmark.yaml:2:1"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\n\tb: 2\n", "2:1"),
        ("a: [1, 2\nb: 3\n", "2:2"),
        ("a: 'open\n", "2:1"),
        ("ä: 1\nb: \x00", "2:4"),
        ("ä: 1\nb: \ud800", "2:4"),
        ('{"a": "\\ud800"}', "1:10"),
        ("%YAML 9.9\n---\na: 1", "1:1"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text: str, where: str) -> None:
    problem = refusal(text)
    assert problem.where == f"run.meshmark.yaml:{where}"
    assert "not YAML" in problem.what


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# YAML ends a key at 1,024 characters, and JSON writes some characters as twelve.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(value=st.lists(JSON_VALUES), indent=st.sampled_from([None, 0, 2, "\t"]), lenient=st.booleans())
def test_every_json_document_reads_as_its_json_value(value: object, indent: int | str | None, lenient: bool) -> None:
    assert parse_yaml(json.dumps(value, indent=indent), source="x", lenient=lenient).value == value


@given(text=st.text())
def test_no_text_brings_anything_but_a_value_or_a_clean_refusal(text: str) -> None:
    for lenient in (False, True):
        with suppress(YamlProblem):
            json.dumps(parse_yaml(text, source="x", lenient=lenient).value, allow_nan=False)


def test_a_document_of_one_megabyte_is_read() -> None:
    schema = {"type": "object", "properties": {f"p{m}": {"type": "string"} for m in range(9)}}
    text = json.dumps({f"S{n}": schema for n in range(3000)}, indent=1)
    assert len(text) > 1_000_000
    assert parse_yaml(text, source="x").value == json.loads(text)
