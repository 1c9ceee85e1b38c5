"""Child processes of a run: started in a group of their own, output kept, death noticed, always ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from conformance.model.errors import EnvironmentFault
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace

__all__ = ["ChildProcess"]

KEPT_LINES = 200
LONGEST_LINE = 64 * 1024
LAST_OUTPUT_S = 0.2


class ChildProcess:
    """A running program. Its last output lines are in `tail()`; `exited` is a future with its exit code."""

    def __init__(self, process: asyncio.subprocess.Process, output: int, name: str, guard: Guard) -> None:
        self.name = name
        self._process = process
        self._guard = guard
        self._stopped = False
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._pump = asyncio.create_task(self._keep_output(output), name=f"output of {name}")
        self.exited: asyncio.Task[int] = asyncio.create_task(self._wait(), name=f"exit of {name}")

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        *,
        name: str,
        guard: Guard,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        namespace: NetworkNamespace | None = None,
    ) -> ChildProcess:
        """Start `arguments` (no shell) with standard input closed and both outputs captured.

        Args:
            arguments: program and arguments.
            name: for messages.
            guard: ends the process group should this runner die.
            environment: the complete environment; the runner's own by default.
            folder: working directory.
            namespace: the network that it lives in; the runner's own by default. There, a program that does not exist
                shows only in the exit code 127 and in its output.

        Raises:
            EnvironmentFault: the program does not exist or cannot be executed.

        """
        # A pipe of our own: asyncio tells of the end of a program only when its pipes are closed too, and a grandchild
        # may hold them open for ever.
        output, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(namespace.command(arguments) if namespace else arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env={**(os.environ if environment is None else environment), **guard.marker},
                cwd=folder,
                start_new_session=True,
            )
        except OSError as problem:
            os.close(output)
            raise EnvironmentFault(
                f"{name} could not be started: {problem.strerror or problem}",
                where=str(arguments[0]),
                next_step="check that the program exists, is executable and is on the PATH",
            ) from problem
        finally:
            os.close(write_end)
        guard.protect("group", process.pid)
        return cls(process, output, name, guard)

    @property
    def pid(self) -> int:
        """Process id, and the id of the group that `stop` ends."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return not self.exited.done()

    def tail(self, lines: int = 20) -> str:
        """The last lines that it printed to either output."""
        return "\n".join(list(self._lines)[-lines:])

    async def stop(self, grace_s: float = 2.0) -> int:
        """SIGTERM to the group, SIGKILL after `grace_s` seconds; returns the exit code (negative: the signal)."""
        if self._stopped:
            # The group's number may belong to somebody else by now.
            return await asyncio.shield(self.exited)
        self._signal(signal.SIGTERM)
        await asyncio.wait({self.exited}, timeout=grace_s)
        # Also when the leader is gone: its own children may not be.
        self._signal(signal.SIGKILL)
        code = await asyncio.shield(self.exited)
        if not self._stopped:
            self._stopped = True
            self._guard.release("group", self.pid)
        self._pump.cancel()
        await asyncio.wait({self._pump})
        return code

    def kill(self) -> None:
        """SIGKILL to the whole group, now."""
        if not self._stopped:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _wait(self) -> int:
        code = await self._process.wait()
        # Whoever hears of the end wants the last words too. Not for ever: a grandchild may hold the output open.
        await asyncio.wait({self._pump}, timeout=LAST_OUTPUT_S)
        return code

    async def _keep_output(self, output: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(output, "rb", 0)
        )
        partial = b""
        try:
            while chunk := await stream.read(LONGEST_LINE):
                *complete, partial = (partial + chunk).split(b"\n")
                self._lines.extend(line.decode(errors="replace") for line in complete)
                if len(partial) > LONGEST_LINE:
                    self._lines.append(partial.decode(errors="replace"))
                    partial = b""
        finally:
            if partial:
                self._lines.append(partial.decode(errors="replace"))
            transport.close()
