"""One run: its mesh, started with the first check, and its record at the end."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import conformance
from conformance.envoy.choose import choose_runtime
from conformance.mesh import Applications, HostSites, Mesh, Modifier, Modifiers, Overlays, SharedLoopback, registrable
from conformance.model.catalogue_facts import catalogue_digest
from conformance.model.check import Topology
from conformance.model.errors import MeshmarkError, SuiteFault
from conformance.model.record import PlanEntry, RunRecord, apply_waivers
from conformance.model.verdict import Result, now
from conformance.plugin.loading import LoadedRun
from conformance.plugin.mesh_thread import MeshThread
from conformance.plugin.options import RunOptions, RuntimeChoice
from conformance.plugin.places import Places
from conformance.probe import Execution, SubjectFacts
from conformance.system.guard import Guard

__all__ = ["Run", "make_record", "subject_facts", "wanted_runtime"]

T = TypeVar("T")


class Run:
    """Executes checks of one run file on one mesh. Everything it starts is gone after `close`."""

    def __init__(self, loaded: LoadedRun, options: RunOptions, modifiers: Sequence[Modifier] = ()) -> None:
        self.loaded = loaded
        self.trouble: MeshmarkError | None = None
        """Why no further check can be run."""
        self.environment: dict[str, str] = {}
        self._options = options
        self._modifiers = tuple(modifiers)
        self._overlays = Overlays(loaded.run_file.overlays, where=loaded.overlay_places.__getitem__)
        self._thread: MeshThread | None = None
        self._guard: Guard | None = None
        self._mesh: Mesh | None = None
        self._execution: Execution | None = None
        self._closing: Future[None] | None = None

    def execute(self, entry: PlanEntry) -> Result:
        """Run one check; starts the mesh if this is the first. When the mesh cannot be used: a result `not-run`."""
        if self.trouble is None:
            try:
                execution = self._execution or self._start()
                assert self._thread is not None  # noqa: S101 -- `_start` made it
                return self._thread.run(execution.run(entry))
            except MeshmarkError as trouble:
                self.trouble = trouble
        return entry.unrun_result(self.loaded.redaction.text(self.trouble.what))

    def start(self) -> Mesh:
        """Start the mesh, for tests that bring their own checks.

        Raises:
            MeshmarkError: it cannot be started.

        """
        execution = self._execution or self._start()
        return execution.mesh

    def on_mesh_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the mesh lives."""
        if self._thread is None:
            raise SuiteFault("the mesh was not started", next_step="call `start` first")
        return self._thread.run(work)

    def begin_to_close(self) -> None:
        """Have the mesh stop while the caller does something else; `close` waits for it."""
        if self._thread is not None and self._mesh is not None and self._closing is None:
            self._closing = self._thread.submit(self._mesh.__aexit__())

    def close(self) -> None:
        """Stop everything."""
        self.begin_to_close()
        if self._thread is not None:
            if self._closing is not None:
                self._thread.wait_for(self._closing)
            self._thread.close()
        if self._guard is not None:
            self._guard.close()
        self._thread = self._guard = self._mesh = self._execution = self._closing = None

    def _start(self) -> Execution:
        loaded = self.loaded
        self._thread = MeshThread()
        self._guard = Guard()
        timeouts = loaded.run_file.timeout_table()
        envoy = self._options.envoy or loaded.run_file.envoy
        choice = self._thread.run(choose_runtime(wanted_runtime(loaded, self._options), envoy, self._guard))
        modifiers = [self._overlays, *self._modifiers]
        topology, rewire = Topology(loaded.run_file.topology), Modifiers(modifiers).wiring
        mesh = Mesh(
            applications=Applications.of(loaded.run_file, loaded.path.resolve().parent, timeouts, self._guard),
            runtime=choice.runtime,
            timeouts=timeouts,
            guard=self._guard,
            modifiers=modifiers,
            operations=registrable(loaded.contracts),
            sites=HostSites(topology, rewire) if loaded.run_file.separate_hosts else SharedLoopback(),
        )
        self._thread.run(mesh.__aenter__())
        self._mesh = mesh
        self._overlays.refuse_unused()
        self.environment = _machine() | {
            "envoy_version": mesh.runtime.version,
            "envoy_digest": mesh.runtime.digest,
            "runtime": mesh.runtime.kind,
            "hosts": "separate" if loaded.run_file.separate_hosts else "shared",
            "runtime_reason": choice.reason,
        }
        self._execution = Execution(mesh, subject_facts(loaded), reproduce=_reproduce(loaded))
        return self._execution


