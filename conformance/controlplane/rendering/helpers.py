"""Clusters of those who help a security server: authentication service, limit service, collector of spans.

They never move while a security server runs, so their addresses come with the cluster. A service that was restarted is
found again at its old socket, or by its name. Who decides about calls is reached by mutual TLS wherever it is not on
the same machine.
"""

from __future__ import annotations

from pathlib import Path

from conformance.controlplane.rendering.clusters import CONNECT_TIMEOUT_S, http_protocol, seconds
from conformance.controlplane.rendering.endpoints import BY_NAME, is_ip_address
from conformance.controlplane.rendering.tls import helper_tls
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import Endpoint

__all__ = ["AUTHENTICATION_SERVICE", "LIMIT_SERVICE", "TRACE_COLLECTOR", "helper_clusters"]

AUTHENTICATION_SERVICE = "authentication-service"
LIMIT_SERVICE = "limit-service"
TRACE_COLLECTOR = "trace-collector"


def helper_clusters(surroundings: Surroundings) -> dict[str, Resource]:
    """The clusters by name, of those that are there."""
    clusters = {}
    deciding = {AUTHENTICATION_SERVICE: surroundings.authentication, LIMIT_SERVICE: surroundings.limits}
    for name, where in deciding.items():
        if where:
            clusters[name] = _cluster(name, where, "http2")
            if isinstance(where, Endpoint):
                proven = where.server_name or where.host
                clusters[name]["transport_socket"] = helper_tls(proven, surroundings.mesh.minimum_tls)
    if surroundings.tracing:
        clusters[TRACE_COLLECTOR] = _cluster(TRACE_COLLECTOR, surroundings.tracing, "http")
    return clusters


def _cluster(name: str, where: Endpoint | Path, protocol: str) -> Resource:
    address: Resource = (
        {"pipe": {"path": str(where)}}
        if isinstance(where, Path)
        else {"socket_address": {"address": where.host, "port_value": where.port}}
    )
    fixed = isinstance(where, Path) or is_ip_address(where.host)
    return {
        "name": name,
        **({"type": "STATIC"} if fixed else BY_NAME),
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": http_protocol(f"{protocol}_protocol_options"),
    }
