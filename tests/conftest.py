"""What several rooms' tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from workplace import Workplace

from conformance.system.namespaces import why_unavailable

pytest_plugins = ["pytester"]

# How fast a busy machine is says nothing about what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """A folder in which the installed commands are run."""
    # Unix sockets lie below it, and their paths must be short.
    temporary = Path(tempfile.mkdtemp(prefix="mm-"))
    yield Workplace(tmp_path, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture(scope="session")
def network_namespaces() -> None:
    """Skips where this process may not make any; fails where MESHMARK_REQUIRE_NAMESPACES=1 promises that it may."""
    why = why_unavailable()
    if why and os.environ.get("MESHMARK_REQUIRE_NAMESPACES") == "1":
        pytest.fail(f"MESHMARK_REQUIRE_NAMESPACES=1, but {why}")
    if why:
        pytest.skip(f"no network namespaces: {why}")
