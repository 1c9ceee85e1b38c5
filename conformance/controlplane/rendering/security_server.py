"""One security server: what it has to know, and all of its resources."""

from __future__ import annotations

from conformance.controlplane.rendering.clusters import application_cluster, endpoints_of, peer_cluster
from conformance.controlplane.rendering.listeners import inbound_listener, outbound_listener
from conformance.controlplane.rendering.routes import inbound_routes, outbound_routes
from conformance.controlplane.rendering.secrets import identity_secret, trust_secret
from conformance.controlplane.rendering.view import (
    Identity,
    InboundService,
    ListenAddress,
    OutboundService,
    Resource,
    SecurityServerView,
)
from conformance.controlplane.resources import ResourceType

__all__ = ["Identity", "InboundService", "ListenAddress", "OutboundService", "SecurityServerView", "render"]


def render(view: SecurityServerView) -> dict[ResourceType, dict[str, Resource]]:
    """All resources of one security server, by type and name."""
    clusters = [application_cluster(each.policy) for each in view.inbound]
    clusters += [peer_cluster(each) for each in view.outbound]
    endpoints = [endpoints_of(f"application-{each.policy.service}", each.policy.endpoints) for each in view.inbound]
    endpoints += [endpoints_of(f"peer-{each.policy.service}", each.peers) for each in view.outbound]
    return {
        ResourceType.CLUSTER: {cluster["name"]: cluster for cluster in clusters},
        ResourceType.ENDPOINT: {assignment["cluster_name"]: assignment for assignment in endpoints},
        ResourceType.LISTENER: {
            "inbound": inbound_listener(view),
            "outbound": outbound_listener(view),
        },
        ResourceType.ROUTE: {
            "inbound": inbound_routes(view.inbound),
            "outbound": outbound_routes(view.outbound),
        },
        ResourceType.SECRET: {
            "identity": identity_secret(view.identity),
            "callers": trust_secret("callers", view, callers_only=True),
            "trust": trust_secret("trust", view, callers_only=False),
        },
    }
