"""For vendors' own pytest tests: a probe without a catalogued check around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from conformance.model.verdict import Expectation
from conformance.plugin.run import Run, subject_facts
from conformance.probe import Probe
from conformance.probe.access_log import AccessLogs
from conformance.probe.judgement import FreeJudgement

__all__ = ["open_probe"]


@contextmanager
def open_probe(run: Run) -> Iterator[Probe]:
    """A probe on the run's mesh. Findings become assertion errors; afterwards the mesh is put back."""
    mesh = run.start()
    yield Probe(mesh, FreeJudgement(_assert), subject_facts(run.loaded), AccessLogs(mesh.members))
    run.on_mesh_loop(mesh.restore())


def _assert(expectation: Expectation) -> None:
    if not expectation.met:
        raise AssertionError(f"{expectation.code}: seen {expectation.seen}")
