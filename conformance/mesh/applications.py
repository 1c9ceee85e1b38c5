"""The building blocks of a mesh: mostly the subject and its companions, as a run file describes them."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from conformance.model.errors import SubjectFault
from conformance.model.policy import Endpoint
from conformance.model.run_file import Application, Companion, RunFile, Subject
from conformance.model.timeouts import Timeouts
from conformance.subjects.building_block import (
    CommandSubject,
    ImageSubject,
    Place,
    RunningSubject,
    SubjectSpec,
    UrlSubject,
    start_subject,
)
from conformance.system.folders import bundled
from conformance.system.guard import Guard

__all__ = ["IMAGE_PLACEHOLDERS", "PLACEHOLDERS", "Applications"]

PLACEHOLDERS = frozenset({"port", "host", "python", "bundled", "run_file_folder", "work_folder", "mesh"})
"""What may stand in braces in a `command` and its environment."""
IMAGE_PLACEHOLDERS = frozenset({"port"})
"""What may stand in braces in the environment of an `image`: inside of it there is nothing else of this machine."""


class Applications:
    """Starts and stops what stands behind the security servers."""

    def __init__(
        self, described: Iterable[Subject | Companion], folder: Path, timeouts: Timeouts, guard: Guard
    ) -> None:
        """Nothing is started yet.

        Args:
            described: the building blocks, the subject first; there may be none.
            folder: the run file's folder, in which commands are started.
            timeouts: how long they may take to get ready and to stop.
            guard: cleans up should the runner die.

        """
        self._described = {each.name: each for each in described}
        self.subject_name = next(iter(self._described), "")
        self._folder = folder
        self._timeouts = timeouts
        self._guard = guard
        self.running: dict[str, RunningSubject] = {}

    @classmethod
    def of(cls, run_file: RunFile, folder: Path, timeouts: Timeouts, guard: Guard) -> Applications:
        """Those of a run file."""
        return cls([run_file.subject, *run_file.companions], folder, timeouts, guard)

    def calls(self) -> dict[str, list[str]]:
        """Which building block calls which others."""
        return {name: list(described.calls) for name, described in self._described.items()}

    def base_path(self, service: str) -> str:
        """Where a building block's paths begin."""
        described = self._described.get(service)
        if described is None:
            return ""
        return urlsplit(described.url).path.rstrip("/") if described.url else described.base_path

    async def start(
        self,
        outbound: Mapping[str, Endpoint],
        work_folder: Path,
        arguments: Callable[[str, list[str]], list[str]],
        place: Callable[[str], Place | None] = lambda _: None,
    ) -> dict[str, Endpoint]:
        """Start all of them at once; gives where each listens.

        Args:
            outbound: for each security server, where its applications reach the mesh.
            work_folder: for databases and other files; it is gone after the run.
            arguments: the last word on a command line.
            place: where each is started; the runner's own loopback by default.

        Raises:
            SubjectFault: one exited or did not get ready.
            UsageError: one cannot be started as described.

        """
        async with asyncio.TaskGroup() as starting:
            for name, described in self._described.items():
                starting.create_task(self._start(name, described, outbound[name], work_folder, arguments, place(name)))
        return {name: await _endpoint(running) for name, running in self.running.items()}

    async def stop(self) -> None:
        """Stop all that were started."""
        await asyncio.gather(*(running.stop(self._timeouts.stop) for running in self.running.values()))

    def end_of_subject(self) -> str | None:
        """How the subject ended, if it did; None while it runs or when somebody else runs it."""
        running = self.running.get(self.subject_name)
        if running is None or running.exited is None or not running.exited.done():
            return None
        return f"exited with code {running.exited.result()}; its last output:\n{running.tail()}"

    async def _start(
        self,
        name: str,
        described: Application,
        mesh: Endpoint,
        work_folder: Path,
        arguments: Callable[[str, list[str]], list[str]],
        place: Place | None,
    ) -> None:
        values = {
            "python": sys.executable,
            "bundled": bundled(""),
            "run_file_folder": self._folder,
            "work_folder": work_folder,
            "mesh": f"http://{mesh.host}:{mesh.port}",
        }
        if described.image is not None:
            values = {name: value for name, value in values.items() if name in IMAGE_PLACEHOLDERS}
        self.running[name] = await start_subject(
            self._specification(name, described, arguments),
            values=values,
            guard=self._guard,
            ready_timeout=self._timeouts.subject_ready,
            place=place,
        )

    def _specification(
        self, name: str, described: Application, arguments: Callable[[str, list[str]], list[str]]
    ) -> SubjectSpec:
        ready = described.base_path + described.ready
        if described.url is not None:
            parts = urlsplit(described.url)
            return UrlSubject(
                name=name, url=f"{parts.scheme}://{parts.netloc}", ready=parts.path.rstrip("/") + described.ready
            )
        if described.command is not None:
            return CommandSubject(
                name=name,
                command=tuple(arguments(name, described.command)),
                folder=self._folder,
                environment=described.environment,
                ready=ready,
            )
        assert described.image is not None  # noqa: S101 -- the run file has exactly one of the three
        return ImageSubject(
            name=name,
            image=described.image,
            port=described.container_port,
            environment=described.environment,
            ready=ready,
        )


async def _endpoint(running: RunningSubject) -> Endpoint:
    """Where it listens, with its host's name resolved: Envoy's endpoints are addresses. IPv4 goes first."""
    host, port = running.address
    server_name = host if running.origin_url.startswith("https:") else ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise SubjectFault(
            f"the host {host} of building block {running.name} cannot be found: {problem.strerror}",
            where=running.origin_url,
            next_step="mend `url:` in the run file, or the machine's name resolution",
        ) from problem
    families = (socket.AF_INET, socket.AF_INET6)
    _, _, _, _, address = min(found, key=lambda each: families.index(each[0]))
    return Endpoint(str(address[0]), port, server_name)
