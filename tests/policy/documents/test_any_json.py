"""Whatever JSON is judged: it is taken or refused with reasons, and nothing else happens."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance.model.policies import Kind
from conformance.policy.documents import InvalidPolicies, PolicySet, judge, key_in, to_document, to_policy

from .small_mesh import SERVICE, problems_of, small_mesh

HOSTILE = [
    10**400, -(10**400), 1e308, float("inf"), "\ud800", "\x00", "a" * 5000, "/" * 5000, "{" * 5000, "%" * 5000, [], {},
    {"": {}}, [[]], None, True, 0, -1, {"prefix": []}, {"exact": None}, {"keys": [{"kty": []}]}, {"keys": [{"n": 1}]},
    {"keys": [{"kty": "EC", "crv": []}]}, {"keys": [{"kty": "RSA", "n": "é", "e": "AQAB"}]}, "spiffe://",
]  # fmt: skip
words = st.text(max_size=8) | st.sampled_from(HOSTILE)
anything = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in steps for place in _places(inner, (*path, key)))]


ALL_PLACES = [(key, path) for key, document in small_mesh().items() for path in _places(document)]


@given(anything)
def test_any_value_is_taken_or_refused(value: Any) -> None:
    for key in ((Kind.MESH, "mesh"), (Kind.SERVICE, "x")):
        assert PolicySet.of({key: value}).problems() or key_in(value) == key


@given(st.sampled_from(ALL_PLACES), anything | st.sampled_from(HOSTILE))
def test_any_value_in_any_place_of_good_documents_is_taken_or_refused(place: Any, value: Any) -> None:
    key, path = place
    # In the place of a whole document, None says that it is deleted.
    assume(path or value is not None)
    documents = small_mesh()
    if path:
        here: Any = documents[key]
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = deepcopy(value)
    else:
        documents[key] = value
    problems = PolicySet.of(documents).problems()
    for problem in problems:
        assert problem.reason
        assert problem.next_step
        assert str(problem)
    if problems:
        with pytest.raises(InvalidPolicies) as refused:
            judge(documents, [])
        assert list(refused.value.problems) == problems
        assert str(refused.value)
    else:
        judge(documents, [])
        for document in documents.values():
            assert to_policy(to_document(to_policy(document))) == to_policy(document)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_are_refused_as_whole_documents(value: Any) -> None:
    documents = small_mesh()
    documents[SERVICE] = value
    assert problems_of(documents)


def test_the_largest_rules_that_are_taken_are_judged_without_going_through_all_pairs() -> None:
    document = small_mesh()[SERVICE]
    # Templates that meet only in their last segment, and paths of which none is an operation's.
    document["contract"] = [f"GET /a/{{x}}{{y}}z{number}" for number in range(1000)]
    document["access"] = [
        {
            "caller": "office",
            "operations": document["contract"][:700],
            "paths": [{"exact": f"/a/{'z' * 40}{rule}-{number}"} for number in range(100)],
        }
        for rule in range(20)
    ]
    documents = {**small_mesh(), SERVICE: document}
    assert len(json.dumps(document)) < 1024 * 1024
    assert len(problems_of(documents)) == 20 * 800
