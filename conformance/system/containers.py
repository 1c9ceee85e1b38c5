"""Containers of a run: the same promises as for child processes (output kept, death noticed at once, always removed).

Every container carries the label `meshmark.run=<id>` by which the guard removes it should the runner die. The Docker
libraries are loaded when first needed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.model.errors import EnvironmentFault
from conformance.system.engine import engine_address
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace

if TYPE_CHECKING:
    from docker.models.containers import Container as DockerObject
    from testcontainers.core.container import DockerContainer

__all__ = ["BRIDGE_NETWORK", "HOST_NETWORK", "NO_NETWORK", "Container", "ContainerSpec", "network_of"]

KEPT_LINES = 200
LOOPBACK = "127.0.0.1"
HOST_NETWORK = "host"
"""The machine's own network."""
BRIDGE_NETWORK = "bridge"
"""The engine's default network, on which each container has an address of its own."""
NO_NETWORK = "none"
"""Nothing but a loopback of its own."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container to be started."""

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    """Replaces the image's own if not empty."""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """`uid:gid`; the image's own by default."""
    folders: tuple[Path, ...] = ()
    """Mounted writable, under the same absolute path as outside."""
    port: int | None = None
    """Published on a free port of 127.0.0.1, nowhere else."""
    network: str = BRIDGE_NETWORK
    """An address of its own on the engine's bridge, `HOST_NETWORK`, or another container's (`network_of`)."""
    confined: bool = False
    """Read-only root file system, no capabilities, no way to gain privileges."""


def network_of(container: str) -> str:
    """For `ContainerSpec.network`: that of a running container, as in a pod."""
    return f"container:{container}"


class Container:
    """A running container; stands in for a `ChildProcess` wherever a program is expected."""

    def __init__(self, wrapped: DockerContainer, name: str, release: Callable[[], None]) -> None:
        self.name = name
        self._release = release
        self._wrapped = wrapped
        self._docker: DockerObject = wrapped.get_wrapped_container()
        self._removed = False
        self._network: int | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._loop = asyncio.get_running_loop()
        self._code: asyncio.Future[int] = self._loop.create_future()
        # Not a thread of the pool: it lives as long as the container, and must not hold up the runner's exit.
        threading.Thread(target=self._follow, name=f"output of {name}", daemon=True).start()
        self.exited: asyncio.Task[int] = asyncio.create_task(self._wait(), name=f"exit of {name}")

    @classmethod
    async def start(cls, spec: ContainerSpec, *, name: str, guard: Guard) -> Container:
        """Create and start a container. Its image must be there (`find_image`).

        Args:
            spec: what to start.
            name: for messages.
            guard: removes the container should this runner die.

        Raises:
            EnvironmentFault: no engine answers, or it refuses the container.

        """
        leftovers = f"{guard.label} {engine_address()}"
        guard.protect("containers", leftovers)
        release = partial(guard.release, "containers", leftovers)
        starting = asyncio.ensure_future(asyncio.to_thread(_start, spec, name, guard.label))
        try:
            return cls(await asyncio.shield(starting), name, release)
        except asyncio.CancelledError:
            # The thread cannot be stopped half-way: let it finish, then take back what it has made.
            await asyncio.wait({starting})
            if not starting.exception():
                await asyncio.to_thread(_remove, starting.result())
            release()
            raise
        except EnvironmentFault:
            release()
            raise

    @property
    def id(self) -> str:
        """The engine's id of the container."""
        return str(self._docker.id)

    @property
    def pid(self) -> int:
        """Process id of the container's main process as the host sees it."""
        return int(self._docker.attrs["State"]["Pid"])

    @property
    def alive(self) -> bool:
        """Whether the container still runs."""
        return not self.exited.done()

    @property
    def address(self) -> str:
        """Its address on the engine's bridge; empty on other networks."""
        networks: Mapping[str, Any] = self._docker.attrs["NetworkSettings"]["Networks"]
        return str(networks.get(BRIDGE_NETWORK, {}).get("IPAddress", ""))

    def namespace(self) -> NetworkNamespace:
        """The network that it lives in, for calls and programs from inside. Only root may enter it.

        Raises:
            EnvironmentFault: the container has ended.

        """
        if self._network is None:
            try:
                # Held open: the number of a process that has ended may soon be another one's.
                self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except OSError as problem:
                raise EnvironmentFault(
                    f"the network of {self.name} cannot be opened: {problem.strerror}",
                    next_step="run as root; if you do, see why the container has ended",
                    detail=self.tail(),
                ) from problem
        return NetworkNamespace(Path(f"/proc/{os.getpid()}/fd/{self._network}"), container=self.id)

    def published_port(self) -> int | None:
        """The port of 127.0.0.1 behind which `ContainerSpec.port` is found; None if the container ended at once."""
        bindings = [
            entry for entries in self._docker.attrs["NetworkSettings"]["Ports"].values() for entry in entries or []
        ]
        return int(bindings[0]["HostPort"]) if bindings else None

    def tail(self, lines: int = 20) -> str:
        """The last lines that it printed to either output."""
        return "\n".join(list(self._lines)[-lines:])

    def kill(self) -> None:
        """SIGKILL, now."""
        threading.Thread(target=self._signal, args=("SIGKILL",), name=f"kill {self.name}").start()

    async def stop(self, grace_s: float = 2.0) -> int:
        """SIGTERM, SIGKILL after `grace_s` seconds, and remove it; returns the exit code (negative: the signal)."""
        if self.alive:
            await asyncio.to_thread(self._signal, "SIGTERM")
            await asyncio.wait({self.exited}, timeout=grace_s)
        if self.alive:
            await asyncio.to_thread(self._signal, "SIGKILL")
        code = await asyncio.shield(self.exited)
        if not self._removed:
            self._removed = True
            if self._network is not None:
                os.close(self._network)
            await asyncio.to_thread(_remove, self._wrapped)
            self._release()
        return code

    async def _wait(self) -> int:
        return await self._code

    def _signal(self, signal: str) -> None:
        from docker.errors import APIError  # noqa: PLC0415

        # It may have ended by itself in the meantime.
        with suppress(APIError):
            self._docker.kill(signal)

    def _follow(self) -> None:
        """Keep the output until it ends, which it does at the moment of death; then ask for the exit code."""
        from docker.errors import DockerException  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        code = -1
        try:
            partial = b""
            for chunk in self._docker.logs(stream=True, follow=True):
                *complete, partial = (partial + chunk).split(b"\n")
                self._lines.extend(line.decode(errors="replace") for line in complete)
            if partial:
                self._lines.append(partial.decode(errors="replace"))
            code = int(self._docker.wait()["StatusCode"])
        except (DockerException, RequestException, OSError) as problem:
            self._lines.append(f"(the container engine does not answer any more: {problem})")
        with suppress(RuntimeError):
            # The runner's loop may be closed by now.
            self._loop.call_soon_threadsafe(self._ended, code)

    def _ended(self, code: int) -> None:
        if not self._code.done():
            # "By signal N" is 128 + N to Docker, and -N to us, as for child processes.
            self._code.set_result(128 - code if code > 128 else code)


