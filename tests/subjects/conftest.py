from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.system.guard import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()
