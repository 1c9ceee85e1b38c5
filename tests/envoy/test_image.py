from __future__ import annotations

import asyncio
import io
import tarfile

import pytest

from conformance.envoy.binary import EnvoyBinary
from conformance.envoy.container import ContainerRuntime
from conformance.envoy.image import build_image, default_tag
from conformance.model.errors import EnvironmentFault, UsageError
from conformance.system.engine import ContainerImage, find_image


@pytest.fixture
def tag(engine):
    tag = "meshmark/envoy-test:only"
    yield tag
    for image in engine.images.list("meshmark/envoy-test"):
        engine.images.remove(image.id, force=True)


def small_binary(path, text="#!/bin/sh\n") -> EnvoyBinary:
    path.write_text(text)
    path.chmod(0o755)
    return EnvoyBinary(path, "1.40.0")


async def test_an_image_holds_the_binary_its_libraries_and_one_user_and_nothing_else(image, engine, binary):
    assert image.name == default_tag(binary.version)
    container = engine.containers.create(image.digest)
    try:
        packed = io.BytesIO(b"".join(container.export()))
    finally:
        container.remove()
    with tarfile.open(fileobj=packed) as files:
        sizes = {entry.name: entry.size for entry in files if entry.isfile() and entry.size}
    assert sizes.pop("usr/local/bin/envoy") == binary.path.stat().st_size
    assert {name for name in sizes if ".so" not in name} == {"etc/passwd", "etc/group"}
    settings = engine.images.get(image.digest).attrs["Config"]
    assert settings["User"] == "101:101"


async def test_building_again_changes_nothing(image, binary):
    assert await build_image(binary) == image


async def test_an_image_of_another_binary_replaces_the_old_one(tmp_path, tag, engine):
    first = await build_image(small_binary(tmp_path / "one"), tag)
    second = await build_image(small_binary(tmp_path / "two", "#!/bin/bash\n"), tag)
    assert first.digest != second.digest
    assert await find_image(tag) == second
    assert await find_image(first.digest) is None


async def test_an_image_without_an_envoy_is_refused_with_what_it_said(tmp_path, tag, guard):
    built = await build_image(small_binary(tmp_path / "one"), tag)
    unlabelled = ContainerImage(built.name, built.digest, {})
    with pytest.raises(UsageError, match="no Envoy answers"):
        await ContainerRuntime.of(unlabelled, guard)


async def test_the_version_of_an_image_that_somebody_else_made_is_asked_of_its_envoy(image, guard, binary):
    unlabelled = ContainerImage(image.name, image.digest, {})
    assert (await ContainerRuntime.of(unlabelled, guard)).version == binary.version


@pytest.mark.parametrize("name", ["UPPER/case:1", "no//good", "a b"])
async def test_a_tag_that_the_engine_refuses_is_named(tmp_path, name, engine):
    with pytest.raises(EnvironmentFault) as caught:
        await build_image(small_binary(tmp_path / "one"), name)
    assert caught.value.where == name


async def test_an_image_that_is_not_there_is_none(engine):
    assert await find_image("meshmark/envoy:0.0.0") is None


async def test_many_builds_at_once_end_in_one_image(image, binary):
    assert set(map(str, await asyncio.gather(*(build_image(binary) for _ in range(4))))) == {str(image)}
