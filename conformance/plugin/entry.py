"""What pytest loads wherever meshmark is installed: options and hooks, cheap until a run file turns up."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from conformance.mesh import Mesh
    from conformance.plugin.run import Run
    from conformance.plugin.session import MeshmarkSession
    from conformance.probe import Probe

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
    group.addoption(
        "--meshmark-language", metavar="CODE", default="en", help="language of the reports and of the summary"
    )
    group.addoption("--meshmark-trust", metavar="KEY", action="append", help="a public key whose signatures count")
    group.addoption("--meshmark-workers", metavar="N", type=int, default=1, help="meshes at once")
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

    collector: pytest.Collector = RunFileCollector.from_parent(
        parent, path=file_path, session_of=session_of(parent.config)
    )
    return collector


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """The controller of pytest-xdist collects nothing itself: its workers tell it which run files there are."""
    for file in dict.fromkeys(id.split("::")[0] for id in ids):  # noqa: A001 -- pytest's word
        if file.endswith(RUN_FILE_SUFFIX):
            session = session_of(node.config)
            session.open_run(session.path_of(file))


@pytest.fixture(scope="session")
def meshmark_run(request: pytest.FixtureRequest) -> Run:
    """The run behind the fixtures `mesh` and `probe`: that of `--meshmark-run-file`, its mesh started."""
    path = request.config.getoption("--meshmark-run-file")
    if path is None:
        pytest.fail("the fixtures `mesh` and `probe` need --meshmark-run-file FILE", pytrace=False)
    run = session_of(request.config).open_run_for_own_tests(Path(path).resolve())
    run.start()
    return run


@pytest.fixture(scope="session")
def mesh(meshmark_run: Run) -> Mesh:
    """The running mesh. It lives on a loop of its own: use it in `async def` tests that also take `probe`."""
    return meshmark_run.start()


@pytest.fixture
def probe(meshmark_run: Run) -> Iterator[Probe]:
    """A probe for one test; afterwards the mesh is put back. `async def` tests with a probe run on the mesh's loop."""
    from conformance.plugin.own_tests import open_probe  # noqa: PLC0415

    with open_probe(meshmark_run) as opened:
        yield opened


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests with a probe where the mesh lives, with pytest-asyncio or without."""
    if "probe" not in pyfuncitem.fixturenames or "meshmark_run" not in pyfuncitem.funcargs:
        return None
    test = inspect.unwrap(pyfuncitem.obj)
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in names}
    if pyfuncitem.instance is not None:
        test = test.__get__(pyfuncitem.instance)
    cast("Run", pyfuncitem.funcargs["meshmark_run"]).on_mesh_loop(test(**arguments))
    return True


def session_of(config: pytest.Config) -> MeshmarkSession:
    """The part of the plugin that keeps runs and writes reports; made when first needed."""
    from conformance.plugin.session import MeshmarkSession  # noqa: PLC0415

    existing = config.pluginmanager.get_plugin(MeshmarkSession.NAME)
    if isinstance(existing, MeshmarkSession):
        return existing
    session = MeshmarkSession(config)
    config.pluginmanager.register(session, MeshmarkSession.NAME)
    return session
