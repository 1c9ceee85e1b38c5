"""A container image out of an Envoy binary: the binary, the shared libraries that it names, one unprivileged user,
nothing else.

Nothing is fetched: the file system is packed here and imported by the container engine, so that every Envoy that runs
as a process can run as a container too. No shell, no package manager, no root.
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from conformance.envoy.binary import EnvoyBinary
from conformance.model.errors import EnvironmentFault
from conformance.system.engine import ContainerImage, connect_engine, find_image

__all__ = ["DIGEST_LABEL", "ENVOY_IN_IMAGE", "OWN_IMAGES", "VERSION_LABEL", "build_image", "default_tag"]

ENVOY_IN_IMAGE = "/usr/local/bin/envoy"
OWN_IMAGES = "meshmark/envoy:"
VERSION_LABEL = "meshmark.envoy.version"
DIGEST_LABEL = "meshmark.envoy.digest"
LAYOUT_LABEL = "meshmark.envoy.layout"
# Raised when an image of the same binary is packed differently, so that older ones are replaced.
LAYOUT = "1"

LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
MISSING_LIBRARY = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)
USERS = "envoy:x:101:101::/nonexistent:/nonexistent\n"
GROUPS = "envoy:x:101:\n"


def default_tag(version: str) -> str:
    """The name of the image that `meshmark image build` makes for a version."""
    return f"{OWN_IMAGES}{version}"


async def build_image(binary: EnvoyBinary, tag: str | None = None) -> ContainerImage:
    """Make an image of this Envoy and give it `tag`, by default that of its version.

    An image of the same Envoy that is there already is left alone; one of another Envoy is replaced.

    Raises:
        EnvironmentFault: no container engine answers, it refuses the image, or a shared library is missing.

    """
    name = tag or default_tag(binary.version)
    replaced = await find_image(name)
    wanted = await asyncio.to_thread(_labels, binary)
    if replaced and wanted.items() <= replaced.labels.items():
        return replaced
    await asyncio.to_thread(_build, binary, name, wanted, replaced)
    image = await find_image(name)
    if image is None:
        raise EnvironmentFault(
            "the container engine has lost the image that it has just imported",
            where=name,
            next_step="check the engine's log and its free space",
        )
    return image


def _labels(binary: EnvoyBinary) -> dict[str, str]:
    return {VERSION_LABEL: binary.version, DIGEST_LABEL: binary.digest, LAYOUT_LABEL: LAYOUT}


def _build(binary: EnvoyBinary, name: str, labels: dict[str, str], replaced: ContainerImage | None) -> None:
    from docker.errors import APIError  # noqa: PLC0415

    engine = connect_engine()
    try:
        with tempfile.NamedTemporaryFile(suffix=".tar") as packed:
            _pack(binary.path, packed)
            packed.flush()
            repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
            engine.api.import_image_from_file(
                packed.name,
                repository=repository,
                tag=tag,
                changes=[
                    f'ENTRYPOINT ["{ENVOY_IN_IMAGE}"]',
                    "USER 101:101",
                    *(f"LABEL {key}={value}" for key, value in labels.items()),
                ],
            )
        if replaced:
            # Stays if a container still runs from it, or if it has another name.
            with suppress(APIError):
                engine.images.remove(replaced.digest)
    except APIError as problem:
        raise EnvironmentFault(
            f"the container engine refuses the image: {problem.explanation}",
            where=name,
            next_step="check the tag, the engine's log and its free space",
        ) from problem
    finally:
        engine.close()


def _pack(binary: Path, packed: IO[bytes]) -> None:
    with tarfile.open(fileobj=packed, mode="w") as image:
        _add_file(image, ENVOY_IN_IMAGE, binary)
        for library in _shared_libraries(binary):
            # Under the name that the binary asks for; a link would lead out of the image.
            _add_file(image, library, Path(library).resolve())
        _add_text(image, "/etc/passwd", USERS)
        _add_text(image, "/etc/group", GROUPS)


def _add_file(image: tarfile.TarFile, name: str, source: Path) -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size = source.stat().st_size
    entry.mode = 0o755
    with source.open("rb") as content:
        image.addfile(entry, content)


def _add_text(image: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size = len(text)
    entry.mode = 0o644
    image.addfile(entry, io.BytesIO(text.encode()))


def _shared_libraries(binary: Path) -> list[str]:
    """Absolute paths of the libraries that the loader finds for the binary; none if it is linked statically."""
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    missing = MISSING_LIBRARY.findall(listed)
    if missing:
        raise EnvironmentFault(
            f"Envoy needs shared libraries that are not on this machine: {', '.join(missing)}",
            where=str(binary),
            next_step="install them, or use another Envoy",
        )
    return LIBRARY.findall(listed)
