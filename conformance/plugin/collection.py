"""A run file as a `pytest.File`, with one item for each check of the plan."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.model.errors import MeshmarkError
from conformance.model.record import PlanEntry
from conformance.model.verdict import Result, Verdict

if TYPE_CHECKING:
    from conformance.plugin.session import MeshmarkSession

__all__ = ["ENVIRONMENT_PROPERTY", "RESULT_PROPERTY", "TROUBLE_PROPERTY", "CheckItem", "RunFileCollector"]

RESULT_PROPERTY = "meshmark_result"
"""Carries a result inside a pytest report, so that it survives the way from an xdist worker to its controller."""
ENVIRONMENT_PROPERTY = "meshmark_environment"
TROUBLE_PROPERTY = "meshmark_trouble"
"""Why the run cannot go on, and the exit code that goes with it; only there if something is in the way."""


class NotPassed(Exception):  # noqa: N818 -- no error: a finding
    """Tells pytest that an item did not pass; the result says what it is."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.verdict.value}: {result.reason}")
        self.result = result


class RunFileCollector(pytest.File):
    """Loads the run file; its items are the checks."""

    def __init__(self, *, session_of: MeshmarkSession, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.meshmark = session_of

    def collect(self) -> Iterable[pytest.Item]:
        """One item for each check, also for those that do not apply: they are shown as skipped, with the reason."""
        run = self.meshmark.open_run(self.path)
        for entry in run.loaded.plan:
            yield CheckItem.from_parent(self, name=entry.check.id, entry=entry)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A mistake in the run file is told in its own words, without a stack trace."""
        if isinstance(excinfo.value, MeshmarkError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class CheckItem(pytest.Item):
    """One check on one subject."""

    def __init__(self, *, entry: PlanEntry, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.entry = entry
        self.add_marker(entry.level.value.lower())
        self.extra_keyword_matches.update({entry.check.area, entry.check.id})

    def runtest(self) -> None:
        """Run the check."""
        collector = self.parent
        assert isinstance(collector, RunFileCollector)  # noqa: S101 -- only it makes items
        run = collector.meshmark.open_run(self.path)
        result = collector.meshmark.execute(self.path, self.entry) if self.entry.run else self.entry.unrun_result()
        self.user_properties.append((RESULT_PROPERTY, json.dumps(result.to_json())))
        self.user_properties.append((ENVIRONMENT_PROPERTY, json.dumps(run.environment)))
        if run.trouble is not None:
            trouble = {"text": str(run.trouble), "exit_code": run.trouble.exit_code}
            self.user_properties.append((TROUBLE_PROPERTY, json.dumps(trouble)))
        if not self.entry.run:
            pytest.skip(f"{result.verdict.value}: {self.entry.reason}")
        if result.verdict is not Verdict.PASS:
            raise NotPassed(result)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """How pytest calls it."""
        return self.path, None, f"{self.entry.check.id} {self.entry.check.title}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Expected, seen, evidence, and how to reproduce it."""
        if not isinstance(excinfo.value, NotPassed):
            return super().repr_failure(excinfo, style)
        result = excinfo.value.result
        lines = [
            f"{result.check} {result.title}",
            f"verdict:   {result.verdict.value} ({result.reason}), {result.level.value}",
            f"expected:  {result.expected}",
            f"seen:      {result.seen}",
            f"next:      {result.next_step}",
            *(f"evidence:  {evidence.name}: {json.dumps(evidence.observed)[:500]}" for evidence in result.evidence),
            f"reproduce: {result.reproduce}",
        ]
        return "\n".join(lines)
