"""Security servers: how one is described, and what is the same for all of them whether a process or a container.

Everything that both sides see (admin socket, access log, bootstrap) lies in one folder with the same absolute path
inside and outside of a container, so that the rendered configuration does not depend on the kind of runtime.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from conformance.envoy.admin import AdminClient
from conformance.envoy.bootstrap import ApiType, MutualTlsAddress, bootstrap
from conformance.model.errors import EnvironmentFault, SuiteFault
from conformance.system.containers import Container
from conformance.system.deadlines import until, while_running
from conformance.system.namespaces import NetworkNamespace
from conformance.system.scrub import scrubbed

__all__ = ["Program", "Runtime", "RuntimeKind", "SecurityServer", "SecurityServerSpec"]

RuntimeKind = Literal["process", "container"]
T = TypeVar("T")

# sockaddr_un.sun_path of Linux, without the closing zero byte (unix(7)).
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class SecurityServerSpec:
    """One security server to be started."""

    name: str
    """Its name in messages, and the node id by which the control plane knows it."""
    folder: Path
    """Its own folder, made if it is not there. Who asks for the server deletes it: best inside of a PrivateFolder."""
    xds: Path | MutualTlsAddress
    """The control plane: a unix socket in a folder of its own, which `Runtime.uid` may open, or a TCP address."""
    cluster: str = "meshmark"
    api_type: ApiType = "GRPC"
    concurrency: int = 1
    """Worker threads. More than one makes traffic distribution a matter of luck."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    runtime_values: Mapping[str, Any] = field(default_factory=dict)
    namespace: NetworkNamespace | None = None
    """The network that it lives in: a host's, or a pod's that it is the sidecar of; the machine's own by default."""

    @property
    def admin_socket(self) -> Path:
        """Unix socket of the administration interface."""
        return self.folder / "admin.sock"

    @property
    def access_log(self) -> Path:
        """Where the rendered listeners should write their access log."""
        return self.folder / "access.log"

    @property
    def bootstrap_file(self) -> Path:
        """The bootstrap configuration that it is started with."""
        return self.folder / "bootstrap.json"

    def arguments(self) -> list[str]:
        """Envoy's command line, without the program."""
        return [
            *("--config-path", str(self.bootstrap_file)),
            *("--concurrency", str(self.concurrency)),
            "--disable-hot-restart",
            *("--drain-time-s", "1"),
            *("--parent-shutdown-time-s", "2"),
            *("--file-flush-interval-msec", "2"),
            # Warnings name a rejected configuration, a lost control plane, the reason of death; info is noise.
            *("--log-level", "warning"),
        ]

    def lay_out(self) -> None:
        """Make the folder and the bootstrap file in it, and take away what an earlier Envoy may have left.

        Raises:
            EnvironmentFault: the folder cannot be written, or a socket path is too long for the operating system.

        """
        sockets = [self.admin_socket]
        if isinstance(self.xds, Path):
            sockets.append(self.xds)
        elif not all(
            file.is_relative_to(self.folder) for file in (self.xds.authority, self.xds.certificate, self.xds.key)
        ):
            raise SuiteFault(
                f"credentials of security server {self.name} lie outside of its folder",
                where=str(self.folder),
                next_step="report this as a defect of meshmark",
            )
        for socket in sockets:
            length = len(os.fsencode(socket))
            if length > LONGEST_SOCKET_PATH:
                raise EnvironmentFault(
                    f"the path of a unix socket may have {LONGEST_SOCKET_PATH} bytes, this one has {length}",
                    where=str(socket),
                    next_step="set TMPDIR to a folder with a shorter path",
                )
        rendered = bootstrap(
            node=self.name,
            cluster=self.cluster,
            xds=self.xds,
            admin_socket=self.admin_socket,
            api_type=self.api_type,
            metadata=self.metadata,
            runtime_values=self.runtime_values,
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.admin_socket.unlink(missing_ok=True)
            self.bootstrap_file.unlink(missing_ok=True)
            with open(os.open(self.bootstrap_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
                json.dump(rendered, file, indent=1)
        except OSError as problem:
            raise EnvironmentFault(
                f"security server {self.name} has no usable folder: {problem.strerror}",
                where=str(problem.filename or self.folder),
                next_step="make the folder writable, or set TMPDIR to one that is",
            ) from problem


class Program(Protocol):
    """A running Envoy, process or container. `ChildProcess` is one."""

    exited: asyncio.Task[int]
    """Ends with the exit code at the moment of death (negative: the signal)."""

    @property
    def pid(self) -> int:
        """Process id as the host sees it."""

    def tail(self, lines: int = 20) -> str:
        """The last lines that it logged."""

    def kill(self) -> None:
        """SIGKILL, now."""

    async def stop(self, grace_s: float = 2.0) -> int:
        """SIGTERM, SIGKILL after `grace_s` seconds; everything of it is gone afterwards."""


class SecurityServer:
    """A running Envoy."""

    def __init__(self, spec: SecurityServerSpec, program: Program) -> None:
        self.spec = spec
        self._program = program
        self.admin = AdminClient(spec.name, spec.admin_socket, self.log_tail)

    @property
    def name(self) -> str:
        """Its name, and its node id."""
        return self.spec.name

    @property
    def access_log(self) -> Path:
        """The file that the rendered listeners write their access log to; not there before the first line."""
        return self.spec.access_log

    @property
    def pid(self) -> int:
        """Process id of Envoy as the host sees it, in a container too."""
        return self._program.pid

    @property
    def program(self) -> Program:
        """What runs: a `ChildProcess`, or an `EnvoyContainer`."""
        return self._program

    @property
    def died(self) -> asyncio.Task[int]:
        """Done, with the exit code, as soon as Envoy is gone for whatever reason. Await it shielded."""
        return self._program.exited

    @property
    def alive(self) -> bool:
        """Whether Envoy still runs."""
        return not self.died.done()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that Envoy logged, without key material."""
        return scrubbed(self._program.tail(lines))

    def death(self) -> EnvironmentFault:
        """The error that tells of this server's end, with its last log lines."""
        code = self.died.result() if self.died.done() and not self.died.cancelled() else None
        how = "is gone" if code is None else f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return EnvironmentFault(
            f"security server {self.name} {how}",
            detail=self.log_tail() or "it has logged nothing",
            next_step="read its last log lines above; a signal 9 that nobody sent points to a lack of memory",
        )

    async def unless_dead(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Await `waiting`, but no longer than Envoy lives.

        Raises:
            EnvironmentFault: Envoy died meanwhile; carries its last log lines.

        """
        return await while_running(waiting, self.died, self.death)

    async def until_started(self, timeout: float) -> None:
        """Wait until the administration interface answers. Envoy is configured only later, by the control plane."""
        await self.unless_dead(
            until(
                self.admin.answers,
                what=f"security server {self.name} answers on its administration socket",
                timeout=timeout,
                next_step="raise the timeout if the machine is slow; its last log lines are above",
                last_seen=self.log_tail,
            )
        )

    async def listener_address(self, listener: str, timeout: float) -> tuple[str, int]:
        """Host and port that a listener is really bound to, as soon as it is in force.

        Raises:
            DeadlineExceeded: the listener did not appear within `timeout` seconds.
            EnvironmentFault: Envoy died.

        """
        seen: dict[str, tuple[str, int]] = {}

        async def bound() -> tuple[str, int] | None:
            seen.clear()
            seen.update(await self.admin.listeners())
            return seen.get(listener)

        return await self.unless_dead(
            until(
                bound,
                what=f"security server {self.name} serves listener {listener}",
                timeout=timeout,
                last_seen=lambda: f"listeners {sorted(seen) or 'none'}; log: {self.log_tail(5) or 'empty'}",
            )
        )

    async def stop(self, grace_s: float = 2.0) -> None:
        """End Envoy in the ordinary way. Harmless when it is already gone."""
        await self.admin.close()
        await self._program.stop(grace_s)

    def kill(self) -> None:
        """End Envoy at once, as a crash would (SIGKILL)."""
        self._program.kill()


class Runtime(Protocol):
    """A way to run security servers. Two exist; neither shows in the rendered configuration."""

    kind: RuntimeKind

    @property
    def version(self) -> str:
        """Envoy's version, such as `1.40.0`."""

    @property
    def digest(self) -> str:
        """`sha256:...` of the Envoy binary or of the container image."""

    @property
    def uid(self) -> int:
        """The user that Envoy runs as, who must be let in at the control plane's socket."""

    async def start(self, spec: SecurityServerSpec, timeout: float) -> SecurityServer:
        """Start one and return as soon as its administration interface answers, within `timeout` seconds."""

    async def pods(self, names: Iterable[str]) -> Mapping[str, Container]:
        """A pod without a network for each of these hosts, if that is what security servers of this kind need to be
        put on a host; else none. Whoever asks stops them.
        """

    async def close(self) -> None:
        """Stop every security server that still runs."""
