"""How several processes share the checks of a run. What a mesh does in each of them is tested with the command."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from conformance.model.errors import EnvironmentFault, ExitCode
from conformance.plugin.loading import load_run
from conformance.plugin.options import RunOptions
from conformance.plugin.run import Run
from conformance.plugin.workers import Workers
from conformance.system.folders import bundled

HERE = os.getpid()


class Meshless(Run):
    """A run whose checks need no mesh: each leaves its mark and the number of the process that ran it."""

    def __init__(self, marks: Path) -> None:
        super().__init__(load_run(bundled("fixtures/birth-registry.meshmark.yaml"), RunOptions()), RunOptions())
        self.marks = marks
        self.entries = [entry for entry in self.loaded.plan if entry.run][:20]

    def execute(self, entry):
        if self.trouble is not None:
            return entry.unrun_result(self.trouble.what)
        with (self.marks / entry.check.id).open("a") as mark:
            mark.write("x")
        self.act(entry)
        self.environment = {"envoy_version": "1"}
        return entry.unrun_result(str(os.getpid()))

    def act(self, entry):
        """Nothing by default."""

    def until_both_are_at_work(self):
        while len(list(self.marks.iterdir())) < 2:
            pass

    def close(self):
        (self.marks / f"closed-{os.getpid()}").touch()


def shared(run: Meshless, count: int) -> list[str]:
    """What was seen by each check, in the order of the plan."""
    workers = Workers(run, run.entries, count)
    try:
        return [workers.execute(entry).seen for entry in run.entries]
    finally:
        workers.close()


def test_each_check_is_run_once_and_the_processes_end(tmp_path: Path):
    class Waiting(Meshless):
        def act(self, entry):
            # Nobody can do it all alone: the others must have begun, too.
            while len(list(self.marks.iterdir())) < min(3, len(self.entries)):
                pass

    run = Waiting(tmp_path)
    seen = shared(run, 3)
    assert len(seen) == len(run.entries)
    marks = [tmp_path / entry.check.id for entry in run.entries]
    assert [mark.read_text() for mark in marks] == ["x"] * len(run.entries)
    processes = set(map(int, seen))
    assert len(processes) == 3
    for process in processes - {os.getpid()}:
        assert (tmp_path / f"closed-{process}").exists()
        assert not Path(f"/proc/{process}").exists()
    assert run.environment == {"envoy_version": "1"}


def test_a_process_that_dies_hinders_the_run(tmp_path: Path):
    class Dying(Meshless):
        def act(self, entry):
            if os.getpid() != HERE:
                self.until_both_are_at_work()
                os.kill(os.getpid(), signal.SIGKILL)
            while self.trouble is None:
                pass

    run = Dying(tmp_path)
    seen = shared(run, 2)
    assert run.trouble is not None
    assert run.trouble.exit_code == ExitCode.ENVIRONMENT
    assert run.trouble.what.startswith("the process of another mesh ended in the middle of ")
    assert seen.count(run.trouble.what) == len(run.entries) - 1


def test_what_hinders_one_is_told_by_all(tmp_path: Path):
    class Hindered(Meshless):
        def act(self, entry):
            if os.getpid() != HERE:
                self.until_both_are_at_work()
                self.trouble = EnvironmentFault("no ports", where="here", next_step="free some", detail="all taken")
            while self.trouble is None:
                pass

    run = Hindered(tmp_path)
    seen = shared(run, 2)
    assert isinstance(run.trouble, EnvironmentFault)
    assert str(run.trouble) == "here: no ports\n  all taken\n  next: free some"
    assert seen.count("no ports") == len(run.entries) - 1


def test_a_run_that_stops_early_ends_the_others(tmp_path: Path):
    class Endless(Meshless):
        def act(self, entry):
            signal.pause()

    run = Endless(tmp_path)
    workers = Workers(run, run.entries, 2)
    while not list(tmp_path.iterdir()):
        pass
    workers.close()
    assert len(list(tmp_path.glob("closed-*"))) == 1


def test_a_run_that_stops_at_once_ends_the_others(tmp_path: Path):
    run = Meshless(tmp_path)
    Workers(run, run.entries, 4).close()
    assert len(list(tmp_path.glob("closed-*"))) == 3
