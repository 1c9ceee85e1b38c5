"""Clusters of those who help a security server: authentication service, limit service, collector of spans.

They never move while a security server runs, so their addresses come with the cluster. A service that was restarted is
found again at its old socket.
"""

from __future__ import annotations

from pathlib import Path

from conformance.controlplane.rendering.clusters import CONNECT_TIMEOUT_S, http_protocol, seconds
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import Endpoint

__all__ = ["AUTHENTICATION_SERVICE", "LIMIT_SERVICE", "TRACE_COLLECTOR", "helper_clusters"]

AUTHENTICATION_SERVICE = "authentication-service"
LIMIT_SERVICE = "limit-service"
TRACE_COLLECTOR = "trace-collector"


def helper_clusters(surroundings: Surroundings) -> dict[str, Resource]:
    """The clusters by name, of those that are there."""
    clusters = {}
    if surroundings.authentication:
        clusters[AUTHENTICATION_SERVICE] = _cluster(AUTHENTICATION_SERVICE, surroundings.authentication, "http2")
    if surroundings.limits:
        clusters[LIMIT_SERVICE] = _cluster(LIMIT_SERVICE, surroundings.limits, "http2")
    if surroundings.tracing:
        clusters[TRACE_COLLECTOR] = _cluster(TRACE_COLLECTOR, surroundings.tracing, "http")
    return clusters


def _cluster(name: str, where: Endpoint | Path, protocol: str) -> Resource:
    address: Resource = (
        {"pipe": {"path": str(where)}}
        if isinstance(where, Path)
        else {"socket_address": {"address": where.host, "port_value": where.port}}
    )
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": http_protocol(f"{protocol}_protocol_options"),
    }
