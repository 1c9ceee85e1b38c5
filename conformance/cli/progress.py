"""What `meshmark certify` prints while it runs: a line for each check; on a terminal also the one that is running."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.status import Status
from rich.text import Text

from conformance.model.errors import ExitCode
from conformance.model.verdict import Result, Verdict
from conformance.plugin.collection import RESULT_PROPERTY
from conformance.plugin.session import MeshmarkSession

if TYPE_CHECKING:
    from conformance.plugin.loading import LoadedRun

__all__ = ["Progress"]

MARKS = {
    Verdict.PASS: ("✔ pass", "green"),
    Verdict.FAIL: ("✘ fail", "bold red"),
    Verdict.INCONCLUSIVE: ("? inconclusive", "yellow"),
    Verdict.ERROR: ("! error", "bold yellow"),
    Verdict.NOT_APPLICABLE: ("- not applicable", "dim"),
    Verdict.NOT_RUN: ("- not run", "yellow"),
}


class Progress:
    """A pytest plugin object for one run."""

    def __init__(self, loaded: LoadedRun) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._planned = [entry for entry in loaded.plan if entry.run]
        self._done = 0
        self._status: Status | None = None
        self._session: MeshmarkSession | None = None
        self.exit_code: ExitCode | None = None
        subject = loaded.run_file.subject
        self._console.print(
            f"meshmark: {subject.name} {subject.version} of {subject.vendor}, profile {loaded.profile.id}, "
            f"{len(self._planned)} of {len(loaded.plan)} checks"
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A check begins."""
        if self._console.is_terminal:
            self._status = self._status or self._console.status("", spinner="dots")
            self._status.update(f"{nodeid.rpartition('::')[2]} ({self._done + 1} of {len(self._planned)})")
            self._status.start()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A check has ended."""
        found = dict(report.user_properties).get(RESULT_PROPERTY)
        if report.when != "call" or found is None:
            return
        result = Result.from_json(json.loads(str(found)))
        if result.verdict is Verdict.NOT_APPLICABLE or result.reason == "excluded":
            return
        self._done += 1
        mark, style = MARKS[result.verdict]
        line = Text.assemble(
            (f"{mark:<16}", style), f"{result.check}  {result.title}", (f"  {result.duration_s:.2f} s", "dim")
        )
        self._console.print(line)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A run file that changed between loading and collecting."""
        if report.failed:
            self._console.print(str(report.longrepr), style="red")

    def pytest_internalerror(self, excrepr: object) -> None:
        """A defect of meshmark: shown whole."""
        self._console.print(str(excrepr), style="red")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Take over what the session concluded."""
        session = config.pluginmanager.get_plugin(MeshmarkSession.NAME)
        if isinstance(session, MeshmarkSession):
            self._session = session
            self.exit_code = session.exit_code

    def finish(self) -> None:
        """The summary."""
        if self._status:
            self._status.stop()
        for lines in self._session.summaries if self._session else []:
            self._console.print()
            for line in lines:
                self._console.print(line, markup=False)
