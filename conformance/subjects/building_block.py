"""Building blocks that are judged: one that already runs (`url:`), a program (`command:`) or a container image
(`image:`).

However it is reached, a started subject looks the same: an address, its last output, a notice of its end, and `stop`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from conformance.model.errors import DeadlineExceeded, EnvironmentFault, SubjectFault, UsageError
from conformance.subjects.placeholders import substitute
from conformance.subjects.ports import free_port
from conformance.subjects.readiness import Attempt, attempt
from conformance.system.containers import Container, ContainerSpec, network_of
from conformance.system.deadlines import until, while_running
from conformance.system.engine import find_image
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace
from conformance.system.processes import ChildProcess

__all__ = ["CommandSubject", "ImageSubject", "Place", "RunningSubject", "SubjectSpec", "UrlSubject", "start_subject"]

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"
"""Inside of a container, whose port is published on loopback only."""
LONGEST_ATTEMPT_S = 2.0


@dataclass(frozen=True)
class UrlSubject:
    """A building block that somebody else runs."""

    name: str
    url: str
    """Scheme, host and port; paths come from the contract."""
    ready: str | None = None
    """Path that must be answered with a status below 500; without it any answer to `GET /` is enough."""


@dataclass(frozen=True)
class CommandSubject:
    """A building block that is started as a program. It listens on 127.0.0.1, on the port that `{port}` tells it.

    On a host of its own (`Place`) it listens on the address that `{host}` tells it.
    """

    name: str
    command: tuple[str, ...]
    """Program and arguments, with placeholders; no shell."""
    folder: Path | None = None
    """Working directory; the runner's own by default."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the runner's own environment; values may hold placeholders."""
    ready: str | None = None


@dataclass(frozen=True)
class ImageSubject:
    """A building block that is started as a container; `{port}` in its command and environment is the port inside."""

    name: str
    image: str
    port: int
    """The port that it listens on inside of the container, on all of its interfaces; in a pod on that of `{host}`."""
    command: tuple[str, ...] = ()
    """Replaces the image's own command if not empty."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = None


@dataclass(frozen=True)
class Place:
    """A network in which a subject is started, and the address there on which it listens: `{host}`."""

    namespace: NetworkNamespace
    address: str = LOOPBACK
    """Loopback for whom nobody but its sidecar may reach; the host's address where a proxy comes from another host."""


SubjectSpec = UrlSubject | CommandSubject | ImageSubject


class _Program(Protocol):
    """What `ChildProcess` and `Container` have in common."""

    exited: asyncio.Task[int]

    def tail(self, lines: int = 20) -> str: ...

    def kill(self) -> None: ...

    async def stop(self, grace_s: float = 2.0) -> int: ...


