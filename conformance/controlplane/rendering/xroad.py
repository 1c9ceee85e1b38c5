"""X-Road addresses: `/r1/{instance}/{class}/{member}[/{subsystem}]/{serviceCode}/...` beside `/{service}/...`.

(X-Road: Message Protocol for REST, section 4.) They begin with the same segment, so all of a security server's services
share one scope and one route configuration per listener. Invariant: only services with a code, of a provider with an
identifier, are in it; the rules are the service's own, and the client header must name the proven caller.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance.controlplane.rendering.injected_faults import injected_faults
from conformance.controlplane.rendering.limits import global_limits, local_limits
from conformance.controlplane.rendering.paths import xroad_id, xroad_path
from conformance.controlplane.rendering.routes import configuration, to_application, to_peer
from conformance.controlplane.rendering.rules import xroad_rules
from conformance.controlplane.rendering.view import OutboundService, Resource, Surroundings
from conformance.model.policies import MemberId
from conformance.model.policy import ServicePolicy

__all__ = ["XROAD", "inbound_addresses", "outbound_addresses"]

XROAD = "r1"
"""The first segment of every address, and so the name of their scope."""


def inbound_addresses(policies: Iterable[ServicePolicy], surroundings: Surroundings) -> Resource | None:
    """The routes of the services behind a security server; None: none of them can be addressed.

    Local limits count calls of each route here apart from those by the service's own path.
    """
    routes: list[Resource] = []
    for policy in policies:
        if policy.code and surroundings.member:
            below = xroad_path(surroundings.member, policy.code)
            rules = xroad_rules(policy, below, surroundings)
            bounds = local_limits(policy, below, surroundings) | injected_faults(policy, below)
            limits = global_limits(policy, below, surroundings)
            for route in to_application(policy, below, rules, surroundings):
                route["typed_per_filter_config"] |= bounds
                if limits:
                    route["route"]["rate_limits"] = limits
                routes.append(route)
    return configuration("inbound", XROAD, routes) if routes else None


def outbound_addresses(services: Iterable[OutboundService], surroundings: Surroundings) -> Resource | None:
    """The routes of the services that a security server's applications may address; None: there are none.

    The client header is set by the security server if the application did not.
    """
    routes: list[Resource] = []
    for service in services:
        if service.policy.code and service.provider:
            below = xroad_path(service.provider, service.policy.code)
            routes += to_peer(service.policy, below, "outbound", surroundings)
    rendered = configuration("outbound", XROAD, routes) if routes else None
    if rendered and surroundings.member:
        rendered["request_headers_to_add"] = [_client(surroundings.mesh.client_header, surroundings.member)]
    return rendered


def _client(header: str, member: MemberId) -> Resource:
    return {"header": {"key": header, "value": xroad_id(member)}, "append_action": "ADD_IF_ABSENT"}
