"""One security server: what it has whatever the services are, and what each service adds."""

from __future__ import annotations

from conformance.controlplane.rendering.clusters import application_cluster, endpoints_of, peer_cluster
from conformance.controlplane.rendering.listeners import inbound_listener, outbound_listener
from conformance.controlplane.rendering.routes import inbound_routes, outbound_routes, scope
from conformance.controlplane.rendering.secrets import identity_secret, trust_secret
from conformance.controlplane.rendering.view import OutboundService, Resource, SecurityServerView
from conformance.controlplane.resources import Reference, ResourceType
from conformance.model.policy import ServicePolicy

__all__ = ["Rendered", "render_foundation", "render_inbound", "render_outbound"]

Rendered = dict[Reference, Resource]
"""Resources by type and name."""


def render_foundation(view: SecurityServerView) -> Rendered:
    """Listeners and secrets: the same for any number of services."""
    return {
        (ResourceType.LISTENER, "inbound"): inbound_listener(view),
        (ResourceType.LISTENER, "outbound"): outbound_listener(view),
        (ResourceType.SECRET, "identity"): identity_secret(view.identity),
        (ResourceType.SECRET, "callers"): trust_secret("callers", view, callers_only=True),
        (ResourceType.SECRET, "trust"): trust_secret("trust", view, callers_only=False),
    }


def render_inbound(policy: ServicePolicy) -> Rendered:
    """A building block behind this security server."""
    cluster = f"application-{policy.service}"
    routes = f"inbound/{policy.service}"
    return {
        (ResourceType.CLUSTER, cluster): application_cluster(policy),
        (ResourceType.ENDPOINT, cluster): endpoints_of(cluster, policy.endpoints),
        (ResourceType.SCOPED_ROUTE, routes): scope("inbound", policy.service),
        (ResourceType.ROUTE, routes): inbound_routes(policy),
    }


def render_outbound(service: OutboundService) -> Rendered:
    """A service of another security server that the applications of this one may call."""
    cluster = f"peer-{service.policy.service}"
    routes = f"outbound/{service.policy.service}"
    return {
        (ResourceType.CLUSTER, cluster): peer_cluster(service),
        (ResourceType.ENDPOINT, cluster): endpoints_of(cluster, service.peers),
        (ResourceType.SCOPED_ROUTE, routes): scope("outbound", service.policy.service),
        (ResourceType.ROUTE, routes): outbound_routes(service.policy),
    }
