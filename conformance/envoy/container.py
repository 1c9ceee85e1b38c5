"""Security servers as containers: not root, without capabilities, on a read-only file system, on the host's network.

The network is the host's because then listeners bind to 127.0.0.1 themselves and the rendered configuration is the
same as for a process; or that of a pod, whose sidecar it then is. What both sides share is mounted under the same
path: the server's own folder, and the folder of the control plane's socket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from conformance.envoy.binary import VERSION_LINE, require_supported
from conformance.envoy.image import ENVOY_IN_IMAGE, VERSION_LABEL
from conformance.envoy.pod import start_pod
from conformance.envoy.runtime import RuntimeKind, SecurityServer, SecurityServerSpec
from conformance.model.errors import EnvironmentFault, UsageError
from conformance.system.containers import HOST_NETWORK, NO_NETWORK, Container, ContainerSpec, network_of
from conformance.system.engine import ContainerImage
from conformance.system.guard import Guard

__all__ = ["ContainerRuntime"]

# The user that Envoy's own images have.
UNPRIVILEGED = 101


class ContainerRuntime:
    """Runs one image. As the runner's own user, or as user 101 if that is root."""

    kind: RuntimeKind = "container"

    def __init__(self, image: ContainerImage, version: str, guard: Guard) -> None:
        self._image = image
        self._version = version
        self._guard = guard
        self._servers: list[SecurityServer] = []
        as_root = os.geteuid() == 0
        self._user, self._group = (UNPRIVILEGED, UNPRIVILEGED) if as_root else (os.geteuid(), os.getegid())

    @classmethod
    async def of(cls, image: ContainerImage, guard: Guard) -> ContainerRuntime:
        """The runtime for an image, after a look at the version of the Envoy in it.

        Raises:
            UsageError: there is no Envoy of a supported version in the image.
            EnvironmentFault: the container engine failed.

        """
        version = image.labels.get(VERSION_LABEL) or await _ask_version(image, guard)
        require_supported(version, image.name)
        return cls(image, version, guard)

    @property
    def version(self) -> str:
        """Envoy's version."""
        return self._version

    @property
    def uid(self) -> int:
        """The user that Envoy runs as."""
        return self._user

    @property
    def digest(self) -> str:
        """The image id."""
        return self._image.digest

    async def start(self, spec: SecurityServerSpec, timeout: float) -> SecurityServer:
        """Start one security server; returns when its administration interface answers.

        Raises:
            EnvironmentFault: it could not be started, died, or did not answer within `timeout` seconds.

        """
        spec.lay_out()
        shared = [spec.folder, *([spec.xds.parent] if isinstance(spec.xds, Path) else [])]
        for path in (*shared, *spec.folder.rglob("*")):
            self._hand_over(path)
        program = await Container.start(
            ContainerSpec(
                image=self._image.digest,
                entrypoint=(ENVOY_IN_IMAGE,),
                command=tuple(spec.arguments()),
                user=f"{self._user}:{self._group}",
                folders=tuple(shared),
                network=_network(spec),
                confined=True,
            ),
            name=f"security server {spec.name}",
            guard=self._guard,
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
        """One for each name."""
        wanted = tuple(names)
        starting = [start_pod(self._image, name=name, guard=self._guard, network=NO_NETWORK) for name in wanted]
        started = await asyncio.gather(*starting, return_exceptions=True)
        pods = {name: pod for name, pod in zip(wanted, started, strict=True) if isinstance(pod, Container)}
        if failures := [problem for problem in started if isinstance(problem, BaseException)]:
            await asyncio.gather(*(pod.stop(grace_s=0) for pod in pods.values()))
            raise failures[0]
        return pods

    async def close(self) -> None:
        """Stop every security server that still runs."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        self._servers.clear()

    def _hand_over(self, path: Path) -> None:
        """Let the container's user own what it is to write. Only root can, and only root has to."""
        if os.geteuid() != 0:
            return
        try:
            os.chown(path, self._user, self._group)
        except OSError as problem:
            raise EnvironmentFault(
                f"cannot be handed to the container's user {self._user}: {problem.strerror}",
                where=str(path),
                next_step="see that the folder exists on a local file system, or use --runtime process",
            ) from problem


def _network(spec: SecurityServerSpec) -> str:
    if spec.namespace is None:
        return HOST_NETWORK
    if spec.namespace.container is None:
        raise EnvironmentFault(
            f"security server {spec.name} cannot be a container there: an engine joins networks of containers only",
            where=str(spec.namespace.file),
            next_step="use --runtime process",
        )
    return network_of(spec.namespace.container)


async def _ask_version(image: ContainerImage, guard: Guard) -> str:
    spec = ContainerSpec(image.digest, entrypoint=(ENVOY_IN_IMAGE,), command=("--version",), confined=True)
    try:
        container = await Container.start(spec, name=image.name, guard=guard)
    except EnvironmentFault as problem:
        raise _no_envoy(image, problem.what) from problem
    try:
        code = await asyncio.shield(container.exited)
    finally:
        await container.stop(grace_s=0)
    found = VERSION_LINE.search(container.tail())
    if code != 0 or not found:
        raise _no_envoy(image, container.tail(5) or "it said nothing")
    return found.group(1)


def _no_envoy(image: ContainerImage, seen: str) -> UsageError:
    return UsageError(
        f"no Envoy answers `{ENVOY_IN_IMAGE} --version` in this image",
        where=image.name,
        detail=seen,
        next_step="name an image that has Envoy there, as Envoy's own images do, or run `meshmark image build`",
    )
