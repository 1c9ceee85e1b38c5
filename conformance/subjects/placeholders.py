"""Placeholders such as `{port}` in the command line of a subject.

A literal brace is written twice, as in Python: `{{` and `}}`. Everything else in braces must be a known name, so that
a typing error is found before anything is started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from conformance.model.errors import UsageError

__all__ = ["substitute"]

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def substitute(arguments: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """`arguments` with every `{name}` replaced by `values[name]`.

    Raises:
        UsageError: an unknown name, or a brace that belongs to no placeholder.

    """
    return [_substitute_one(argument, values) for argument in arguments]


def _substitute_one(argument: str, values: Mapping[str, object]) -> str:
    known = ", ".join(f"{{{name}}}" for name in sorted(values)) or "none"

    def replaced(token: re.Match[str]) -> str:
        text = token.group()
        if text in ("{{", "}}"):
            return text[0]
        name = token.group(1)
        if name is None:
            raise UsageError(
                f"a single brace {text!r} in {argument!r}",
                next_step=f"write {text * 2} for a literal {text}; placeholders: {known}",
            )
        if name not in values:
            raise UsageError(
                f"unknown placeholder {text} in {argument!r}",
                next_step=f"use one of {known}, or write {{{{ and }}}} for literal braces",
            )
        return str(values[name])

    return TOKEN.sub(replaced, argument)
