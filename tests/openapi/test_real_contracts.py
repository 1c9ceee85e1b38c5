"""Contracts that governments really published: some are invalid, and all that load are tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.model.errors import UsageError
from conformance.openapi.contract import load_contract


def test_a_real_contract_loads_with_all_its_operations_or_says_where_it_is_broken(
    real_contract: dict[str, Any], real_contracts_folder: Path
) -> None:
    path = real_contracts_folder / real_contract["file"]
    if not real_contract["operations"]:
        with pytest.raises(UsageError) as caught:
            load_contract(path)
        assert str(caught.value.where).startswith(f"{path}:")
        return
    contract = load_contract(path)
    assert len(contract.operations) == real_contract["operations"]
    assert contract.sha256 == real_contract["sha256"]
    assert (
        sum(not operation.operation_id for operation in contract.operations) == real_contract["ops_without_operationId"]
    )


def test_the_validity_of_a_real_contract_is_known(real_contract: dict[str, Any], real_contracts_folder: Path) -> None:
    path = real_contracts_folder / real_contract["file"]
    if not real_contract["operations"]:
        pytest.skip("it does not load")
    contract = load_contract(path)
    errors = [problem for problem in contract.problems if problem.severity == "error"]
    # Some pass a validator: it never sees that a key is there twice, nor asks whether a name can be that of a header.
    ours = any("stands already" in error.message or "HTTP does not allow" in error.message for error in errors)
    assert contract.is_valid == (real_contract["valid_openapi"] and not ours)
    assert all(problem.location.startswith(f"{path}:") for problem in errors)
