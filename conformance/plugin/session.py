"""The runs of one pytest session: opened when a run file is collected, closed and recorded when the session ends.

Several meshes share a run if that is asked for (`workers`). Each worker of pytest-xdist has a mesh of its own, too, and
runs its share; results travel inside pytest's reports, and the controller alone writes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from conformance.model.errors import EnvironmentFault, ExitCode, UsageError
from conformance.model.record import PlanEntry
from conformance.model.verdict import Result, exit_code_of, now
from conformance.plugin.collection import ENVIRONMENT_PROPERTY, RESULT_PROPERTY, TROUBLE_PROPERTY, CheckItem
from conformance.plugin.loading import LoadedRun, load_run
from conformance.plugin.options import RunOptions, selected_checks
from conformance.plugin.run import Run, make_record
from conformance.plugin.workers import Workers
from conformance.report.formats import FORMATS, ensure_available, write_reports
from conformance.report.language import languages, speaking
from conformance.report.material import Material
from conformance.report.summary import summarize
from conformance.system.interrupts import interrupts_held

__all__ = ["MeshmarkSession"]


@dataclass
class Findings:
    """What the items of one run file have reported, on whichever worker they ran."""

    results: list[Result] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    trouble_code: ExitCode | None = None


class MeshmarkSession:
    """A pytest plugin object; `records` and `exit_code` are there once the session has ended."""

    NAME: Final = "meshmark-session"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._runs: dict[Path, Run] = {}
        self._workers: dict[Path, Workers] = {}
        self._own: dict[Path, Run] = {}
        self._findings: dict[Path, Findings] = {}
        self._not_passed = 0
        self._started = now()
        self._interrupted = False
        self.summaries: list[list[str]] = []
        self.exit_code: ExitCode | None = None

    @property
    def options(self) -> RunOptions:
        """From pytest's command line.

        Raises:
            UsageError: a report format or language does not exist, no check is selected, or no mesh.
            EnvironmentFault: a report format needs a library that this machine does not have.

        """
        option = self._config.getoption
        formats = option("--meshmark-format")
        if unknown := sorted(set(formats or ()) - FORMATS.keys()):
            raise UsageError(
                f"no report format is called {', '.join(unknown)}",
                where="--meshmark-format",
                next_step=f"choose from {', '.join(FORMATS)}",
            )
        ensure_available(formats or ())
        language = option("--meshmark-language")
        if language not in languages():
            raise UsageError(
                f"reports do not speak {language!r}",
                where="--meshmark-language",
                next_step=f"choose from {', '.join(languages())}",
            )
        if option("--meshmark-workers") < 1:
            raise UsageError("a run needs a mesh", where="--meshmark-workers", next_step="give 1 or more")
        return RunOptions(
            out=Path(option("--meshmark-out")),
            only=selected_checks(option("--meshmark-only")),
            seed=option("--meshmark-seed"),
            envoy=option("--meshmark-envoy"),
            runtime=option("--meshmark-runtime"),
            formats=tuple(formats) if formats else RunOptions().formats,
            language=language,
            trust=tuple(Path(each) for each in option("--meshmark-trust") or ()),
            workers=option("--meshmark-workers"),
        )

    def open_run(self, path: Path) -> Run:
        """The run of a run file.

        Raises:
            UsageError: the run file, or something that it names, is wrong.

        """
        if path not in self._runs:
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            self._runs[path] = Run(load_run(shown, self.options), self.options)
        return self._runs[path]

    def execute(self, path: Path, entry: PlanEntry) -> Result:
        """Run one check of a run file, on whichever of its meshes."""
        return (self._workers.get(path) or self._runs[path]).execute(entry)

    def path_of(self, nodeid: str) -> Path:
        """The run file of an item, or of itself."""
        return Path(os.path.normpath(self._config.rootpath / nodeid.partition("::")[0]))

    def open_run_for_own_tests(self, path: Path) -> Run:
        """A run whose mesh vendors' own tests use. It leaves no record: nothing of the catalogue is judged."""
        if path not in self._own:
            self._own[path] = Run(load_run(path, self.options), self.options)
        return self._own[path]

    # ------------------------------------------------------------------ hooks

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is to be run is known, and no mesh has been started yet.

        Under pytest-xdist its workers are the meshes: each sees all checks here, and runs those that it is sent.
        """
        count = self._config.getoption("--meshmark-workers")
        if count < 2 or self._config.option.collectonly or hasattr(self._config, "workerinput"):
            return
        for path, run in self._runs.items():
            items = (item for item in session.items if isinstance(item, CheckItem) and item.path == path)
            if len(entries := [item.entry for item in items if item.entry.run]) > 1:
                self._workers[path] = Workers(run, entries, count)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the results, on the controller those of all workers."""
        if report.when != "call":
            return
        properties = dict(report.user_properties)
        if RESULT_PROPERTY not in properties:
            return
        self._not_passed += report.failed
        findings = self._findings.setdefault(self.path_of(report.nodeid), Findings())
        findings.results.append(Result.from_json(json.loads(str(properties[RESULT_PROPERTY]))))
        findings.environment |= json.loads(str(properties[ENVIRONMENT_PROPERTY]))
        if TROUBLE_PROPERTY in properties:
            trouble = json.loads(str(properties[TROUBLE_PROPERTY]))
            findings.trouble, findings.trouble_code = trouble["text"], ExitCode(trouble["exit_code"])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C: what is there so far is written as incomplete."""
        # pytest derives its own ways to stop early, such as `-x`, from KeyboardInterrupt.
        self._interrupted = excinfo.type is KeyboardInterrupt

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write while the meshes stop, but before if it was an interrupt: who is impatient must not lose the record.

        An interrupt that comes while it is written is too late to change what it says.
        """
        if not self._interrupted:
            for run in self._runs.values():
                run.begin_to_close()
        try:
            if not hasattr(self._config, "workerinput") and not self._config.option.collectonly:
                with interrupts_held() as held:
                    self._write(session)
                if held.came:
                    self.exit_code = ExitCode.INTERRUPTED
                    session.exitstatus = int(self.exit_code)
        finally:
            for workers in self._workers.values():
                workers.close()
            for run in (*self._runs.values(), *self._own.values()):
                run.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Outcome first, then where the report is."""
        for lines in self.summaries:
            terminalreporter.section("meshmark")
            for line in lines:
                terminalreporter.write_line(line)

    # ------------------------------------------------------------------ inside

    def _write(self, session: pytest.Session) -> None:
        codes = [self._conclude(path, run) for path, run in self._runs.items()]
        if codes:
            if session.testsfailed > self._not_passed:
                # Other tests of this session, or a run file that could not even be collected.
                uncollected = session.exitstatus == pytest.ExitCode.INTERRUPTED
                codes.append(ExitCode.USAGE if uncollected else ExitCode.NOT_CONFORMANT)
            self.exit_code = ExitCode.INTERRUPTED if self._interrupted else worst(codes)
            session.exitstatus = int(self.exit_code)

    def _conclude(self, path: Path, run: Run) -> ExitCode:
        findings = self._findings.get(path, Findings())
        ahead = self._workers[path].unclaimed() if path in self._workers else []
        record = make_record(
            run.loaded,
            [*findings.results, *ahead],
            environment=findings.environment or run.environment,
            started=self._started,
            interrupted=self._interrupted,
            trouble=findings.trouble,
        )
        material = Material(record.to_json(), run.loaded.files)
        with speaking(self.options.language):
            try:
                written = write_reports(material, self._folder(run.loaded), self.options.formats)
            except (EnvironmentFault, UsageError) as problem:
                self.summaries.append([*summarize(material.record), "", str(problem)])
                return problem.exit_code
            self.summaries.append(summarize(material.record, list(written.values())))
        code = exit_code_of(record.outcome)
        return findings.trouble_code if findings.trouble_code and code is ExitCode.INCOMPLETE else code

    def _folder(self, loaded: LoadedRun) -> Path:
        """The reports' folder; with several run files, one below it for each."""
        out = self.options.out
        return out if len(self._runs) == 1 else out / loaded.path.name.removesuffix(".meshmark.yaml")


def worst(codes: list[ExitCode]) -> ExitCode:
    """The one that most needs attention."""
    order = [
        ExitCode.USAGE,
        ExitCode.ENVIRONMENT,
        ExitCode.NOT_CONFORMANT,
        ExitCode.INCOMPLETE,
        ExitCode.CONFORMANT,
    ]
    return min(codes, key=order.index)
