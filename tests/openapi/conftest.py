"""Where the real contracts are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_CONTRACTS = Path(os.environ.get("MESHMARK_GOVSTACK_SPECS", REPOSITORY.parent / "shared/govstack/specs"))


def manifest() -> list[dict[str, Any]]:
    """What is known of each real contract; empty where they are absent."""
    listing = REAL_CONTRACTS / "MANIFEST.json"
    return json.loads(listing.read_text())["files"] if listing.is_file() else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `real_contract` runs once for each of them."""
    if "real_contract" not in metafunc.fixturenames:
        return
    contracts = manifest()
    absent = pytest.mark.skip(reason="no real contracts: set MESHMARK_GOVSTACK_SPECS to a folder with a MANIFEST.json")
    parameters = [pytest.param(entry, id=entry["file"]) for entry in contracts] or [pytest.param(None, marks=absent)]
    metafunc.parametrize("real_contract", parameters)


@pytest.fixture
def real_contracts_folder() -> Path:
    """The folder of the real contracts."""
    return REAL_CONTRACTS
