"""Running one check: from its coroutine to a result, whatever happens."""

from __future__ import annotations

import asyncio
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
from conformance.probe.access_log import AccessLog
from conformance.probe.judgement import Judgement, Undecided, Unmet
from conformance.probe.probe import Probe, SubjectFacts
from conformance.probe.redaction import Redaction

__all__ = ["Execution"]

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass
class Execution:
    """Runs checks on one mesh, one after the other, each from the same policies."""

    mesh: Mesh
    subject: SubjectFacts
    reproduce: Mapping[str, str] = field(default_factory=dict)
    """For each check, the command that runs it alone."""
    _logs: dict[str, AccessLog] = field(default_factory=dict)

    async def run(self, entry: PlanEntry) -> Result:
        """Run one check and put the mesh back.

        Raises:
            EnvironmentFault: the mesh itself is gone (a security server died, policies could not be put back); no
            further
                check can be run. The check's own result is lost, because nobody knows what caused what.

        """
        check = entry.check
        judgement = Judgement(check, Redaction(self.subject.headers.values()))
        started, clock = now(), time.monotonic()
        verdict, reason, expected, seen, next_step = await self._judge(check, judgement)
        result = Result(
            check=check.id,
            title=check.title,
            level=entry.level,
            proves=check.proves,
            verdict=verdict,
            reason=reason,
            expected=expected,
            seen=seen,
            next_step=next_step,
            expectations=tuple(judgement.expectations),
            evidence=tuple(judgement.evidence),
            reproduce=self.reproduce.get(check.id, ""),
            started=started,
            duration_s=time.monotonic() - clock,
        )
        self.mesh.refuse_if_dead()
        await self.mesh.restore()
        return result

    async def _judge(self, check: Check, judgement: Judgement) -> tuple[Verdict, str, str, str, str]:
        probe = Probe(self.mesh, judgement, self.subject, self._logs)
        try:
            async with asyncio.timeout(self.mesh.timeouts.check):
                await self.mesh.unless_dead(check.body(probe))
        except Unmet as finding:
            met = finding.expectation
            return Verdict.FAIL, met.code, met.expected, met.seen, check.remedy
        except Undecided as finding:
            met = finding.expectation
            hint = f"An honest call already failed, so nothing was judged. Make this true first: {met.expected}"
            return Verdict.INCONCLUSIVE, met.code, met.expected, met.seen, hint
        except TimeoutError:
            limit = f"{self.mesh.timeouts.check:g} s"
            return (
                Verdict.ERROR,
                "check-timeout",
                f"the check ends within {limit}",
                "it did not",
                "raise timeouts.check",
            )
        except MeshmarkError as problem:
            self.mesh.refuse_if_dead()
            whose = "environment" if isinstance(problem, EnvironmentFault) else "suite"
            return Verdict.ERROR, f"{whose}-fault", "the check can be carried out", str(problem), problem.next_step
        except Exception as crash:  # noqa: BLE001 -- whatever a check raises is the suite's error, never the subject's fail
            return (
                Verdict.ERROR,
                "crash",
                "the check can be carried out",
                _where(crash),
                "report this as a defect of meshmark",
            )
        if missing := judgement.missing_evidence():
            what = f"not recorded: {', '.join(missing)}"
            return Verdict.ERROR, "missing-evidence", "all promised evidence is there", what, "report this as a defect"
        if not judgement.expectations:
            return (
                Verdict.ERROR,
                "nothing-judged",
                "the check judges something",
                "it did not",
                "report this as a defect",
            )
        return Verdict.PASS, "as-expected", "", "", ""


def _where(crash: BaseException) -> str:
    """Type, message and the last place inside meshmark, without the machine's paths."""
    frames = traceback.extract_tb(crash.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    place = inside[-1] if inside else frames[-1]
    name = Path(place.filename)
    shown = name.relative_to(PACKAGE.parent) if name.is_relative_to(PACKAGE) else name.name
    return f"{type(crash).__name__}: {crash} ({shown}:{place.lineno})"
