"""`meshmark mesh up` as a test runs it."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workplace import Finished, Workplace

LAST_LINE = "Ctrl-C ends it.\n"


@dataclass(frozen=True)
class Shown:
    """A line that is ready to be pasted into a shell."""

    shows: str
    expect: str
    command: str


class RunningMesh:
    """A mesh that has said `ready`."""

    def __init__(self, workplace: Workplace, process: subprocess.Popen[str]) -> None:
        self.workplace = workplace
        self.process = process
        self.lines = list[str]()
        while self.lines[-1:] != [LAST_LINE]:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            self.lines.append(line)

    @property
    def page(self) -> str:
        return self.said("live page: ")

    @property
    def certificates(self) -> Path:
        return Path(self.said("certificates: ").partition(" ")[0])

    def said(self, beginning: str) -> str:
        """The rest of the line that begins like this."""
        (found,) = [line for line in self.lines if line.startswith(beginning)]
        return found.removeprefix(beginning).strip()

    def shown(self) -> list[Shown]:
        """The commands that were printed, each with the comment before it."""
        pairs = zip(self.lines, self.lines[1:], strict=False)
        found = [(first[2:].rstrip().rpartition(": "), second) for first, second in pairs if second.startswith("curl ")]
        return [Shown(shows, expect, command.rstrip()) for (shows, _, expect), command in found]

    def policy(self, *arguments: str | Path) -> Finished:
        """Run `meshmark policy`."""
        finished = self.workplace.finish(self.workplace.start("policy", *arguments))
        assert "Traceback" not in finished.said, finished.said
        return finished

    def end(self, number: int = signal.SIGTERM) -> Finished:
        """Tell it to end, and wait until it has."""
        self.process.send_signal(number)
        return self.workplace.finish(self.process)


def status(command: str) -> str:
    """What comes of a printed command: a status, or `refused` if there is no answer."""
    done = subprocess.run(
        [*shlex.split(command), "--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    # 28 is a timeout: that would be no refusal.
    assert done.returncode != 28, command
    return done.stdout if done.returncode == 0 else "refused"


async def policy_of(workplace: Workplace, *arguments: str | Path) -> Finished:
    """Run `meshmark policy` while the event loop of this process goes on."""
    return await asyncio.to_thread(lambda: workplace.finish(workplace.start("policy", *arguments)))


def private_states(workplace: Workplace) -> Workplace:
    """Meshes that run here are known here only."""
    folder = workplace.folder / "states"
    folder.mkdir(mode=0o700, exist_ok=True)
    workplace.environment["XDG_RUNTIME_DIR"] = str(folder)
    return workplace


def states(workplace: Workplace) -> list[Path]:
    """What stands about running meshes."""
    return list((workplace.folder / "states").rglob("mesh.json"))


@contextmanager
def mesh_up(workplace: Workplace, *arguments: str | Path) -> Iterator[RunningMesh]:
    """A mesh with security servers as processes."""
    process = private_states(workplace).start("mesh", "up", "--runtime", "process", *arguments)
    try:
        yield RunningMesh(workplace, process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()
