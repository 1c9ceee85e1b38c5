from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_mesh import RunningMesh, mesh_up
from workplace import Workplace

from conformance.cli.main import main


@pytest.fixture
def refusal(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., str]:
    """What the command says on refusing these arguments, run in this process for speed."""

    def refused(*arguments: str, code: int = 2) -> str:
        monkeypatch.chdir(workplace.folder)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        assert said.out == ""
        assert said.err.startswith("meshmark: ")
        assert said.err.splitlines()[-1].startswith("  next: ")
        return said.err.removeprefix("meshmark: ")

    return refused


@pytest.fixture
def output(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., str]:
    """What the command prints when all goes well, run in this process for speed."""

    def printed(*arguments: str) -> str:
        monkeypatch.chdir(workplace.folder)
        monkeypatch.setenv("COLUMNS", "250")
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        assert said.err == ""
        return str(said.out)

    return printed


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """The reference system, started once for a module."""
    temporary = Path(tempfile.mkdtemp(prefix="mm-"))
    with mesh_up(Workplace(tmp_path_factory.mktemp("reference"), temporary)) as running:
        yield running
    shutil.rmtree(temporary, ignore_errors=True)
