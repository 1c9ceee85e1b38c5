"""The plan of a run and its record. Every report is rendered from a record and from nothing else.

Invariants: the plan names every check of the catalogue exactly once, to run or left out with a reason; the results name
exactly the checks of the plan; `totals` add up to both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from conformance.model.canonical import plain
from conformance.model.check import Catalogue, Check, Topology
from conformance.model.requirements import Feature, Level, Profile, Requirement
from conformance.model.verdict import Outcome, Result, Verdict, judge_outcome, totals_of

__all__ = [
    "RECORD_SCHEMA",
    "AppliedWaiver",
    "PlanEntry",
    "RunRecord",
    "Waiver",
    "WaiverSignature",
    "WaiverState",
    "apply_waivers",
    "plan_checks",
    "why_not_applicable",
]

RECORD_SCHEMA = "meshmark/record/2"
"""Names the shape of `record.json`; its JSON Schema is `reports/schemas/record-2.schema.json`."""


@dataclass(frozen=True)
class PlanEntry:
    """One check of the catalogue and what the plan says about it. `state` is what it becomes if it is not run."""

    check: Check = field(repr=False)
    level: Level
    run: bool
    reason: str = ""
    verdict_if_not_run: Verdict = Verdict.NOT_RUN

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {
            "check": self.check.id,
            "title": self.check.title,
            "description": self.check.description,
            "remedy": self.check.remedy,
            "level": self.level.value,
            "run": self.run,
            "reason": self.reason,
        }

    def unrun_result(self, reason: str | None = None) -> Result:
        """The result of a check that was never started."""
        why = reason or self.reason
        verdict = self.verdict_if_not_run if not self.run else Verdict.NOT_RUN
        return Result(
            check=self.check.id,
            title=self.check.title,
            level=self.level,
            proves=self.check.proves,
            verdict=verdict,
            reason="excluded" if not self.run else "not-reached",
            seen=why,
        )


def plan_checks(
    catalogue: Catalogue,
    profile: Profile,
    *,
    declared: frozenset[Feature],
    topology: Topology,
    separate_hosts: bool = False,
    only: frozenset[str] | None = None,
    deselected: Mapping[str, str] | None = None,
) -> tuple[PlanEntry, ...]:
    """Decide about every check of the catalogue.

    A check is not applicable when the profile does not contain it, when it needs a feature that the profile leaves
    optional and the run file does not declare, or when it belongs to another topology or to hosts of their own. A
    mandatory feature is always there. A check that applies but was not selected stays in the plan as not run.
    """
    present = frozenset(profile.mandatory) | declared
    entries = []
    for check in catalogue.checks:
        level = catalogue.level_of(check, profile)
        reason, verdict = "", Verdict.NOT_RUN
        if inapplicable := why_not_applicable(
            profile=profile.id,
            level=level,
            missing=check.needs - present,
            topology=None if topology in check.topologies else topology,
            lacks_hosts=check.separate_hosts and not separate_hosts,
        ):
            reason, verdict = inapplicable, Verdict.NOT_APPLICABLE
        elif only is not None and check.id not in only:
            reason = "not selected by --only"
        elif deselected and check.id in deselected:
            reason = deselected[check.id]
        entries.append(PlanEntry(check, level or Level.MAY, run=not reason, reason=reason, verdict_if_not_run=verdict))
    return tuple(entries)


def why_not_applicable(
    *, profile: str, level: str | None, missing: Collection[str], topology: str | None, lacks_hosts: bool
) -> str:
    """Why a check does not apply, in the words of the plan; empty: it applies.

    Args:
        profile: its id.
        level: of the check under this profile; None: it proves nothing that the profile asks for.
        missing: features that the check needs and the subject does not have.
        topology: the one of the run, if the check is not for it.
        lacks_hosts: it needs separate hosts, which the run does not have.

    """
    if level is None:
        return f"no requirement of profile {profile}"
    if missing:
        return f"needs the feature {', '.join(sorted(missing))}, optional in profile {profile} and not declared"
    if topology is not None:
        return f"not for the topology {topology}"
    return "needs hosts of their own (`hosts: separate` in the run file)" if lacks_hosts else ""


@dataclass(frozen=True)
class WaiverSignature:
    """Who has signed a waiver; verified when the run file was read, and again by whoever verifies the record.

    Attributes:
        name, role: of the signer.
        key: the id of its key.
        at: when it was signed.
        envelope: the signed waiver itself (DSSE), as JSON.

    """

    name: str
    role: str
    key: str
    at: str
    envelope: str = field(repr=False)


@dataclass(frozen=True)
class Waiver:
    """Somebody answers for a known fail until a day: an overlay on a verdict, never a change of it."""

    check: str
    reason: str
    owner: str
    expires: date
    signature: WaiverSignature | None = None
    """None: nobody has signed it."""


class WaiverState(StrEnum):
    """What became of a waiver in a run. Anything but `applied` fails the run."""

    APPLIED = "applied"
    EXPIRED = "expired"
    UNUSED = "unused"
    UNSIGNED = "unsigned"
    """The profile names a role that must sign waivers, and this one does not have its signature."""


@dataclass(frozen=True)
class AppliedWaiver:
    """A waiver and what became of it."""

    waiver: Waiver
    state: WaiverState

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {
            "check": self.waiver.check,
            "reason": self.waiver.reason,
            "owner": self.waiver.owner,
            "expires": self.waiver.expires.isoformat(),
            "state": self.state.value,
            "signature": asdict(self.waiver.signature) if self.waiver.signature else None,
        }


def apply_waivers(
    waivers: Sequence[Waiver], results: Sequence[Result], today: date, *, signed_by: str | None = None
) -> tuple[AppliedWaiver, ...]:
    """Lay waivers over results. The day of expiry is the last good one; `signed_by` is the role whose signature a
    waiver needs.

    A waiver for a check that was not run in this run (a selection by `--only`, an interruption) is neither used nor
    unused; it says nothing and is left out.
    """
    verdicts = {result.check: result.verdict for result in results}
    applied = []
    for waiver in waivers:
        verdict = verdicts.get(waiver.check, Verdict.NOT_RUN)
        if verdict is Verdict.NOT_RUN:
            continue
        if waiver.expires < today:
            state = WaiverState.EXPIRED
        elif signed_by is not None and (waiver.signature is None or waiver.signature.role != signed_by):
            state = WaiverState.UNSIGNED
        elif verdict is Verdict.FAIL:
            state = WaiverState.APPLIED
        else:
            state = WaiverState.UNUSED
        applied.append(AppliedWaiver(waiver, state))
    return tuple(applied)


@dataclass(frozen=True)
class RunRecord:
    """Everything that a report may show, and everything needed to recompute the outcome."""

    suite: Mapping[str, str]
    """name, version, catalogue_digest"""
    subject: Mapping[str, Any]
    """role, name, vendor, version, contracts: [{path, sha256}]"""
    profile: str
    plan: tuple[PlanEntry, ...]
    results: tuple[Result, ...]
    waivers: tuple[AppliedWaiver, ...]
    environment: Mapping[str, str]
    """envoy_version, envoy_digest, runtime, runtime_reason, python, os"""
    timeouts: Mapping[str, float]
    seed: int
    started: str
    finished: str
    topology: Topology = Topology.INTER_PROXY
    features: tuple[str, ...] = ()
    """The optional features that the run file declares."""
    run_file: str = ""
    interrupted: bool = False
    trouble: str = ""
    """Why checks were not reached, in words: the subject never got ready, somebody pressed Ctrl-C."""
    requirements: tuple[Requirement, ...] = ()
    """Every requirement that a check of the plan proves, so that a report stands alone."""

    @property
    def outcome(self) -> Outcome:
        """Recomputed from the results each time it is asked for."""
        return judge_outcome(
            self.results,
            waived=frozenset(each.waiver.check for each in self.waivers if each.state is WaiverState.APPLIED),
            waiver_problems=any(each.state is not WaiverState.APPLIED for each in self.waivers),
            interrupted=self.interrupted,
        )

    @property
    def totals(self) -> dict[str, int]:
        """Results by verdict, and how many of the fails are waived."""
        waived = {each.waiver.check for each in self.waivers if each.state is WaiverState.APPLIED}
        totals = totals_of([result.verdict for result in self.results])
        return totals | {"waived": len(waived), "planned": len(self.plan)}

    def to_json(self) -> dict[str, Any]:
        """The record as `record.json` holds it."""
        described = {
            "schema": RECORD_SCHEMA,
            "suite": dict(self.suite),
            "subject": dict(self.subject),
            "profile": self.profile,
            "topology": self.topology.value,
            "features": list(self.features),
            "run_file": self.run_file,
            "plan": [entry.to_json() for entry in self.plan],
            "results": [result.to_json() for result in self.results],
            "waivers": [waiver.to_json() for waiver in self.waivers],
            "totals": self.totals,
            "outcome": self.outcome.value,
            "interrupted": self.interrupted,
            "trouble": self.trouble,
            "requirements": {
                each.id: {
                    "text": each.text,
                    "level": level.value if (level := each.profiles.get(self.profile)) else None,
                    "sources": [source.id for source in each.sources],
                    "unchecked": each.unchecked,
                }
                for each in self.requirements
            },
            "environment": dict(self.environment),
            "timeouts": dict(self.timeouts),
            "seed": self.seed,
            "started": self.started,
            "finished": self.finished,
        }
        plain_record: dict[str, Any] = plain(described)
        return plain_record
