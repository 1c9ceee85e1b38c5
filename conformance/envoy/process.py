"""Security servers as local processes: the fastest way, and the one that needs nothing but the binary."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping

from conformance.envoy.binary import EnvoyBinary
from conformance.envoy.runtime import RuntimeKind, SecurityServer, SecurityServerSpec
from conformance.system.containers import Container
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

__all__ = ["ProcessRuntime"]

# Nothing of the runner's environment reaches Envoy: not its proxies, not its telemetry settings, not its secrets.
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}


class ProcessRuntime:
    """Runs one Envoy binary as the runner's own user, in process groups that the guard ends should the runner die."""

    kind: RuntimeKind = "process"

    def __init__(self, binary: EnvoyBinary, guard: Guard) -> None:
        self._binary = binary
        self._guard = guard
        self._servers: list[SecurityServer] = []

    @property
    def version(self) -> str:
        """Envoy's version."""
        return self._binary.version

    @property
    def uid(self) -> int:
        """The user that Envoy runs as: the runner's own."""
        return os.geteuid()

    @property
    def digest(self) -> str:
        """Digest of the binary."""
        return self._binary.digest

    async def start(self, spec: SecurityServerSpec, timeout: float) -> SecurityServer:
        """Start one security server; returns when its administration interface answers.

        Raises:
            EnvironmentFault: it could not be started, died, or did not answer within `timeout` seconds.

        """
        spec.lay_out()
        program = await ChildProcess.start(
            [str(self._binary.path), *spec.arguments()],
            name=f"security server {spec.name}",
            guard=self._guard,
            environment=ENVIRONMENT,
            folder=spec.folder,
            namespace=spec.namespace,
        )
        server = SecurityServer(spec, program)
        self._servers.append(server)
        try:
            await server.until_started(timeout)
        except BaseException:
            await server.stop(grace_s=0)
            raise
        return server

    async def pods(self, names: Iterable[str]) -> Mapping[str, Container]:
        """None: a process can be put into any network."""
        return {}

    async def close(self) -> None:
        """Stop every security server that still runs."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        self._servers.clear()
