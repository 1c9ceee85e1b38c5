from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.subjects.placeholders import substitute


def test_placeholders_are_replaced_wherever_they_stand():
    arguments = ["server", "--port={port}", "{host}:{port}", "plain"]
    assert substitute(arguments, {"port": 80, "host": "h"}) == ["server", "--port=80", "h:80", "plain"]


def test_doubled_braces_are_literal_ones():
    assert substitute(['{{"port": {port}, "map": {{}}}}'], {"port": 80}) == ['{"port": 80, "map": {}}']


def test_a_value_with_braces_is_not_looked_at_again():
    assert substitute(["{a}"], {"a": "{b}", "b": "no"}) == ["{b}"]


@pytest.mark.parametrize("argument", ["{prot}", "{}", "{ port }", "{port:04d}", "{port!r}", "{0}"])
def test_an_unknown_placeholder_is_refused_and_the_known_ones_are_listed(argument):
    with pytest.raises(UsageError, match="unknown placeholder") as caught:
        substitute([argument], {"port": 80, "contract": "x"})
    assert "{contract}, {port}" in caught.value.next_step


@pytest.mark.parametrize("argument", ["{", "}", "a{b", "a}b", "{{}", "{port}}", '{"a": {"b": 1'])
def test_a_single_brace_is_refused_with_the_remedy(argument):
    with pytest.raises(UsageError) as caught:
        substitute([argument], {"port": 80})
    assert "{{" in caught.value.next_step or "}}" in caught.value.next_step


@given(st.lists(st.text()))
def test_every_text_can_be_written_by_doubling_its_braces(arguments):
    escaped = [argument.replace("{", "{{").replace("}", "}}") for argument in arguments]
    assert substitute(escaped, {}) == arguments
