"""Evidence, verdicts, results, and what they add up to.

Invariants: a result names exactly one check of the plan; totals of the six verdicts add up to the plan; a fail stays a
fail, waived or not; nothing but a pass ever counts as proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from conformance.model.canonical import digest, plain
from conformance.model.errors import ExitCode
from conformance.model.requirements import Level

__all__ = [
    "Evidence",
    "EvidenceKind",
    "Expectation",
    "Outcome",
    "Place",
    "Result",
    "Verdict",
    "exit_code_of",
    "judge_outcome",
    "moment",
    "now",
    "totals_of",
]


def now() -> str:
    """The present, as RFC 3339 in UTC with milliseconds."""
    return _written(datetime.now(UTC))


def moment(seconds: float) -> str:
    """A moment in seconds since the epoch, in the same form as `now`."""
    return _written(datetime.fromtimestamp(seconds, UTC))


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Verdict(StrEnum):
    """What one check says about the subject."""

    PASS = "pass"  # noqa: S105 -- a verdict, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOT_APPLICABLE = "not-applicable"
    NOT_RUN = "not-run"


class Outcome(StrEnum):
    """What the whole run says about the subject."""

    CONFORMANT = "conformant"
    CONFORMANT_WITH_WAIVERS = "conformant-with-waivers"
    NOT_CONFORMANT = "not-conformant"
    INCOMPLETE = "incomplete"


class EvidenceKind(StrEnum):
    """What sort of observation a piece of evidence is."""

    HANDSHAKE = "handshake"
    EXCHANGE = "exchange"
    STATISTICS = "statistics"
    ACCESS_LOG = "access-log"
    ARRIVALS = "arrivals"
    CONFIGURATION = "configuration"
    PROPAGATION = "propagation"
    CONTRACT = "contract"
    SURVEY = "survey"
    """What can be reached from where."""
    WIRE = "wire"
    """What crosses the network."""
    NOTE = "note"


@dataclass(frozen=True)
class Evidence:
    """One recorded observation. `observed` is plain JSON; secrets never enter it. In the record its digest stands
    beside it, by which it is named where it is kept apart.
    """

    name: str
    kind: EvidenceKind
    observed: Mapping[str, Any]
    at: str = field(default_factory=now)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evidence:
        """The inverse of `to_json`."""
        return cls(values["name"], EvidenceKind(values["kind"]), values["observed"], values["at"])

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        observed = plain(self.observed)
        return {
            "name": self.name,
            "kind": self.kind.value,
            "at": self.at,
            "sha256": digest(observed),
            "observed": observed,
        }


@dataclass(frozen=True)
class Expectation:
    """One thing that a check judged: its reason code, the sentence that had to be true, and what was seen."""

    code: str
    expected: str
    seen: str
    met: bool

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {"code": self.code, "expected": self.expected, "seen": self.seen, "met": self.met}


@dataclass(frozen=True)
class Place:
    """Where in the run file or in a contract a result has its cause; lines and columns count from 1."""

    path: str
    """As the record names the file."""
    line: int
    column: int

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {"path": self.path, "line": self.line, "column": self.column}


@dataclass(frozen=True)
class Result:
    """What one check found. `reason` is the code of the first expectation that was not met, or why there was nothing
    to judge.
    """

    check: str
    title: str
    level: Level
    proves: tuple[str, ...]
    verdict: Verdict
    reason: str
    expected: str = ""
    seen: str = ""
    next_step: str = ""
    expectations: tuple[Expectation, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reproduce: str = ""
    started: str | None = None
    duration_s: float = 0.0
    place: Place | None = None
    """Where to look first; None where nobody knows."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """The inverse of `to_json`."""
        return cls(
            **{
                **values,
                "level": Level(values["level"]),
                "proves": tuple(values["proves"]),
                "verdict": Verdict(values["verdict"]),
                "expectations": tuple(Expectation(**each) for each in values["expectations"]),
                "evidence": tuple(Evidence.from_json(each) for each in values["evidence"]),
                "place": Place(**values["place"]) if values["place"] else None,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {
            "check": self.check,
            "title": self.title,
            "level": self.level.value,
            "proves": list(self.proves),
            "verdict": self.verdict.value,
            "reason": self.reason,
            "expected": self.expected,
            "seen": self.seen,
            "next_step": self.next_step,
            "expectations": [expectation.to_json() for expectation in self.expectations],
            "evidence": [evidence.to_json() for evidence in self.evidence],
            "reproduce": self.reproduce,
            "started": self.started,
            "duration_s": round(self.duration_s, 4),
            "place": self.place.to_json() if self.place else None,
        }


def totals_of(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How often each verdict was given; all six are always named, so the totals add up to the plan."""
    return {verdict.value: sum(1 for given in verdicts if given is verdict) for verdict in Verdict}


def judge_outcome(
    results: Sequence[Result], *, waived: frozenset[str], waiver_problems: bool, interrupted: bool
) -> Outcome:
    """The outcome of a run.

    Args:
        results: one for each check of the plan.
        waived: ids of the checks whose fail a valid waiver covers.
        waiver_problems: an expired or unused waiver stands in the run file.
        interrupted: the run did not come to its end.

    A failed MUST disqualifies, whatever else happened. A MUST that is neither proven nor waived leaves the run
    incomplete. SHOULD and MAY are reported and never disqualify.

    """
    musts = [result for result in results if result.level is Level.MUST]
    failed = {result.check for result in musts if result.verdict is Verdict.FAIL}
    unproven = {
        result.check for result in musts if result.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_RUN)
    }
    if failed - waived or waiver_problems:
        return Outcome.NOT_CONFORMANT
    proven_something = any(result.verdict is Verdict.PASS for result in musts)
    if unproven or interrupted or not proven_something:
        return Outcome.INCOMPLETE
    used = any(result.verdict is Verdict.FAIL and result.check in waived for result in results)
    return Outcome.CONFORMANT_WITH_WAIVERS if used else Outcome.CONFORMANT


def exit_code_of(outcome: Outcome) -> ExitCode:
    """The exit code that goes with an outcome."""
    return {
        Outcome.CONFORMANT: ExitCode.CONFORMANT,
        Outcome.CONFORMANT_WITH_WAIVERS: ExitCode.CONFORMANT,
        Outcome.NOT_CONFORMANT: ExitCode.NOT_CONFORMANT,
        Outcome.INCOMPLETE: ExitCode.INCOMPLETE,
    }[outcome]
