"""What several rooms' tests share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from workplace import Workplace

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
