"""What differs between two sets of documents."""

from __future__ import annotations

from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.policies import Kind
from conformance.policy.documents import ABSENT, ValueDifference, difference, difference_text

from .small_mesh import OTHER, SERVICE, small_mesh

KEY = (Kind.SERVICE, "x")
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "~/b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "/", "~"]), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(["a", "/", "~"]), values, max_size=3)


def test_equal_sets_do_not_differ() -> None:
    assert difference(small_mesh(), small_mesh()) == []
    assert difference_text([]) == ""


def test_each_value_that_differs_is_named_with_what_it_was_and_is() -> None:
    after = small_mesh()
    after[SERVICE]["timeout_s"] = 5
    after[SERVICE]["endpoints"].pop()
    after[SERVICE]["access"][0]["operations"] = ["POST /v1/births"]
    del after[OTHER]
    after[Kind.MEMBER, "clinic"] = {"kind": "member"}
    found = difference(small_mesh(), after)
    assert [(each.key[1], [value.path for value in each.values]) for each in found] == [
        ("clinic", [""]),
        ("office", [""]),
        ("births", ["/access/0/operations/0", "/endpoints/1", "/timeout_s"]),
    ]
    assert found[2].values[0] == ValueDifference("/access/0/operations/0", "GET /v1/births", "POST /v1/births")
    assert found[2].values[2] == ValueDifference("/timeout_s", ABSENT, 5)


def test_people_read_lines_with_minus_and_plus() -> None:
    before = {KEY: {"kind": "service", "retry": None, "access": [{"caller": "a"}]}}
    after = {KEY: {"kind": "service", "access": [{"caller": "b"}, {"caller": "a"}]}, (Kind.MEMBER, "m"): {"a": "ä"}}
    assert difference_text(difference(before, after)).splitlines() == [
        "member/m is new",
        '  + (whole): {"a": "ä"}',
        "service/x is changed",
        '  - /access/0/caller: "a"',
        '  + /access/0/caller: "b"',
        '  + /access/1: {"caller": "a"}',
        "  - /retry: null",
    ]
    assert difference_text(difference(after, {})).splitlines()[0] == "member/m is deleted"


def test_none_stands_for_a_document_that_is_not_there_as_in_the_audit_log() -> None:
    (found,) = difference({KEY: None}, {KEY: {}})
    assert found.values == (ValueDifference("", ABSENT, {}),)
    assert difference({KEY: None}, {KEY: None}) == []


def test_true_is_not_one() -> None:
    assert difference({KEY: {"a": 1}}, {KEY: {"a": True}})[0].values == (ValueDifference("/a", 1, True),)


@given(objects, objects)
def test_the_differences_lead_from_one_document_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = difference({KEY: before}, {KEY: after})
    steps = []
    for value in found[0].values if found else ():
        if value.after is ABSENT:
            # Of a list that became shorter, the last item goes first.
            steps.insert(0, {"op": "remove", "path": value.path})
        elif value.before is ABSENT:
            steps.append({"op": "add", "path": value.path, "value": value.after})
        else:
            steps.append({"op": "replace", "path": value.path, "value": value.after})
    assert _typed(jsonpatch.apply_patch(before, steps)) == _typed(after)


def _typed(value: Any) -> Any:
    """Python takes true for 1."""
    if isinstance(value, dict):
        return {key: _typed(inner) for key, inner in value.items()}
    return [_typed(each) for each in value] if isinstance(value, list) else (type(value), value)
