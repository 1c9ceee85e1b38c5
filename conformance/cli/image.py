"""`meshmark image build`: a container image from an Envoy binary, for machines without an image registry."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import click

__all__ = ["command"]


@click.group(name="image")
def command() -> None:
    """Container images of Envoy."""


@command.command()
@click.option("--envoy", metavar="VERSION|PATH", help="Another Envoy than the embedded one.")
@click.option("--tag", help="Name of the image; by default the one that `--runtime container` looks for.")
def build(envoy: str | None, tag: str | None) -> int:
    """Make a local image from an Envoy binary; nothing is downloaded for the embedded one."""
    from conformance.envoy.binary import binary_at, binary_of_version, installed_binary  # noqa: PLC0415
    from conformance.envoy.image import build_image, default_tag  # noqa: PLC0415

    if envoy is None:
        binary = installed_binary()
    elif re.fullmatch(r"\d+\.\d+\.\d+", envoy):
        binary = binary_of_version(envoy)
    else:
        binary = binary_at(Path(envoy))
    image = asyncio.run(build_image(binary, tag))
    click.echo(f"{tag or default_tag(binary.version)} holds Envoy {binary.version} ({image.digest})")
    return 0
