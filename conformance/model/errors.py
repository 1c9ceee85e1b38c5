"""Everything that can go wrong, divided by whose fault it is.

    MeshmarkError
    ├── UsageError          exit 2: the command line, the run file, a contract's whereabouts: the user mends it
    ├── EnvironmentFault    exit 3: Envoy, the container engine, ports, folders: the machine's owner mends it
    │   └── DeadlineExceeded    a named condition did not come true in time
    ├── SubjectFault        exit 4: the subject cannot be observed, so its conformance stays unproven
    └── SuiteFault          exit 3: meshmark itself is wrong; a bug report is due

A *verdict* is never an exception: a subject that misbehaves while it is observed fails its check. These errors say that
something could not be observed at all. Each names where, what and what to do next.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

__all__ = [
    "DeadlineExceeded",
    "EnvironmentFault",
    "ExitCode",
    "MeshmarkError",
    "SubjectFault",
    "SuiteFault",
    "UsageError",
]


class ExitCode(IntEnum):
    """The exit codes of every meshmark command."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    ENVIRONMENT = 3
    INCOMPLETE = 4
    INTERRUPTED = 130


class MeshmarkError(Exception):
    """The root: one sentence of *what*, optionally *where*, and always what to do *next*."""

    exit_code: ExitCode = ExitCode.ENVIRONMENT

    def __init__(self, what: str, *, next_step: str, where: str | None = None, detail: str | None = None) -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        self.detail = detail
        super().__init__(what)

    def __reduce__(self) -> tuple[Any, ...]:
        """To be sent from process to process; by default an exception can be made from `args` only."""
        return _without_init, (type(self), self.what), vars(self)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.detail:
            lines += [f"  {line}" for line in self.detail.rstrip().splitlines()]
        lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)


def _without_init(kind: type[MeshmarkError], what: str) -> MeshmarkError:
    return kind.__new__(kind, what)


class UsageError(MeshmarkError):
    """The user's input is wrong: a command-line option, the run file, a contract that cannot be found or read."""

    exit_code = ExitCode.USAGE


class EnvironmentFault(MeshmarkError):
    """The machine does not give what the run needs: Envoy, a container engine, a port, a writable folder."""

    exit_code = ExitCode.ENVIRONMENT


class DeadlineExceeded(EnvironmentFault):
    """A named condition did not come true within its time; `detail` says what was seen last."""


class SubjectFault(MeshmarkError):
    """The subject cannot be observed: it never got ready, it exited. Its conformance stays unproven."""

    exit_code = ExitCode.INCOMPLETE


class SuiteFault(MeshmarkError):
    """meshmark itself is wrong: a malformed check, an unmet promise between its own rooms."""

    exit_code = ExitCode.ENVIRONMENT
