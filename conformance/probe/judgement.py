"""From observations to a verdict: what was expected, what was seen, and whether it was enough to judge.

Invariants: a check judges only by the reasons that it declared; a crash in a check is an error of the suite, never a
verdict on the subject; a pass without the promised evidence is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from conformance.model.check import Check
from conformance.model.errors import SuiteFault
from conformance.model.verdict import Evidence, EvidenceKind, Expectation
from conformance.probe.redaction import Redaction

__all__ = ["FreeJudgement", "Judgement", "Recorder", "Undecided", "Unmet"]


class Unmet(Exception):  # noqa: N818 -- no error: a finding
    """An expectation was not met: the check fails."""

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation.code)
        self.expectation = expectation


class Undecided(Exception):  # noqa: N818 -- no error: a finding
    """A positive control failed: nothing was learned."""

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation.code)
        self.expectation = expectation


class Recorder(Protocol):
    """What a probe hands on to: evidence, expectations, positive controls."""

    def record(self, name: str, kind: EvidenceKind, observed: Mapping[str, Any]) -> None:
        """Keep an observation."""

    def expect(self, code: str, condition: object, *, seen: str) -> None:
        """Judge."""

    def require(self, code: str, condition: object, *, seen: str) -> None:
        """A positive control."""


class FreeJudgement:
    """For tests outside of the catalogue: any code will do, and whoever made it decides what becomes of a finding."""

    def __init__(self, conclude: Callable[[Expectation], None]) -> None:
        self._conclude = conclude
        self.evidence: list[Evidence] = []

    def record(self, name: str, kind: EvidenceKind, observed: Mapping[str, Any]) -> None:
        """Keep an observation."""
        self.evidence.append(Evidence(name, kind, observed))

    def expect(self, code: str, condition: object, *, seen: str) -> None:
        """Judge."""
        self._conclude(Expectation(code=code, expected=code, seen=seen, met=bool(condition)))

    require = expect


class Judgement:
    """Collects the evidence and the expectations of one check; what is secret stays out of both."""

    def __init__(self, check: Check, redaction: Redaction) -> None:
        self._check = check
        self._redaction = redaction
        self.evidence: list[Evidence] = []
        self.expectations: list[Expectation] = []

    def record(self, name: str, kind: EvidenceKind, observed: Mapping[str, Any]) -> None:
        """Keep an observation, on pass too. The names that the check promised must all appear."""
        self.evidence.append(Evidence(name, kind, self._redaction.observation(observed)))

    def expect(self, code: str, condition: object, *, seen: str) -> None:
        """Judge: if `condition` is false the check fails for the reason `code`, which its declaration explains."""
        expectation = self._judged(code, self._check.fails, condition, seen)
        if not expectation.met:
            raise Unmet(expectation)

    def require(self, code: str, condition: object, *, seen: str) -> None:
        """A positive control: if `condition` is false nothing can be judged, and the check is inconclusive."""
        expectation = self._judged(code, self._check.inconclusive, condition, seen)
        if not expectation.met:
            raise Undecided(expectation)

    def missing_evidence(self) -> list[str]:
        """What was promised and not recorded."""
        recorded = {evidence.name for evidence in self.evidence}
        return [name for name in self._check.evidence if name not in recorded]

    def _judged(self, code: str, declared: Mapping[str, str], condition: object, seen: str) -> Expectation:
        if code not in declared:
            raise SuiteFault(
                f"check {self._check.id} judges by the reason {code}, which it did not declare",
                where=self._check.body.__module__,
                next_step="add the reason to `fails` or `inconclusive` of its declaration",
            )
        expectation = Expectation(
            code=code, expected=declared[code], seen=self._redaction.text(seen), met=bool(condition)
        )
        self.expectations.append(expectation)
        return expectation
