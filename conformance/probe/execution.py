"""Running one check: from its coroutine to a result, whatever happens."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.mesh import Mesh
from conformance.model.check import Check
from conformance.model.errors import EnvironmentFault, MeshmarkError
from conformance.model.record import PlanEntry
from conformance.model.verdict import Result, Verdict, now
from conformance.probe.access_log import AccessLogs
from conformance.probe.judgement import Judgement, Undecided, Unmet
from conformance.probe.probe import Probe
from conformance.probe.subject import SubjectFacts
from conformance.system.deadlines import time_limit

__all__ = ["Execution"]

PACKAGE = Path(__file__).resolve().parent.parent


CARRIED_OUT = "the check can be carried out"
REPORT = "report this as a defect of meshmark"


@dataclass(frozen=True)
class Finding:
    """What became of a check's body."""

    verdict: Verdict
    reason: str
    expected: str = ""
    seen: str = ""
    next_step: str = ""


@dataclass
class Execution:
    """Runs checks on one mesh, one after the other, each from the same policies."""

    mesh: Mesh
    subject: SubjectFacts
    reproduce: Mapping[str, str] = field(default_factory=dict)
    """For each check, the command that runs it alone."""
    _logs: AccessLogs = field(init=False)

    def __post_init__(self) -> None:
        self._logs = AccessLogs(self.mesh.members)

    async def run(self, entry: PlanEntry) -> Result:
        """Run one check and put the mesh back.

        Raises:
            EnvironmentFault: the mesh itself is gone (a security server died, policies could not be put back); no
                further check can be run. The check's own result is lost, because nobody knows what caused what.

        """
        check = entry.check
        redaction = self.subject.redaction
        judgement = Judgement(check, redaction)
        started, clock = now(), time.monotonic()
        finding = await self._find(check, judgement)
        result = Result(
            check=check.id,
            title=check.title,
            level=entry.level,
            proves=check.proves,
            verdict=finding.verdict,
            reason=finding.reason,
            expected=finding.expected,
            seen=redaction.text(finding.seen),
            next_step=redaction.text(finding.next_step),
            expectations=tuple(judgement.expectations),
            evidence=tuple(judgement.evidence),
            reproduce=self.reproduce.get(check.id, ""),
            started=started,
            duration_s=time.monotonic() - clock,
        )
        self.mesh.members.refuse_if_dead()
        await self.mesh.restore()
        return result

    async def _find(self, check: Check, judgement: Judgement) -> Finding:
        probe = Probe(self.mesh, judgement, self.subject, self._logs)
        try:
            async with time_limit(self.mesh.timeouts.check):
                await self.mesh.members.unless_dead(check.body(probe))
        except Unmet as finding:
            met = finding.expectation
            return Finding(Verdict.FAIL, met.code, met.expected, met.seen, check.remedy)
        except Undecided as finding:
            met = finding.expectation
            hint = f"An honest call already failed, so nothing was judged. Make this true first: {met.expected}"
            return Finding(Verdict.INCONCLUSIVE, met.code, met.expected, met.seen, hint)
        except TimeoutError:
            within = f"the check ends within {self.mesh.timeouts.check:g} s"
            return Finding(Verdict.ERROR, "check-timeout", within, "it did not", "raise timeouts.check")
        except MeshmarkError as problem:
            self.mesh.members.refuse_if_dead()
            whose = "environment" if isinstance(problem, EnvironmentFault) else "suite"
            return Finding(Verdict.ERROR, f"{whose}-fault", CARRIED_OUT, str(problem), problem.next_step)
        except Exception as crash:  # noqa: BLE001 -- whatever a check raises is the suite's error, not the subject's
            return Finding(Verdict.ERROR, "crash", CARRIED_OUT, _where(crash), REPORT)
        return _completed(judgement)


def _completed(judgement: Judgement) -> Finding:
    """A check that came to its end has passed, if it kept its promises."""
    if missing := judgement.missing_evidence():
        lacking = f"not recorded: {', '.join(missing)}"
        return Finding(Verdict.ERROR, "missing-evidence", "all promised evidence is there", lacking, REPORT)
    if not judgement.expectations:
        return Finding(Verdict.ERROR, "nothing-judged", "the check judges something", "it did not", REPORT)
    return Finding(Verdict.PASS, "as-expected")


def _where(crash: BaseException) -> str:
    """Type, message and the last place inside meshmark, without the machine's paths."""
    frames = traceback.extract_tb(crash.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    place = inside[-1] if inside else frames[-1]
    name = Path(place.filename)
    shown = name.relative_to(PACKAGE.parent) if name.is_relative_to(PACKAGE) else name.name
    return f"{type(crash).__name__}: {crash} ({shown}:{place.lineno})"
