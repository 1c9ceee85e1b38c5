"""What paths and templates can mean."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind
from conformance.policy.documents.matching import Reach, meetings

EXACT, PREFIX = PathMatchKind

parts = st.lists(st.sampled_from(["a", "b", "ab", "{x}", "a{x}", "{x}b", "a{x}b{y}", "{x}{y}", ""]), max_size=3)
templates = parts.map(lambda segments: "/" + "/".join(segments)).filter(lambda path: "//" not in path)
calls = st.lists(st.sampled_from(["a", "b", "ab", "aab", "axbb", "xb"]), max_size=3).map(
    lambda each: "/" + "/".join(each)
)
matches = st.builds(PathMatch, st.sampled_from(PathMatchKind), calls)
methods = st.lists(st.sampled_from(["GET", "PUT"]), unique=True, max_size=2).map(tuple)
rules = st.builds(
    AccessRule,
    st.just("a"),
    methods,
    st.lists(matches, max_size=2).map(tuple),
    st.lists(st.builds(Operation, st.sampled_from(["GET", "PUT"]), templates), max_size=2).map(tuple),
)


def lets_through(rule: AccessRule, method: str, path: str) -> bool:
    """The meaning of a rule, said another way."""
    return (
        (not rule.methods or method in rule.methods)
        and (not rule.paths or any(_matches(match, path) for match in rule.paths))
        and (not rule.operations or any(each.method == method and _has(each.path, path) for each in rule.operations))
    )


def _matches(match: PathMatch, path: str) -> bool:
    return path == match.path or (match.kind is PREFIX and path.startswith(match.path.rstrip("/") + "/"))


def _has(template: str, path: str) -> bool:
    literals = re.split(r"\{[^{}]+\}", template)
    return re.fullmatch("[^/]+".join(map(re.escape, literals)), path) is not None


@given(rules, rules, st.sampled_from(["GET", "PUT", "POST"]), calls)
def test_a_rule_that_covers_another_lets_all_of_its_calls_through(
    wide: AccessRule, narrow: AccessRule, method: str, path: str
) -> None:
    if Reach(wide).covers(Reach(narrow)) and lets_through(narrow, method, path):
        assert lets_through(wide, method, path)


@given(rules)
def test_a_rule_covers_itself(rule: AccessRule) -> None:
    assert Reach(rule).covers(Reach(rule))


@given(st.lists(matches, max_size=3), st.lists(templates, max_size=3), calls)
def test_what_has_a_call_in_common_meets(paths: list[PathMatch], forms: list[str], call: str) -> None:
    fitting, fitted = meetings(paths, [Operation("GET", form) for form in forms])
    for number, match in enumerate(paths):
        for place, form in enumerate(forms):
            if _matches(match, call) and _has(form, call):
                assert number in fitting
                assert place in fitted


@pytest.mark.parametrize(
    ("match", "template", "meet"),
    [
        (PathMatch(EXACT, "/v1/births/7"), "/v1/births/{id}", True),
        (PathMatch(EXACT, "/v1/births"), "/v1/births/{id}", False),
        (PathMatch(EXACT, "/v1/births/a.json"), "/v1/births/{id}.json", True),
        (PathMatch(EXACT, "/v1/births/.json"), "/v1/births/{id}.json", False),
        (PathMatch(PREFIX, "/v1"), "/v1", True),
        (PathMatch(PREFIX, "/v1/"), "/v1", False),
        (PathMatch(PREFIX, "/v1/"), "/v1/{x}", True),
        (PathMatch(PREFIX, "/v1"), "/v10", False),
        (PathMatch(PREFIX, "/"), "/v1/births", True),
        (PathMatch(PREFIX, "/v1/births/7/death"), "/v1/births/{id}", False),
    ],
)
def test_a_path_and_a_template_meet_or_not(match: PathMatch, template: str, meet: bool) -> None:
    assert meetings([match], [Operation("GET", template)]) == (({0}, {0}) if meet else (set(), set()))


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (AccessRule("a"), AccessRule("a", ("GET",)), True),
        (AccessRule("a", ("GET",)), AccessRule("a"), False),
        (AccessRule("a", ("GET",)), AccessRule("a", operations=(Operation("GET", "/v1"),)), True),
        (AccessRule("a", paths=(PathMatch(PREFIX, "/v1"),)), AccessRule("a", paths=(PathMatch(EXACT, "/v1/x"),)), True),
        (AccessRule("a", paths=(PathMatch(PREFIX, "/v1"),)), AccessRule("a", paths=(PathMatch(EXACT, "/v10"),)), False),
        (AccessRule("a", paths=(PathMatch(PREFIX, "/"),)), AccessRule("a", paths=(PathMatch(PREFIX, "/v1"),)), True),
        (
            AccessRule("a", paths=(PathMatch(PREFIX, "/v1/births"),)),
            AccessRule("a", operations=(Operation("GET", "/v1/births/{id}"),)),
            True,
        ),
        (
            AccessRule("a", paths=(PathMatch(PREFIX, "/v1/births"),)),
            AccessRule("a", operations=(Operation("GET", "/v1/{kind}"),)),
            False,
        ),
    ],
)
def test_a_rule_covers_another_or_not(wide: AccessRule, narrow: AccessRule, covers: bool) -> None:
    assert Reach(wide).covers(Reach(narrow)) is covers
