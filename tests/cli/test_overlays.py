"""Overlays reach the proxy: what is certified is the configuration that really runs."""

from __future__ import annotations

from typing import Any

import pytest
from workplace import Workplace, results

RULES_OF_WITNESS = "/virtual_hosts/0/routes/0/typed_per_filter_config/envoy.filters.http.rbac/rbac/rules"


def overlay(**changes: Any) -> dict[str, Any]:
    """Access rules that are only logged: everybody is let through."""
    only_logged = {"op": "replace", "path": f"{RULES_OF_WITNESS}/action", "value": "LOG"}
    return {"type": "route", "name": "inbound/witness", "server": "things", "patch": [only_logged]} | changes


def certify(workplace: Workplace, *overlays: dict[str, Any]):
    return workplace.meshmark("certify", workplace.run_file(overlays=list(overlays)), "--only", "AUTHZ-001,ROUTE-001")


def place_of_overlay(workplace: Workplace, number: int) -> str:
    """Where an overlay begins in the run file, as messages name it."""
    lines = (workplace.folder / "things.meshmark.yaml").read_text().splitlines()
    begins = [
        line for line, text in enumerate(lines, start=1) if text == "  {" and line > lines.index(' "overlays": [')
    ]
    return f"things.meshmark.yaml:{begins[number]}:3"


def test_an_overlay_that_breaks_access_control_turns_the_right_check_red(workplace: Workplace):
    finished = certify(workplace, overlay())
    found = results(workplace.record())
    assert finished.code == 1
    assert (found["AUTHZ-001"]["verdict"], found["AUTHZ-001"]["reason"]) == ("fail", "call-forwarded")
    assert found["ROUTE-001"]["verdict"] == "pass"


def test_an_overlay_that_does_not_apply_is_refused_at_its_place(workplace: Workplace):
    finished = certify(workplace, overlay(), overlay(patch=[{"op": "remove", "path": "/no/such/thing"}]))
    trouble = workplace.record()["trouble"]
    assert finished.code == 2
    assert trouble.startswith(
        f"{place_of_overlay(workplace, 1)}: the overlay does not apply to route inbound/witness: "
    )
    assert "the overlay does not apply" in finished.out


def test_an_overlay_that_selects_nothing_is_refused_at_its_place(workplace: Workplace):
    finished = certify(workplace, overlay(), overlay(name="inbound/witnes"), overlay(server="nobody"))
    trouble = workplace.record()["trouble"]
    assert finished.code == 2
    assert trouble.startswith(f"{place_of_overlay(workplace, 1)}: the overlay selects no resource\n")
    assert f"{place_of_overlay(workplace, 2)}: this one neither" in trouble


@pytest.mark.parametrize(
    "operation", [{}, {"op": "add"}, {"op": "invent", "path": "/a"}, {"op": "add", "path": 5, "value": 1}]
)
def test_an_overlay_that_is_no_json_patch_is_refused_at_its_place(operation, workplace: Workplace):
    finished = certify(workplace, overlay(patch=[operation]))
    assert finished.code == 2
    assert f"{place_of_overlay(workplace, 0)}: " in finished.said


@pytest.mark.parametrize(
    "nonsense",
    [
        {
            "type": "route",
            "name": "inbound/witness",
            "patch": [{"op": "replace", "path": f"{RULES_OF_WITNESS}/policies", "value": {"empty": {}}}],
        },
        {"type": "listener", "name": "inbound", "patch": [{"op": "remove", "path": "/address"}]},
    ],
    ids=lambda nonsense: nonsense["type"],
)
def test_an_overlay_that_envoy_rejects_ends_the_run_with_envoys_reason(nonsense, workplace: Workplace):
    finished = certify(workplace, overlay(**nonsense))
    trouble = workplace.record()["trouble"]
    assert finished.code == 3
    assert trouble.startswith("the mesh did not take its first configuration\n  things: ")
    assert "rejected" in trouble
    assert "mend the overlay if the run file has one" in trouble
