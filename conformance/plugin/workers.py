"""Several meshes for one run: processes that are forked off before this one has a mesh, and share its checks.

Invariants: each check is taken once, by whoever is free, in the order of the plan; what hinders one of them hinders the
run; a process that is forked off ends with the one that it comes from, and takes along what it started.

A fork costs nothing, where a new interpreter would load everything anew; and it must come before the first thread.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from types import FrameType
from typing import NoReturn

from conformance.model.errors import MeshmarkError, SuiteFault
from conformance.model.record import PlanEntry
from conformance.model.verdict import Result
from conformance.plugin.run import Run

__all__ = ["Workers"]

FORKING = multiprocessing.get_context("fork")
STOPPING = {signal.SIGINT, signal.SIGTERM}
INTERRUPT_AGAIN_S = 1.0
"""A signal that comes just before a thread begins to wait does not wake it."""


class Workers:
    """The meshes of one run: that of `run` itself, and those of further processes."""

    def __init__(self, run: Run, entries: Sequence[PlanEntry], count: int) -> None:
        """`count` meshes in all share `entries`, those of the plan that are to be run. Call it before `run` starts."""
        self._run = run
        self._waiting = deque(entries)
        self._own = {entry.check.id for entry in entries}
        self._results: dict[str, Result] = {}
        self._changed = threading.Condition()
        self._helpers: list[_Helper] = []
        # A machine without room for so many processes: fewer meshes find the same.
        with suppress(OSError):
            for _ in range(min(count, len(entries)) - 1):
                self._helpers.append(_Helper(run, entries))
        # Only now: a fork takes along no thread, but perhaps a lock that it holds.
        self._feeders = [threading.Thread(target=self._feed, args=(helper,)) for helper in self._helpers]
        for feeder in self._feeders:
            feeder.start()

    def execute(self, entry: PlanEntry) -> Result:
        """The result of a check. Until it is there other checks are run here, ahead of their turn."""
        if entry.check.id not in self._own:
            return self._run.execute(entry)
        self._own.discard(entry.check.id)
        while True:
            with self._changed:
                if entry.check.id in self._results:
                    return self._results.pop(entry.check.id)
            if next_one := self._take():
                self._keep(next_one, self._run.execute(next_one))
                continue
            with self._changed:
                self._changed.wait_for(lambda: entry.check.id in self._results)

    def unclaimed(self) -> list[Result]:
        """Results of checks whose turn has not come: after an interrupt it never will."""
        with self._changed:
            return list(self._results.values())

    def close(self) -> None:
        """End the other processes; a check that one of them still runs is given up."""
        with self._changed:
            self._waiting.clear()
        busy = {helper for helper, feeder in zip(self._helpers, self._feeders, strict=True) if feeder.is_alive()}
        for helper in busy:
            helper.interrupt()
        for helper, feeder in zip(self._helpers, self._feeders, strict=True):
            helper.join(interrupting=helper in busy)
            feeder.join()
            helper.hang_up()

    def _take(self) -> PlanEntry | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _keep(self, entry: PlanEntry, result: Result) -> None:
        with self._changed:
            self._results[entry.check.id] = result
            self._changed.notify_all()

    def _feed(self, helper: _Helper) -> None:
        while entry := self._take():
            if self._run.trouble is None:
                try:
                    self._keep(entry, helper.execute(entry))
                    continue
                except MeshmarkError as trouble:
                    self._run.trouble = trouble
            self._keep(entry, self._run.execute(entry))
        helper.end()


class _Helper:
    """Another process, with a mesh of its own."""

    def __init__(self, run: Run, entries: Sequence[PlanEntry]) -> None:
        self._run = run
        self._here, there = FORKING.Pipe()
        self._process = FORKING.Process(target=_serve, args=(run, entries, there, self._here), daemon=True)
        # Until the other process is ready for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        there.close()

    def execute(self, entry: PlanEntry) -> Result:
        """Run one check there.

        Raises:
            MeshmarkError: why no further check can be run there.

        """
        try:
            self._here.send(entry.check.id)
            result, environment, trouble = self._here.recv()
        except (EOFError, OSError) as problem:
            raise SuiteFault(
                f"the process of another mesh ended in the middle of {entry.check.id}",
                next_step="see whether the machine ran out of memory; else try without --workers, and report it",
            ) from problem
        if trouble is not None:
            raise trouble
        self._run.environment = self._run.environment or environment
        return Result.from_json(json.loads(result))

    def end(self) -> None:
        """Nothing is left to do: have it stop everything."""
        with suppress(OSError):
            self._here.send(None)

    def interrupt(self) -> None:
        """Have it stop everything, though it is at work."""
        self._process.terminate()

    def join(self, *, interrupting: bool) -> None:
        """Wait until it has ended."""
        while self._process.is_alive():
            self._process.join(INTERRUPT_AGAIN_S if interrupting else None)
            if interrupting:
                self.interrupt()

    def hang_up(self) -> None:
        """Nobody will answer any more."""
        self._here.close()


def _serve(run: Run, entries: Sequence[PlanEntry], orders: Connection, other_end: Connection) -> None:
    """What the other process does: one check after the other, as it is told."""
    # Ctrl-C reaches every process of the terminal; it is the first one that decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    other_end.close()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    known = {entry.check.id: entry for entry in entries}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        while check := orders.recv():
            result = run.execute(known[check])
            # As it goes into a record: not every value of evidence could be sent otherwise.
            orders.send((json.dumps(result.to_json()), run.environment, run.trouble))
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run.close()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101 -- multiprocessing has started this process
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
