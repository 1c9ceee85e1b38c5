from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import PATIENCE_S, Workplace

REAL_HOME = Path.home()
"""Before pytester has given the tests another one: what is known about Envoy is remembered there."""


@pytest.fixture
def workplace(workplace: Workplace, pytester: pytest.Pytester) -> Workplace:
    """The same, in pytester's folder."""
    return Workplace(pytester.path, workplace.temporary)


@pytest.fixture
def run_pytest(
    workplace: Workplace, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Runs pytest in a process of its own, with no other plugins than this one and those that are named."""
    monkeypatch.setenv("TMPDIR", str(workplace.temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(REAL_HOME / ".cache"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*arguments: str | Path) -> pytest.RunResult:
        result = pytester.runpytest_subprocess("-p", "conformance.plugin.entry", *arguments, timeout=PATIENCE_S)
        assert workplace.left() == []
        return result

    return run
