"""What pytest loads in every session where meshmark is installed: options and hooks, cheap until a run file turns up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.plugin.session import MeshmarkSession

RUN_FILE_SUFFIX = ".meshmark.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `meshmark certify`, under names of their own."""
    group = parser.getgroup("meshmark", "conformance of building blocks behind Envoy security servers")
    group.addoption("--meshmark-out", metavar="DIR", default="meshmark-report", help="folder for the reports")
    group.addoption("--meshmark-only", metavar="ID,...", help="run these checks only")
    group.addoption("--meshmark-seed", metavar="N", type=int, help="seed of everything generated")
    group.addoption("--meshmark-envoy", metavar="ENVOY", help="a version, the path of a binary, or a container image")
    group.addoption("--meshmark-runtime", choices=["auto", "process", "container"], help="how Envoy is run")
    group.addoption("--meshmark-format", metavar="NAME", action="append", help="a report format; may be repeated")
    group.addoption("--meshmark-run-file", metavar="FILE", help="the run file behind the fixtures `mesh` and `probe`")


def pytest_configure(config: pytest.Config) -> None:
    """The markers that select checks by their level."""
    for level in ("must", "should", "may"):
        config.addinivalue_line("markers", f"{level}: a check that proves a {level.upper()} of the profile")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A run file is a file of tests: one item for each check."""
    if not file_path.name.endswith(RUN_FILE_SUFFIX):
        return None
    from conformance.plugin.collection import RunFileCollector  # noqa: PLC0415 -- costs nothing where no run file is

    collector: pytest.Collector = RunFileCollector.from_parent(parent, path=file_path, session_of=session_of(parent.config))
    return collector


def session_of(config: pytest.Config) -> MeshmarkSession:
    """The part of the plugin that keeps runs and writes reports; made when first needed."""
    from conformance.plugin.session import MeshmarkSession  # noqa: PLC0415

    existing = config.pluginmanager.get_plugin(MeshmarkSession.NAME)
    if isinstance(existing, MeshmarkSession):
        return existing
    session = MeshmarkSession(config)
    config.pluginmanager.register(session, MeshmarkSession.NAME)
    return session
