"""What reports in other standards have in common."""

from __future__ import annotations

import json

from hypothesis import given

from conformance.model.canonical import plain
from conformance.report.documents import filled, identifier, json_document, uri_path

from .test_properties import json_values, texts


@given(json_values)
def test_a_document_says_what_it_was_given_however_deep(value: object) -> None:
    value = plain(value)
    document = {"a": {"b": [[{"c": value, "empty": [[], {}]}], value]}, "d": value}
    assert json.loads(json_document(document)) == json.loads(json.dumps(document))


def test_upper_levels_are_indented_and_deeper_ones_are_not() -> None:
    lines = json_document({"a": [{"b": {"c": {"d": [1, 2]}}}]}).decode().splitlines()
    assert lines[:6] == ["{", '  "a": [', "    {", '      "b": {', '        "c": {', '          "d": [1, 2]']
    assert lines[6:] == ["        }", "      }", "    }", "  ]", "}"]


@given(texts, texts)
def test_an_identifier_names_its_parts_and_not_what_they_look_like_together(first: str, second: str) -> None:
    assert identifier(first, second) == identifier(first, second)
    assert identifier(first, second) != identifier(first + second)
    assert identifier(first, second) != identifier(f'{first}", "{second}')


def test_nothing_that_says_nothing_is_kept() -> None:
    assert filled({"a": "", "b": None, "c": [], "d": {}, "e": 0, "f": False}) == {"e": 0, "f": False}


def test_a_path_means_nothing_else_in_an_address() -> None:
    assert uri_path("a b/{c}?#%:ü") == "a%20b/%7Bc%7D%3F%23%25%3A%C3%BC"
