"""An overlay changes the resources that it selects, copies them first, and is missed when it selects none."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from conformance.controlplane.resources import ResourceType
from conformance.mesh import Modifier, Overlays, Resources
from conformance.model.errors import UsageError
from conformance.model.run_file import Overlay

RESOURCES: Resources = {
    ResourceType.CLUSTER: {"peer-a": {"name": "peer-a"}, "peer-b": {"name": "peer-b"}, "own": {"name": "own"}},
    ResourceType.EXTENSION_CONFIG: {"peer-a": {"name": "peer-a"}},
}
MARK = {"op": "add", "path": "/marked", "value": True}


def overlays(*described: dict[str, Any]) -> Overlays:
    complete = [{"type": "cluster", "name": "*", "patch": [MARK], **each} for each in described]
    return Overlays([Overlay.model_validate(each) for each in complete])


def marked(resources: Resources) -> set[tuple[ResourceType, str]]:
    return {(kind, name) for kind, of_type in resources.items() for name, each in of_type.items() if "marked" in each}


@pytest.mark.parametrize(
    ("described", "selected"),
    [
        ({}, {(ResourceType.CLUSTER, name) for name in ("peer-a", "peer-b", "own")}),
        ({"name": "peer-?"}, {(ResourceType.CLUSTER, "peer-a"), (ResourceType.CLUSTER, "peer-b")}),
        ({"name": "PEER-A"}, set()),
        ({"type": "extension-config"}, {(ResourceType.EXTENSION_CONFIG, "peer-a")}),
        ({"type": "listener"}, set()),
        ({"server": "care*", "name": "own"}, set()),
        ({"server": "call*", "name": "own"}, {(ResourceType.CLUSTER, "own")}),
    ],
)
def test_type_name_and_server_select(described, selected):
    before = copy.deepcopy(RESOURCES)
    overlaid = overlays(described)
    assert marked(overlaid.resources("caller", RESOURCES)) == selected
    assert before == RESOURCES
    if selected:
        overlaid.refuse_unused()
    else:
        with pytest.raises(UsageError, match="selects no resource"):
            overlaid.refuse_unused()


def test_overlays_apply_in_their_order():
    first = {"patch": [{"op": "add", "path": "/list", "value": []}]}
    second = {"patch": [{"op": "add", "path": "/list/-", "value": "last"}]}
    changed = overlays(first, second).resources("caller", RESOURCES)
    assert changed[ResourceType.CLUSTER]["own"]["list"] == ["last"]
    with pytest.raises(UsageError, match="does not apply to cluster"):
        overlays(second, first).resources("caller", RESOURCES)


def test_a_failed_test_operation_refuses_the_whole_overlay():
    with pytest.raises(UsageError) as refused:
        overlays({}, {"name": "own", "patch": [{"op": "test", "path": "/name", "value": "other"}, MARK]}).resources(
            "caller", RESOURCES
        )
    assert refused.value.where == "overlays.1"


def test_the_plain_modifier_changes_nothing():
    plain = Modifier()
    assert plain.resources("caller", RESOURCES) is RESOURCES
    assert plain.farewell("caller", RESOURCES) is RESOURCES
    assert plain.arguments("things", ["a"]) == ["a"]
    assert plain.credential_kind("member") == "member"
    assert not plain.restarts("caller")
