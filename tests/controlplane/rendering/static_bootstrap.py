"""One security server's resources as a bootstrap file that needs no control plane, for `envoy --mode validate`.

With a control plane's address Envoy validates nothing of what would come from there.
"""

from __future__ import annotations

import copy
from typing import Any

from conformance.controlplane.rendering import Rendered
from conformance.controlplane.resources import ResourceType

NOTHING = {
    "name": "nothing",
    "key": {"fragments": [{"string_key": "nothing"}]},
    "route_configuration": {"name": "nothing"},
}
"""A static list of scopes must not be empty."""


def static_bootstrap(rendered: Rendered) -> dict[str, Any]:
    """Every resource in it, each where the one that refers to it would find it."""
    by_type: dict[ResourceType, dict[str, Any]] = {kind: {} for kind in ResourceType}
    for (kind, name), fields in copy.deepcopy(rendered).items():
        by_type[kind][name] = _without_discovery(fields)
    clusters = list(by_type[ResourceType.CLUSTER].values())
    for cluster in clusters:
        if cluster["type"] == "EDS":
            del cluster["eds_cluster_config"]
            cluster |= {"type": "STATIC", "load_assignment": by_type[ResourceType.ENDPOINT][cluster["name"]]}
    for listener in by_type[ResourceType.LISTENER].values():
        scoped = listener["filter_chains"][0]["filters"][0]["typed_config"]["scoped_routes"]
        for discovered in ("rds_config_source", "scoped_rds"):
            del scoped[discovered]
        inlined = [
            _inline(scope, by_type[ResourceType.ROUTE])
            for name, scope in by_type[ResourceType.SCOPED_ROUTE].items()
            if name.startswith(listener["name"])
        ]
        scoped["scoped_route_configurations_list"] = {"scoped_route_configurations": inlined or [NOTHING]}
    return {
        "static_resources": {
            "listeners": list(by_type[ResourceType.LISTENER].values()),
            "clusters": clusters,
            "secrets": list(by_type[ResourceType.SECRET].values()),
        }
    }


def _inline(scope: dict[str, Any], routes: dict[str, Any]) -> dict[str, Any]:
    configuration = routes[scope["route_configuration_name"]]
    kept = {key: value for key, value in scope.items() if key != "route_configuration_name"}
    # Everything is there already, so what a route names must be there.
    return kept | {"route_configuration": configuration | {"validate_clusters": True}}


def _without_discovery(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_discovery(inner) for key, inner in value.items() if key != "sds_config"}
    if isinstance(value, list):
        return [_without_discovery(inner) for inner in value]
    return value