def _start(spec: ContainerSpec, name: str, label: str) -> DockerContainer:
    from docker.errors import APIError  # noqa: PLC0415
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    # Its own cleaner is a container that would have to be fetched; the guard does that work.
    testcontainers_config.ryuk_disabled = True
    wrapped = DockerContainer(spec.image, env=dict(spec.environment))
    if spec.command:
        wrapped.with_command(list(spec.command))
    # A configured registry prefix must not change which image is judged.
    wrapped.image = spec.image
    for folder in spec.folders:
        wrapped.with_volume_mapping(str(folder), str(folder), "rw")
    if spec.port is not None:
        published: Any = (LOOPBACK, None)
        wrapped.ports[f"{spec.port}/tcp"] = published
    wrapped.with_kwargs(**_options(spec, label))
    try:
        wrapped.start()
        wrapped.get_wrapped_container().reload()
    except APIError as problem:
        _remove(wrapped)
        raise EnvironmentFault(
            f"{name} could not be started: {problem.explanation}",
            where=spec.image,
            next_step="check the image, its command and the container engine's log",
        ) from problem
    return wrapped


def _options(spec: ContainerSpec, label: str) -> dict[str, Any]:
    key, _, value = label.partition("=")
    # Always named: testcontainers would otherwise look for a network by itself.
    options: dict[str, Any] = {"labels": {key: value}, "network": spec.network}
    if spec.entrypoint:
        options["entrypoint"] = list(spec.entrypoint)
    if spec.user is not None:
        options["user"] = spec.user
    if spec.confined:
        options |= {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    return options


def _remove(wrapped: DockerContainer) -> None:
    from docker.errors import NotFound  # noqa: PLC0415

    with suppress(NotFound):
        wrapped.stop()
