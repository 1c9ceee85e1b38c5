"""What is written into the register of the mesh about contracts."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.mesh import registrable
from conformance.model.policy import Operation
from conformance.openapi.contract import load_contract


def test_operations_are_registered_once_and_those_that_no_policy_can_name_are_left_out(tmp_path: Path):
    answers = {"responses": {"200": {"description": "good"}}}
    paths = {"/births/{birthId}": {"get": answers}, "/with space": {"get": answers}, "/births": {"trace": answers}}
    document = {"openapi": "3.0.3", "info": {"title": "Births", "version": "1"}, "paths": paths}
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(document))
    contract = load_contract(file)
    found = registrable([contract, contract])
    assert found[0] == Operation("GET", "/births/{birthId}")
    assert len(set(found)) == len(found)
    assert all(" " not in operation.path for operation in found)