class RunningSubject:
    """A building block that can be called, directly and without the mesh."""

    def __init__(
        self,
        name: str,
        scheme: str,
        address: tuple[str, int],
        program: _Program | None,
        inside: NetworkNamespace | None = None,
    ) -> None:
        self.name = name
        self.address = address
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.origin_url = f"{scheme}://{host}:{address[1]}"
        self.inside = inside
        """The network in which its address counts; None: the runner's own."""
        self._program = program

    @property
    def exited(self) -> asyncio.Task[int] | None:
        """Done, with the exit code, as soon as it is gone (await it shielded). None if somebody else runs it."""
        return self._program.exited if self._program else None

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output; empty for a subject that somebody else runs."""
        return self._program.tail(lines) if self._program else ""

    def kill(self) -> None:
        """End it at once, as a crash would. A subject that somebody else runs is left alone."""
        if self._program:
            self._program.kill()

    async def stop(self, grace_s: float = 3.0) -> int | None:
        """SIGTERM, then SIGKILL after `grace_s` seconds; gives the exit code. Leaves alone what somebody else runs."""
        return await self._program.stop(grace_s) if self._program else None


async def start_subject(
    spec: SubjectSpec,
    *,
    values: Mapping[str, object],
    guard: Guard,
    ready_timeout: float,
    place: Place | None = None,
) -> RunningSubject:
    """Start the subject, or find it, and wait until it is ready.

    Args:
        spec: what to start.
        values: further placeholders beside `{port}` and `{host}`.
        guard: cleans up should the runner die.
        ready_timeout: seconds from the start until it answers.
        place: where to start it; on the runner's own loopback by default.

    Raises:
        UsageError: the description is wrong: an unknown placeholder, a malformed URL, a program that does not exist, or
            a place for what somebody else runs.
        SubjectFault: it exited, or was not ready in time; says what was seen last.
        EnvironmentFault: no container engine answers, or the image cannot be fetched or started.

    """
    if isinstance(spec, UrlSubject):
        if place:
            raise UsageError(
                f"building block {spec.name} runs elsewhere and cannot be put on a host of the mesh",
                where=spec.url,
                next_step="give its `command:` or `image:` instead of `url:`, or choose another topology",
            )
        subject = _at_url(spec)
    elif isinstance(spec, CommandSubject):
        subject = await _from_command(spec, values, guard, place)
    else:
        subject = await _from_image(spec, values, guard, place)
    try:
        await _until_ready(subject, spec.ready, ready_timeout)
    except BaseException:
        await subject.stop(grace_s=0)
        raise
    return subject


def _at_url(spec: UrlSubject) -> RunningSubject:
    try:
        parts = urlsplit(spec.url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as problem:
        raise _bad_url(spec, str(problem)) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad_url(spec, "it must start with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        # Not repeated in the message: it may be a secret.
        raise UsageError(
            "the url of the subject holds credentials", next_step="remove them; declare them as the contract says"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _bad_url(spec, "it has a path, query or fragment")
    return RunningSubject(spec.name, parts.scheme, (parts.hostname, port), None)


def _bad_url(spec: UrlSubject, why: str) -> UsageError:
    return UsageError(
        f"not the url of a building block: {why}",
        where=spec.url,
        next_step="give scheme, host and port only, such as http://127.0.0.1:8080; paths come from the contract",
    )


async def _from_command(
    spec: CommandSubject, values: Mapping[str, object], guard: Guard, place: Place | None
) -> RunningSubject:
    host = place.address if place else LOOPBACK
    port = free_port(host, place.namespace.tcp_socket if place else socket.socket)
    known = {**values, "port": port, "host": host}
    command = substitute(spec.command, known)
    environment = {name: substitute([value], known)[0] for name, value in spec.environment.items()}
    try:
        program = await ChildProcess.start(
            command,
            name=f"building block {spec.name}",
            guard=guard,
            environment={**os.environ, **environment},
            folder=spec.folder,
            namespace=place.namespace if place else None,
        )
    except EnvironmentFault as problem:
        raise UsageError(
            problem.what, where=problem.where, next_step=f"mend `command:` in the run file; {problem.next_step}"
        ) from problem
    return RunningSubject(spec.name, "http", (host, port), program, place.namespace if place else None)


async def _from_image(
    spec: ImageSubject, values: Mapping[str, object], guard: Guard, place: Place | None
) -> RunningSubject:
    known = {**values, "port": spec.port, "host": place.address if place else ANY_ADDRESS}
    command = tuple(substitute(spec.command, known))
    environment = {name: substitute([value], known)[0] for name, value in spec.environment.items()}
    await find_image(spec.image, pull=True)
    described = ContainerSpec(spec.image, command=command, environment=environment, port=spec.port)
    if place:
        if place.namespace.container is None:
            raise EnvironmentFault(
                f"building block {spec.name} cannot be a container there: an engine joins networks of containers only",
                where=str(place.namespace.file),
                next_step="use --runtime container, or give the building block by `command:`",
            )
        described = replace(described, port=None, network=network_of(place.namespace.container))
    container = await Container.start(described, name=f"building block {spec.name}", guard=guard)
    if place:
        return RunningSubject(spec.name, "http", (place.address, spec.port), container, place.namespace)
    # Without a port it has ended already, and the wait for readiness tells how.
    return RunningSubject(spec.name, "http", (LOOPBACK, container.published_port() or 0), container)


async def _until_ready(subject: RunningSubject, path: str | None, timeout: float) -> None:
    """Wait for readiness, or for whatever ends the hope of it.

    Raises:
        SubjectFault: says what was seen last, and the last output.

    """
    last = Attempt(False, "was not asked yet")

    async def ready() -> bool:
        nonlocal last
        last = await attempt(
            subject.origin_url, *subject.address, path, min(timeout, LONGEST_ATTEMPT_S), inside=subject.inside
        )
        return last.ready

    def exited() -> SubjectFault:
        assert subject.exited  # noqa: S101 -- only asked of a subject that has one
        code = subject.exited.result()
        how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return SubjectFault(
            f"building block {subject.name} {how} before it was ready",
            detail=_output(subject.tail),
            next_step=f"read its last output above; if it says that port {subject.address[1]} is taken, run again, "
            "and see that it listens on the port it is given by {port}",
        )

    waiting = until(ready, what=f"building block {subject.name} is ready", timeout=timeout)
    try:
        if subject.exited:
            await while_running(waiting, subject.exited, exited)
        else:
            await waiting
    except DeadlineExceeded:
        raise SubjectFault(
            f"building block {subject.name} was not ready within {timeout:g} s",
            where=subject.origin_url,
            detail=f"seen last: it {last.seen}\n{_output(subject.tail) if subject.exited else ''}",
            next_step="start it by hand and look; raise `timeouts: subject_ready` if it only needs longer",
        ) from None


def _output(tail: Callable[[], str]) -> str:
    text = tail()
    return f"its last output:\n{text}" if text else "it has printed nothing"
