from __future__ import annotations

import pytest

from conformance.envoy.choose import choose_runtime
from conformance.envoy.image import build_image
from conformance.model.errors import EnvironmentFault, UsageError


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    """A machine whose container engine does not answer."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.fixture
def copied(binary, tmp_path):
    """The same Envoy elsewhere: same version, same digest."""
    path = tmp_path / "envoy"
    path.symlink_to(binary.path)
    return path


@pytest.fixture
def another(tmp_path, binary):
    """Another program that says it is the same version."""
    path = tmp_path / "envoy"
    path.write_text(f"#!/bin/sh\necho 'envoy  version: 9e558093/{binary.version}/Clean/RELEASE/BoringSSL'\n")
    path.chmod(0o755)
    return path


async def test_auto_takes_containers_when_the_image_is_there(image, guard):
    chosen = await choose_runtime("auto", None, guard)
    assert (chosen.runtime.kind, chosen.runtime.digest) == ("container", image.digest)
    assert chosen.reason == f"containers, because the image {image.name} is on this machine"


async def test_auto_takes_processes_without_an_engine_and_says_so(no_engine, guard, binary):
    chosen = await choose_runtime("auto", None, guard)
    assert (chosen.runtime.kind, chosen.runtime.digest) == ("process", binary.digest)
    assert chosen.reason == "processes, because of containers: no container engine answers"


async def test_auto_takes_processes_when_the_image_holds_another_envoy(image, another, guard):
    chosen = await choose_runtime("auto", str(another), guard)
    assert chosen.runtime.kind == "process"
    assert "holds another Envoy" in chosen.reason


async def test_auto_takes_processes_when_there_is_no_image_of_the_version(engine, tmp_path, guard):
    path = tmp_path / "envoy"
    path.write_text("#!/bin/sh\necho 'envoy  version: 9e558093/1.99.0/Clean/RELEASE/BoringSSL'\n")
    path.chmod(0o755)
    chosen = await choose_runtime("auto", str(path), guard)
    assert (chosen.runtime.kind, chosen.runtime.version) == ("process", "1.99.0")
    assert "the image meshmark/envoy:1.99.0 is not on this machine" in chosen.reason


async def test_processes_asked_for_are_processes_even_where_containers_could_be(image, guard, binary):
    for envoy in (None, binary.version, str(binary.path)):
        chosen = await choose_runtime("process", envoy, guard)
        assert (chosen.runtime.kind, chosen.reason) == ("process", "processes, as asked for")


async def test_the_same_envoy_at_another_path_may_run_from_the_image(image, copied, guard):
    assert (await choose_runtime("container", str(copied), guard)).runtime.kind == "container"


async def test_containers_asked_for_without_an_engine_are_an_error_with_a_next_step(no_engine, guard):
    with pytest.raises(EnvironmentFault, match="no container engine answers") as caught:
        await choose_runtime("container", None, guard)
    assert "start Docker" in caught.value.next_step
    assert "--runtime process" in caught.value.next_step


async def test_containers_of_a_version_without_image_are_an_error_and_install_nothing(
    engine, guard, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EnvironmentFault, match=r"meshmark/envoy:1\.98\.0 is not on this machine") as caught:
        await choose_runtime("container", "1.98.0", guard)
    assert "meshmark image build" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


async def test_containers_of_another_envoy_than_the_image_holds_are_an_error(image, another, guard):
    with pytest.raises(EnvironmentFault, match="holds another Envoy"):
        await choose_runtime("container", str(another), guard)


async def test_an_image_by_name_runs_as_a_container(image, engine, binary, guard):
    other = await build_image(binary, "meshmark/envoy-other:1")
    try:
        for choice in ("auto", "container"):
            chosen = await choose_runtime(choice, other.name, guard)
            assert (chosen.runtime.kind, chosen.runtime.version) == ("container", binary.version)
    finally:
        engine.images.remove(other.name)


async def test_an_image_of_ours_that_is_missing_is_not_fetched_from_anywhere(engine, guard):
    with pytest.raises(EnvironmentFault, match="is not on this machine") as caught:
        await choose_runtime("auto", "meshmark/envoy:nowhere", guard)
    assert "meshmark image build" in caught.value.next_step


async def test_an_image_cannot_run_as_a_process(guard):
    with pytest.raises(UsageError, match="an image cannot run as a process"):
        await choose_runtime("process", "envoyproxy/envoy:v1.38", guard)


@pytest.mark.parametrize("envoy", ["./envoy", "/no/such/envoy", "../envoy", "~/envoy"])
async def test_a_path_to_nothing_is_not_taken_for_an_image(envoy, guard):
    with pytest.raises(UsageError, match="there is no such file"):
        await choose_runtime("auto", envoy, guard)


@pytest.mark.parametrize("envoy", ["1", "1.38", "v1.38.2", "1.38.2.1"])
async def test_half_a_version_is_not_taken_for_an_image(envoy, guard):
    with pytest.raises(UsageError, match="not a whole version"):
        await choose_runtime("auto", envoy, guard)


async def test_a_version_that_is_too_old_is_refused_for_processes_and_containers(guard):
    for choice in ("auto", "process", "container"):
        with pytest.raises(UsageError, match="too old"):
            await choose_runtime(choice, "1.35.0", guard)
