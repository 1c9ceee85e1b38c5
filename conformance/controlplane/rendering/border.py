"""The border of an external gateway: callers of other trust domains, let in by name, and passed on under the gateway's
own identity to the provider's security server.

Invariants: without a foreign identity there is no listener, because an empty list of names would let everybody in; a
service is reachable only if one of its rules names a foreigner.
"""

from __future__ import annotations

from conformance.controlplane.rendering.listeners import border_listener
from conformance.controlplane.rendering.routes import configuration, scope, to_peer
from conformance.controlplane.rendering.rules import border_rules
from conformance.controlplane.rendering.secrets import foreigners_secret
from conformance.controlplane.rendering.view import OutboundService, Resource, SecurityServerView, Surroundings
from conformance.controlplane.resources import Reference, ResourceType

__all__ = ["border", "border_routes"]


def border(view: SecurityServerView) -> dict[Reference, Resource]:
    """Listener and trust of an external gateway; nothing at any other security server."""
    domains = [domain for domain in view.surroundings.mesh.federation if domain.identities]
    if view.border_address is None or not domains:
        return {}
    return {
        (ResourceType.LISTENER, "border"): border_listener(view, view.border_address),
        (ResourceType.SECRET, "foreigners"): foreigners_secret(domains),
    }


def border_routes(service: OutboundService, surroundings: Surroundings) -> dict[Reference, Resource]:
    """The way of foreigners to a service, if any rule names one."""
    policy = service.policy
    if surroundings.foreigners.isdisjoint(rule.caller for rule in policy.access):
        return {}
    below = f"/{policy.service}"
    routes = to_peer(policy, below, "border", surroundings, border_rules(policy, below, surroundings))
    name = f"border/{policy.service}"
    return {
        (ResourceType.SCOPED_ROUTE, name): scope("border", policy.service),
        (ResourceType.ROUTE, name): configuration("border", policy.service, routes),
    }
