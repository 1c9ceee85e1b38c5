"""What a registry asks about a bundle before it counts it.

This is the seam for signatures: a `Verifier` takes a bundle that was read and adds up, and answers with findings. One
finding that refuses is enough for the bundle to be shown as refused and counted as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.report.bundle import Bundle
from conformance.report.text import count

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

    """

    kind: FindingKind
    text: str
    expires: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> Finding:
        """The inverse of `to_json`."""
        return cls(FindingKind(values["kind"]), values["text"], values["expires"])

    def to_json(self) -> dict[str, str]:
        """As it stands in a registry."""
        return {"kind": self.kind.value, "text": self.text, "expires": self.expires}


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
        return [Finding(FindingKind.WARNING, "unsigned: nobody vouches for it")]
    number = count(len(bundle.signatures), "signature")
    return [Finding(FindingKind.WARNING, f"{number}, not verified here, because no keys were given")]


UNTRUSTED = Verifier("no keys", _signatures)
"""Knows no keys: that a bundle is whole and adds up was seen when it was read; signatures are counted only."""
