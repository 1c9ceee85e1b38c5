"""The authentication service in the path of each call, in both directions. What it does not allow is refused.

Invariants: no answer in time, no service, or an error of it is a refusal (403); it is asked only about calls that the
access rules let through; it sees headers and the peer's certificate, never a body. The bearer token is end-to-end, so
it goes on to the building block.
"""

from __future__ import annotations

from conformance.controlplane.rendering.clusters import seconds
from conformance.controlplane.rendering.helpers import AUTHENTICATION_SERVICE
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import ServicePolicy

__all__ = ["asked_about", "authentication_filter"]

FILTER = "envoy.filters.http.ext_authz"
TYPE = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3."


def authentication_filter(surroundings: Surroundings) -> list[Resource]:
    """The filter that asks; none if there is nobody to ask."""
    if surroundings.authentication is None:
        return []
    config = {
        "@type": f"{TYPE}ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": AUTHENTICATION_SERVICE},
            "timeout": seconds(surroundings.mesh.authentication_timeout_s),
        },
        "failure_mode_allow": False,
        "status_on_error": {"code": "Forbidden"},
        "include_peer_certificate": True,
    }
    return [{"name": FILTER, "typed_config": config}]


def asked_about(direction: str, policy: ServicePolicy, surroundings: Surroundings) -> Resource:
    """What the authentication service is told about calls of a route (`context_extensions`), as the filter's
    configuration.

    A call that no route takes comes without it.
    """
    if surroundings.authentication is None:
        return {}
    if not policy.authentication:
        return {FILTER: {"@type": f"{TYPE}ExtAuthzPerRoute", "disabled": True}}
    told = {"direction": direction, "service": policy.service, "server": surroundings.server}
    return {FILTER: {"@type": f"{TYPE}ExtAuthzPerRoute", "check_settings": {"context_extensions": told}}}
