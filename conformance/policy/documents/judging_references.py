"""References from one policy to another, and what is said when they lead nowhere.

Invariant: a name that cannot be read is there; only a name that nobody has leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from conformance.model.policies import PolicyKey
from conformance.policy.documents.index import PolicyIndex
from conformance.policy.documents.problems import hint

__all__ = ["Fault", "Place", "missing"]

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indexes that lead to a value of a document."""

Fault: TypeAlias = tuple[Place, str, str]
"""Where, why, and the next step."""


def missing(key: PolicyKey, place: Place, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    """The fault that there is no such policy, if so."""
    kind, name = key
    if key in index:
        return
    if key in gone:
        yield place, f"{kind}/{name} is deleted and still needed here", f"change this first, or keep {kind}/{name}"
        return
    step = hint(name, index.names(kind), otherwise=f"add {kind}/{name} first, or in the same change")
    yield place, f"there is no {kind} `{name}`", step
