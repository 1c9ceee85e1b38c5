"""Where a cluster's hosts listen, how much each of them takes, and which are used first."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from conformance.controlplane.rendering.view import Resource
from conformance.model.policy import Endpoint

__all__ = ["BY_NAME", "endpoints_of", "is_ip_address"]

BY_NAME: Resource = {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
"""How hosts of a cluster are found that are known by name. By default a name with any IPv6 address has no other, and
services listen on IPv4; with both, each address would be a host of its own and get half of the calls.
"""


def is_ip_address(host: str) -> bool:
    """Whether a host is an address, and not a name that has to be looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def endpoints_of(cluster: str, endpoints: Sequence[Endpoint]) -> Resource:
    """The endpoints of a cluster. Priorities become ranks without gaps, as Envoy needs them."""
    priorities = sorted({endpoint.priority for endpoint in endpoints})
    return {
        "cluster_name": cluster,
        "endpoints": [
            ({"priority": rank} if rank else {})
            | {"lb_endpoints": [_host(endpoint) for endpoint in endpoints if endpoint.priority == priority]}
            for rank, priority in enumerate(priorities)
        ],
    }


def _host(endpoint: Endpoint) -> Resource:
    address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    host: Resource = {"endpoint": {"address": address}}
    if endpoint.weight != 1:
        host["load_balancing_weight"] = endpoint.weight
    return host
