"""The local container engine: where it is, which images it has. Its libraries are loaded when first needed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.model.errors import EnvironmentFault

__all__ = ["ContainerImage", "connect_engine", "engine_address", "find_image"]

DEFAULT_ENGINE = "unix:///var/run/docker.sock"
VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")
CONTEXTS = ".docker"
PROPERTIES = ".testcontainers.properties"


@dataclass(frozen=True)
class ContainerImage:
    """An image that the engine has."""

    name: str
    digest: str
    """The image id, `sha256:...`."""
    labels: Mapping[str, str]


def connect_engine() -> Any:  # noqa: ANN401 -- docker.DockerClient, which has no types
    """A connection to the local container engine. Blocks; the caller closes it.

    Raises:
        EnvironmentFault: no engine answers, or it is not the local one.

    """
    address = engine_address()
    from docker.errors import DockerException  # noqa: PLC0415 -- takes long, and often no engine is there
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

    try:
        return DockerClient().client
    except DockerException as problem:
        raise _no_engine(f"{address}: {problem}") from problem


def engine_address() -> str:
    """`unix://` and the path of the engine's socket, as the environment or the context says. Somebody listens there."""
    address = DEFAULT_ENGINE
    if _another_may_be_chosen():
        from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415

        address = get_docker_host() or DEFAULT_ENGINE
    if not address.startswith("unix://"):
        raise EnvironmentFault(
            "the container engine is not on this machine: folders and loopback cannot be shared with it",
            where=address,
            next_step="unset DOCKER_HOST or choose another `docker context`, or use --runtime process",
        )
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.connect(address.removeprefix("unix://"))
        except OSError as problem:
            raise _no_engine(f"{address}: {problem.strerror or problem}") from problem
    return address


async def find_image(name: str, *, pull: bool = False) -> ContainerImage | None:
    """The image as the engine has it, None if it has none.

    Args:
        name: repository and tag.
        pull: fetch it from its registry if the engine does not have it.

    Raises:
        EnvironmentFault: no engine answers, or the image cannot be fetched.

    """
    return await asyncio.to_thread(_find_image, name, pull)


def _another_may_be_chosen() -> bool:
    """Whether anything is there by which testcontainers would choose an engine: it takes long to load."""
    files = (CONTEXTS, PROPERTIES)
    return any(name in os.environ for name in VARIABLES) or any((Path.home() / file).exists() for file in files)


def _no_engine(seen: str) -> EnvironmentFault:
    return EnvironmentFault(
        "no container engine answers",
        detail=seen,
        next_step="install and start Docker and see that this user may use its socket, or use --runtime process",
    )


def _find_image(name: str, pull: bool) -> ContainerImage | None:
    engine = connect_engine()
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415

    try:
        try:
            image = engine.images.get(name)
        except ImageNotFound:
            if not pull:
                return None
            # Without a tag, all tags would be fetched.
            image = engine.images.pull(name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest")
        return ContainerImage(name, image.id, dict(image.labels))
    except APIError as problem:
        raise EnvironmentFault(
            f"the image is not on this machine and cannot be fetched: {problem.explanation}",
            where=name,
            next_step="check the name and the registry, or load it: docker load, docker pull",
        ) from problem
    finally:
        engine.close()
