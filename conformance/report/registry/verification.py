"""What a registry asks about a bundle before it counts it.

This is the seam for signatures: a `Verifier` takes a bundle that was read and adds up, and answers with findings. One
finding that refuses is enough for the bundle to be shown as refused and counted as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from conformance.report.bundle import Bundle
from conformance.report.language import say

__all__ = ["UNTRUSTED", "Finding", "FindingKind", "Verifier"]


class FindingKind(StrEnum):
    """What a finding does."""

    REFUSED = "refused"
    """The bundle is not counted."""
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that verification says about a bundle.

    Attributes:
        kind: what it does.
        text: a sentence without an end.
        expires: the last day on which it holds, as `YYYY-MM-DD`: of a certificate that is its expiry. May be empty.
        key, values: by which the languages know the text; without a key it is English everywhere.

    """

    kind: FindingKind
    text: str
    expires: str = ""
    key: str = ""
    values: Mapping[str, str | int] = field(default_factory=dict)

    @classmethod
    def known(cls, kind: FindingKind, key: str, /, **values: str | int) -> Finding:
        """A finding whose text stands in the languages' files."""
        return cls(kind, say(key, **values), key=key, values=values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finding:
        """The inverse of `to_json`."""
        return cls(**{**values, "kind": FindingKind(values["kind"])})

    def to_json(self) -> dict[str, Any]:
        """As a registry keeps it."""
        return asdict(self)


@dataclass(frozen=True)
class Verifier:
    """Asks one question about every bundle.

    Attributes:
        name: differs whenever the answer may differ: it names keys, rules, and the day if days matter. Answers are kept
            from build to build under it.
        verify: the answer.

    """

    name: str
    verify: Callable[[Bundle], Sequence[Finding]]


def _signatures(bundle: Bundle) -> list[Finding]:
    if not bundle.signatures:
        return [Finding.known(FindingKind.WARNING, "finding_text.unsigned")]
    return [Finding.known(FindingKind.WARNING, "finding_text.no_keys", number=len(bundle.signatures))]


UNTRUSTED = Verifier("no keys", _signatures)
"""Knows no keys: that a bundle is whole and adds up was seen when it was read; signatures are counted only."""
