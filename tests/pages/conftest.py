"""A browser for the pages, with axe-core at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser

AXE = Path(__file__).parents[1] / "axe"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, as the lock file of `tests/axe` has it."""
    npm = shutil.which("npm")
    if npm is None:
        _missing("no npm on this machine")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(AXE / name, folder)
    done = subprocess.run(
        [str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        _missing(f"npm ci: {done.stderr[-2_000:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


def _missing(why: str) -> None:
    if os.environ.get("MESHMARK_REQUIRE_CHROMIUM") == "1":
        pytest.fail(f"MESHMARK_REQUIRE_CHROMIUM=1, but there is {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a file."""
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pages are kept once they are made."""
    return tmp_path_factory.mktemp("pages")
