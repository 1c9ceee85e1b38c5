"""Which calls paths and templates can mean: whether one match leaves nothing to another, whether two can ever meet.

Invariants: `covers` is only true if it is certain, `meetings` only leaves out what is certain; nothing here backtracks,
so no document can make it slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind, Route

__all__ = ["Reach", "comes_first", "leaves_nothing", "meetings"]

EXPRESSION = re.compile(r"\{[^{}/]+\}")


class Reach:
    """The calls that an access rule lets through, made ready to be compared with those of others."""

    def __init__(self, rule: AccessRule) -> None:
        self.methods = set(rule.methods)
        self.operations = set(rule.operations)
        self._exact = {match.path for match in rule.paths if match.kind is PathMatchKind.EXACT}
        self._prefixes = {match.path for match in rule.paths if match.kind is PathMatchKind.PREFIX}
        self._rule = rule

    def covers(self, other: Reach) -> bool:
        """Whether everything that the other one lets through passes here too, as far as that is certain."""
        return self._covers_methods(other) and self._covers_operations(other) and self._covers_paths(other)

    def _covers_methods(self, other: Reach) -> bool:
        methods = other.methods or {operation.method for operation in other.operations}
        return not self.methods or (bool(methods) and methods <= self.methods)

    def _covers_operations(self, other: Reach) -> bool:
        return not self.operations or (bool(other.operations) and other.operations <= self.operations)

    def _covers_paths(self, other: Reach) -> bool:
        if not self._exact and not self._prefixes:
            return True
        if other._rule.paths:
            return all(self._covers_match(match) for match in other._rule.paths)
        return bool(other.operations) and all(self._covers_template(each) for each in other.operations)

    def _covers_match(self, match: PathMatch) -> bool:
        return (match.kind is PathMatchKind.EXACT and match.path in self._exact) or self._has_prefix_of(match.path)

    def _covers_template(self, operation: Operation) -> bool:
        if "{" not in operation.path:
            return operation.path in self._exact or self._has_prefix_of(operation.path)
        certain = operation.path[: operation.path.index("{")]
        return self._has_prefix_of(certain[: certain.rindex("/") + 1])

    def _has_prefix_of(self, path: str) -> bool:
        return any(prefix in self._prefixes for prefix in _prefixes_of(path))


class _Template:
    """A path template, taken apart once, because it may be held against many paths."""

    def __init__(self, path: str) -> None:
        self._segments = [EXPRESSION.split(segment) for segment in path.split("/")[1:]]

    def may_meet(self, match: PathMatch) -> bool:
        """Whether a path of the template can be one of the match's."""
        wanted = match.path.split("/")[1:]
        count = len(self._segments)
        if match.kind is PathMatchKind.EXACT:
            if len(wanted) != count:
                return False
        elif wanted[-1] == "":
            wanted.pop()
            if count <= len(wanted):
                return False
        elif count < len(wanted):
            return False
        return all(map(_fits, wanted, self._segments))


def meetings(matches: Sequence[PathMatch], operations: Sequence[Operation]) -> tuple[set[int], set[int]]:
    """Places of the matches that at least one operation can have, and of the operations that fit at least one match."""
    fitting: set[int] = set()
    fitted: set[int] = set()
    for place, operation in enumerate(operations):
        template = _Template(operation.path)
        for number, match in enumerate(matches):
            # What is known to meet something needs no further proof.
            if (place not in fitted or number not in fitting) and template.may_meet(match):
                fitted.add(place)
                fitting.add(number)
    return fitting, fitted


def comes_first(routes: Sequence[Route]) -> list[int]:
    """The order in which routes are tried, as their places in the list: most specific first, else as they are given."""
    return sorted(range(len(routes)), key=lambda place: _specificity(routes[place]))


def leaves_nothing(first: Route, second: Route) -> bool:
    """Whether the first of two routes for the same paths takes every call that the second would."""
    methods = not first.methods or (bool(second.methods) and set(second.methods) <= set(first.methods))
    return methods and _headers(first) <= _headers(second)


def _headers(route: Route) -> set[tuple[str, str]]:
    return {(header.name.lower(), header.value) for header in route.headers}


def _specificity(route: Route) -> tuple[bool, int, int, bool]:
    exact = route.match.kind is PathMatchKind.EXACT
    return (not exact, -len(route.match.path), -len(route.headers), not route.methods)


def _prefixes_of(path: str) -> Iterator[str]:
    """Every prefix that matches the path; prefixes end at a segment's border."""
    yield path
    for place, character in enumerate(path):
        if character == "/":
            yield path[:place]
            yield path[: place + 1]


def _fits(segment: str, literals: list[str]) -> bool:
    """Whether a segment has these literals in this order, with at least one character for each expression between."""
    first, *others = literals
    if not others:
        return segment == first
    if not segment.startswith(first):
        return False
    place = len(first)
    *middle, last = others
    for literal in middle:
        place = segment.find(literal, place + 1)
        if place < 0:
            return False
        place += len(literal)
    return segment.endswith(last) and len(segment) - len(last) > place
