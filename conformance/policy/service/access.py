"""What an access rule allows, seen from the contract of the service.

The mesh decides about calls; this only tells a member beforehand. An operation counts as allowed if at least one call
of it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind

__all__ = ["allows", "rule_endpoints"]

ANY_METHOD = "*"
ANY_PATH = "**"


def allows(rule: AccessRule, operation: Operation) -> bool:
    """Whether a rule lets at least one call of an operation through."""
    return (
        (not rule.methods or operation.method in rule.methods)
        and (not rule.operations or operation in rule.operations)
        and (not rule.paths or any(_meet(match, operation.path) for match in rule.paths))
    )


def rule_endpoints(rule: AccessRule) -> Iterator[tuple[str, str]]:
    """Method and path of what a rule allows, for a service without a contract, in X-Road's way of writing.

    `*` stands for any method, `**` for any rest of a path.
    """
    if rule.operations:
        # Without a contract only these are known; what else the rule asks narrows them down.
        yield from ((each.method, each.path) for each in rule.operations if allows(rule, each))
        return
    for method in rule.methods or (ANY_METHOD,):
        if not rule.paths:
            yield method, ANY_PATH
        for match in rule.paths:
            prefix = match.kind is PathMatchKind.PREFIX
            yield method, f"{match.path.rstrip('/')}/{ANY_PATH}" if prefix else match.path


def _meet(match: PathMatch, template: str) -> bool:
    """Whether a path that the rule names can be one of the template."""
    if match.kind is PathMatchKind.EXACT:
        return re.fullmatch(_pattern(template), match.path) is not None
    named = [each for each in match.path.split("/") if each]
    there = [each for each in template.split("/") if each]
    return len(named) <= len(there) and all(
        re.fullmatch(_pattern(segment), name) for name, segment in zip(named, there, strict=False)
    )


def _pattern(template: str) -> str:
    """A regular expression of a path template: each expression in braces is any text without a slash."""
    return "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^{}/]+\})", template) if part
    )
