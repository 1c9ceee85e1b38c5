"""Which Envoy runs, and how: what `--envoy` and `--runtime` mean.

`--envoy` is a path (has a slash and is a file), a version (`1.38.2`) or a container image (anything else). `--runtime
auto` takes containers where a container engine answers and the image of the wanted version is there, else processes,
and says why.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conformance.envoy.binary import EnvoyBinary, binary_at, binary_of_version, installed_binary, require_supported
from conformance.envoy.container import ContainerRuntime
from conformance.envoy.image import DIGEST_LABEL, OWN_IMAGES, default_tag
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import Runtime
from conformance.model.errors import EnvironmentFault, UsageError
from conformance.system.engine import ContainerImage, find_image
from conformance.system.guard import Guard

__all__ = ["ChosenRuntime", "RuntimeChoice", "choose_runtime"]

RuntimeChoice = Literal["auto", "process", "container"]

VERSION = re.compile(r"\d+\.\d+\.\d+")
LIKE_A_VERSION = re.compile(r"v?\d+(\.\d+)*")


@dataclass(frozen=True)
class ChosenRuntime:
    """A runtime, and in one sentence why it was this one."""

    runtime: Runtime
    reason: str


async def choose_runtime(choice: RuntimeChoice, envoy: str | None, guard: Guard) -> ChosenRuntime:
    """The runtime that the user asked for.

    Args:
        choice: `--runtime`.
        envoy: `--envoy`: a path, a version or an image; None for the Envoy that was installed with meshmark.
        guard: cleans up should the runner die.

    Raises:
        UsageError: no such file, version or image; or a combination that cannot be.
        EnvironmentFault: what was asked for is not on this machine: no container engine, no image, no Envoy.

    """
    if envoy is not None and _is_image(envoy):
        return await _from_image(choice, envoy, guard)
    binary = None
    if envoy is not None and VERSION.fullmatch(envoy):
        # If there is an image of it, nothing needs to be installed.
        require_supported(envoy, "--envoy")
    else:
        binary = await asyncio.to_thread(_binary, envoy)
    why = "as asked for"
    if choice != "process":
        tag = default_tag(binary.version if binary else str(envoy))
        try:
            image = await _image_of(tag, binary)
        except EnvironmentFault as problem:
            if choice == "container":
                raise
            why = f"because of containers: {problem.what}"
        else:
            why = f"because the image {tag} is on this machine" if choice == "auto" else why
            return ChosenRuntime(await ContainerRuntime.of(image, guard), f"containers, {why}")
    if binary is None:
        binary = await asyncio.to_thread(binary_of_version, str(envoy))
    return ChosenRuntime(ProcessRuntime(binary, guard), f"processes, {why}")


async def _from_image(choice: RuntimeChoice, name: str, guard: Guard) -> ChosenRuntime:
    if choice == "process":
        raise UsageError(
            f"{name} is no file and no version, so it must be an image, and an image cannot run as a process",
            where="--envoy",
            next_step="use --runtime container, or name a version or the path of a binary",
        )
    # Only what somebody else publishes is fetched: an image of ours that is missing must be built, not found by chance.
    image = await find_image(name, pull=not name.startswith(OWN_IMAGES))
    if image is None:
        raise _missing(name)
    return ChosenRuntime(await ContainerRuntime.of(image, guard), f"containers, because {name} is an image")


async def _image_of(tag: str, binary: EnvoyBinary | None) -> ContainerImage:
    """The image under `tag`, which must hold this very binary if one is given.

    Raises:
        EnvironmentFault: no container engine answers, or the image is not there, or holds another Envoy.

    """
    image = await find_image(tag)
    if image is None:
        raise _missing(tag)
    if binary and image.labels.get(DIGEST_LABEL) != await asyncio.to_thread(lambda: binary.digest):
        raise EnvironmentFault(
            f"the image {tag} holds another Envoy than {binary.path}",
            next_step="run `meshmark image build` for this Envoy, or use --runtime process",
        )
    return image


def _missing(name: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"the image {name} is not on this machine",
        next_step="run `meshmark image build`, or use --runtime process",
    )


def _is_image(envoy: str) -> bool:
    """Whether `--envoy` names an image, after what is meant as something else has been refused."""
    if VERSION.fullmatch(envoy) or ("/" in envoy and Path(envoy).is_file()):
        return False
    if envoy.startswith(("/", "./", "../", "~")):
        raise UsageError(
            "there is no such file", where=f"--envoy {envoy}", next_step="name the path of an Envoy binary"
        )
    if LIKE_A_VERSION.fullmatch(envoy):
        raise UsageError("not a whole version", where=f"--envoy {envoy}", next_step="give it as in 1.38.2")
    return True


def _binary(path: str | None) -> EnvoyBinary:
    return installed_binary() if path is None else binary_at(Path(path))