def wanted_runtime(loaded: LoadedRun, options: RunOptions) -> RuntimeChoice:
    """What the options say, or the run file. On hosts of their own, security servers are containers only where somebody
    asks for it: each host is a pod then, which takes seconds.
    """
    wanted = options.runtime or loaded.run_file.runtime
    return "process" if wanted == "auto" and loaded.run_file.separate_hosts else wanted


def subject_facts(loaded: LoadedRun) -> SubjectFacts:
    """What the checks may know about the subject."""
    subject = loaded.run_file.subject
    return SubjectFacts(
        name=subject.name,
        contracts=loaded.contracts,
        ready_path=subject.ready,
        headers=subject.headers,
        generated_examples=loaded.run_file.generated_input.examples,
        skipped_operations=tuple(loaded.run_file.generated_input.skip),
        seed=loaded.seed,
        bounds=loaded.run_file.bounds,
        redaction=loaded.redaction,
    )


def make_record(
    loaded: LoadedRun,
    results: Sequence[Result],
    *,
    environment: Mapping[str, str],
    started: str,
    interrupted: bool,
    trouble: str,
) -> RunRecord:
    """The record of a run: every check of the plan gets a result, also those that were never reached."""
    found = {result.check: result for result in results}
    by_pytest = "deselected in pytest, or pytest stopped before"
    not_reached = trouble.partition("\n")[0] or ("the run was interrupted" if interrupted else by_pytest)
    unplaced = (
        found.get(entry.check.id) or entry.unrun_result(loaded.redaction.text(not_reached) if entry.run else None)
        for entry in loaded.plan
    )
    places = Places(loaded)
    complete = tuple(
        replace(result, place=places.of(entry.check, result))
        for entry, result in zip(loaded.plan, unplaced, strict=True)
    )
    subject = loaded.run_file.subject
    proven = {requirement for entry in loaded.plan for requirement in entry.check.proves}
    return RunRecord(
        suite={
            "name": "meshmark",
            "version": conformance.__version__,
            "catalogue_digest": catalogue_digest(loaded.catalogue),
        },
        subject={
            "role": subject.role,
            "name": subject.name,
            "vendor": subject.vendor,
            "version": subject.version,
            "contracts": [
                {"path": written, "sha256": contract.sha256}
                for written, contract in zip(subject.contracts, loaded.contracts, strict=True)
            ],
        },
        profile=loaded.profile.id,
        topology=Topology(loaded.run_file.topology),
        features=tuple(sorted(feature.value for feature in loaded.run_file.features)),
        plan=loaded.plan,
        results=complete,
        waivers=apply_waivers(
            loaded.waivers, complete, datetime.now(UTC).date(), signed_by=loaded.profile.waivers_signed_by
        ),
        environment=dict(environment) or _machine(),
        timeouts=loaded.run_file.timeout_table().to_json(),
        seed=loaded.seed,
        started=started,
        finished=now(),
        run_file=loaded.path.name,
        interrupted=interrupted,
        trouble=loaded.redaction.text(trouble),
        requirements=tuple(
            replace(each, unchecked=None if each.id in proven else each.unchecked or "no check proves it")
            for each in loaded.catalogue.requirements.values()
            if each.id in proven or loaded.profile.level_of(each)
        ),
    )


def _machine() -> dict[str, str]:
    unknown = dict.fromkeys(("envoy_version", "envoy_digest", "runtime", "runtime_reason", "hosts"), "")
    return unknown | {
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _reproduce(loaded: LoadedRun) -> dict[str, str]:
    path = shlex.quote(str(loaded.path))
    return {
        entry.check.id: f"meshmark certify {path} --only {entry.check.id} --seed {loaded.seed}" for entry in loaded.plan
    }
