"""The access rules of one service, made ready for many calls.

Invariants: a rule never lets through a path that an application server might read as another one: parameters after dot
segments are refused wherever a rule bounds the path; what one rule allows is never combined with what another allows.
The same rules are enforced by the proxies' own filter; both must agree about every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from conformance.authn.reasons import Reason, Refused
from conformance.model.policy import AccessRule, Operation, PathMatchKind, ServicePolicy

__all__ = ["CompiledService"]

EXPRESSION = re.compile(r"\{[^{}]*\}")
PATH_CHARACTERS = "/!$&'()*+,;=:@~%-._"
# `/..;x/` is an ordinary segment for a proxy (RFC 3986 section 3.3) and the parent for some application servers.
DOT_SEGMENT_WITH_PARAMETER = re.compile(r"/\.{1,2};")


class _Operations:
    """Finds the operation that a call is, among those of a contract."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._concrete: dict[tuple[str, str], Operation] = {}
        self._templates: dict[str, list[tuple[Operation, re.Pattern[str]]]] = {}
        for operation in operations:
            if EXPRESSION.search(operation.path):
                self._templates.setdefault(operation.method, []).append((operation, _pattern(operation.path)))
            else:
                self._concrete[operation.method, _quoted(operation.path)] = operation

    def of(self, method: str, path: str) -> list[Operation]:
        """The operation; several where templates overlap and the contract leaves it open which of them it is.

        A path without expressions goes before one with expressions (OpenAPI 3.1, "Paths Object").
        """
        if concrete := self._concrete.get((method, path)):
            return [concrete]
        if DOT_SEGMENT_WITH_PARAMETER.search(path):
            return []
        return [operation for operation, pattern in self._templates.get(method, ()) if pattern.fullmatch(path)]


@dataclass(frozen=True, slots=True)
class _Rule:
    methods: frozenset[str]
    exact: frozenset[str]
    below: tuple[str, ...]
    allowed: frozenset[Operation]
    operations: _Operations | None

    def judge(self, method: str, path: str) -> tuple[Reason, str]:
        if self.methods and method not in self.methods:
            return Reason.METHOD_NOT_ALLOWED, ""
        if self.exact and not self._covers(path):
            return Reason.PATH_NOT_ALLOWED, ""
        if self.operations is None:
            return Reason.ALLOWED, ""
        found = self.operations.of(method, path)
        if found and self.allowed.issuperset(found):
            return Reason.ALLOWED, f"{method} {found[0].path}"
        return Reason.OPERATION_NOT_ALLOWED, ""

    def _covers(self, path: str) -> bool:
        return path in self.exact or (path.startswith(self.below) and not DOT_SEGMENT_WITH_PARAMETER.search(path))


class CompiledService:
    """A service's policy, and for each caller the rules that speak about it."""

    def __init__(self, policy: ServicePolicy) -> None:
        self.policy = policy
        self.prefix = f"/{policy.service}"
        self._rules: dict[str, list[_Rule]] = {}
        contract: dict[frozenset[Operation], _Operations] = {}
        for rule in policy.access:
            everything = frozenset((*policy.contract, *rule.operations))
            operations = None
            if rule.operations:
                operations = contract.get(everything) or _Operations(everything)
                contract[everything] = operations
            self._rules.setdefault(rule.caller, []).append(_compiled(rule, operations))

    def judge(self, caller: str, method: str, path: str) -> str:
        """Whether one of the rules lets the call through, and by which operation (method and template, or empty).

        Args:
            caller: SPIFFE id.
            method: HTTP method.
            path: without the service's prefix and without a query; begins with `/`.

        Raises:
            Refused: no rule lets it through. The reason is that of the rule that came closest.

        """
        closest = Reason.CALLER_NOT_ALLOWED
        for rule in self._rules.get(caller, ()):
            reason, operation = rule.judge(method, path)
            if reason is Reason.ALLOWED:
                return operation
            closest = max(closest, reason, key=CLOSENESS.index)
        raise Refused(closest)


CLOSENESS = (
    Reason.CALLER_NOT_ALLOWED,
    Reason.METHOD_NOT_ALLOWED,
    Reason.PATH_NOT_ALLOWED,
    Reason.OPERATION_NOT_ALLOWED,
)


def _compiled(rule: AccessRule, operations: _Operations | None) -> _Rule:
    return _Rule(
        methods=frozenset(rule.methods),
        exact=frozenset(match.path for match in rule.paths),
        # A prefix ends at a segment's border, or `/v1/public` would let `/v1/publications` through.
        below=tuple(match.path.rstrip("/") + "/" for match in rule.paths if match.kind is PathMatchKind.PREFIX),
        allowed=frozenset(rule.operations),
        operations=operations,
    )


def _pattern(template: str) -> re.Pattern[str]:
    literals = (re.escape(_quoted(literal)) for literal in EXPRESSION.split(template))
    return re.compile("[^/]+".join(literals))


def _quoted(literal: str) -> str:
    """As it stands in a path on the wire; what is quoted already stays so."""
    return quote(literal, safe=PATH_CHARACTERS)
