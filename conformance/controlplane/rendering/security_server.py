"""One security server: what it has whatever the services are, and what each service adds."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.controlplane.rendering.border import border, border_routes
from conformance.controlplane.rendering.clusters import (
    application_cluster,
    application_name,
    found_by_address,
    groups_of,
    in_group,
    peer_cluster,
)
from conformance.controlplane.rendering.endpoints import endpoints_of
from conformance.controlplane.rendering.helpers import helper_clusters
from conformance.controlplane.rendering.listeners import inbound_listener, outbound_listener
from conformance.controlplane.rendering.routes import inbound_routes, outbound_routes, scope
from conformance.controlplane.rendering.secrets import identity_secret, public_secret, trust_secret
from conformance.controlplane.rendering.view import OutboundService, Resource, SecurityServerView, Surroundings
from conformance.controlplane.rendering.xroad import XROAD, inbound_addresses, outbound_addresses
from conformance.controlplane.resources import Reference, ResourceType
from conformance.model.policy import ServicePolicy

__all__ = [
    "Rendered",
    "render_border",
    "render_foundation",
    "render_inbound",
    "render_outbound",
    "render_xroad",
]

Rendered = dict[Reference, Resource]
"""Resources by type and name."""

ALONE = Surroundings()


def render_foundation(view: SecurityServerView) -> Rendered:
    """Listeners, secrets and helpers: the same for any number of services."""
    public = {(ResourceType.SECRET, "public"): public_secret(view.public_roots)} if view.public_roots else {}
    return {
        (ResourceType.LISTENER, "inbound"): inbound_listener(view),
        (ResourceType.LISTENER, "outbound"): outbound_listener(view),
        (ResourceType.SECRET, "identity"): identity_secret(view.identity),
        (ResourceType.SECRET, "callers"): trust_secret("callers", view, callers_only=True),
        (ResourceType.SECRET, "trust"): trust_secret("trust", view, callers_only=False),
        **{(ResourceType.CLUSTER, name): each for name, each in helper_clusters(view.surroundings).items()},
        **public,
        **border(view),
    }


def render_inbound(policy: ServicePolicy, surroundings: Surroundings = ALONE) -> Rendered:
    """A building block behind this security server."""
    routes = f"inbound/{policy.service}"
    rendered: Rendered = {
        (ResourceType.SCOPED_ROUTE, routes): scope("inbound", policy.service),
        (ResourceType.ROUTE, routes): inbound_routes(policy, surroundings),
    }
    for group in groups_of(policy):
        cluster = application_name(policy.service, group)
        rendered[ResourceType.CLUSTER, cluster] = application_cluster(policy, group)
        rendered[ResourceType.ENDPOINT, cluster] = endpoints_of(cluster, in_group(policy, group))
    return rendered


def render_outbound(service: OutboundService, surroundings: Surroundings = ALONE) -> Rendered:
    """A service of another security server that the applications of this one may call."""
    routes = f"outbound/{service.policy.service}"
    return {
        **_peer(service, surroundings),
        (ResourceType.SCOPED_ROUTE, routes): scope("outbound", service.policy.service),
        (ResourceType.ROUTE, routes): outbound_routes(service.policy, surroundings),
    }


def render_border(service: OutboundService, surroundings: Surroundings) -> Rendered:
    """A service that callers of other trust domains may reach by this external gateway; nothing if no rule names one.

    The listener comes with `render_foundation`, if the view has a `border_address`.
    """
    routes = border_routes(service, surroundings)
    return {**_peer(service, surroundings), **routes} if routes else {}


def render_xroad(
    inbound: Iterable[ServicePolicy], outbound: Iterable[OutboundService], surroundings: Surroundings
) -> Rendered:
    """The X-Road addresses of all services behind this security server, and of all that its applications may call.

    Their clusters come with `render_inbound` and `render_outbound`.
    """
    rendered: Rendered = {}
    if addresses := inbound_addresses(inbound, surroundings):
        rendered[ResourceType.SCOPED_ROUTE, f"inbound/{XROAD}"] = scope("inbound", XROAD)
        rendered[ResourceType.ROUTE, f"inbound/{XROAD}"] = addresses
    if addresses := outbound_addresses(outbound, surroundings):
        rendered[ResourceType.SCOPED_ROUTE, f"outbound/{XROAD}"] = scope("outbound", XROAD)
        rendered[ResourceType.ROUTE, f"outbound/{XROAD}"] = addresses
    return rendered


def _peer(service: OutboundService, surroundings: Surroundings) -> Rendered:
    cluster = f"peer-{service.policy.service}"
    rendered: Rendered = {(ResourceType.CLUSTER, cluster): peer_cluster(service, surroundings.mesh)}
    if found_by_address(service):
        rendered[ResourceType.ENDPOINT, cluster] = endpoints_of(cluster, service.peers)
    return rendered
