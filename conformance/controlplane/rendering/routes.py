"""Routes: from the path that a caller writes to the building block that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from conformance.controlplane.rendering.clusters import seconds
from conformance.controlplane.rendering.rules import access_rules
from conformance.controlplane.rendering.view import Resource
from conformance.model.policy import (
    IDEMPOTENT_METHODS,
    PathMatch,
    PathMatchKind,
    PolicyVersion,
    RetryPolicy,
    Route,
    ServicePolicy,
)

__all__ = ["SCHEMES", "Listener", "inbound_routes", "outbound_routes", "scope"]

Listener = Literal["inbound", "outbound"]
SCHEMES: Final[dict[Listener, str]] = {"inbound": "https", "outbound": "http"}


def inbound_routes(policy: ServicePolicy) -> Resource:
    """On the provider's side: `/{service}/path` becomes `/path`, guarded by the service's access rules."""
    return _configuration("inbound", policy.service, _to_application(policy))


def outbound_routes(policy: ServicePolicy) -> Resource:
    """On the caller's side: `/{service}/...` goes unchanged to the provider's security server, with retries."""
    configuration = _configuration("outbound", policy.service, _to_peer(policy))
    configuration["virtual_hosts"][0] |= {
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
    }
    return configuration


def scope(listener: Listener, service: str) -> Resource:
    """Where a listener finds the routes of a service: by the first segment of the path.

    Each service has a route configuration of its own, so that a change of one service is a change of one small
    resource, however many there are. (Envoy documentation: "Scoped routing".) All listeners of a security server get
    all of its scopes, so the scheme, which each listener sets itself, tells them apart.
    """
    name = f"{listener}/{service}"
    return {
        "name": name,
        "route_configuration_name": name,
        "key": {"fragments": [{"string_key": SCHEMES[listener]}, {"string_key": service}]},
    }


def _configuration(listener: Listener, service: str, routes: Sequence[Resource]) -> Resource:
    name = f"{listener}/{service}"
    return {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": list(routes)}],
        # A cluster that arrives with the same change may be a moment later than its route.
        "validate_clusters": False,
    }


def _to_application(policy: ServicePolicy) -> tuple[Resource, ...]:
    special = sorted(policy.routes, key=_specificity, reverse=True)
    whole = PathMatch(PathMatchKind.PREFIX, "/")
    routes = [*special, Route(whole)]
    return tuple(
        _marked(policy.service, policy.version)
        | {
            "match": _match(policy.service, route),
            "route": {
                "cluster": f"application-{policy.service}",
                "prefix_rewrite": policy.base_path + (route.match.path if route.rewrite is None else route.rewrite),
                "timeout": seconds(policy.timeout_s if route.timeout_s is None else route.timeout_s),
            },
            "typed_per_filter_config": {"envoy.filters.http.rbac": access_rules(policy)},
        }
        for route in routes
    )


def _to_peer(policy: ServicePolicy) -> tuple[Resource, ...]:
    everything = {"prefix": f"/{policy.service}/"}
    action = {"cluster": f"peer-{policy.service}", "timeout": seconds(policy.timeout_s)}
    marked = _marked(policy.service, policy.caller_version)
    plain = marked | {"match": everything, "route": action}
    if policy.retry is None:
        return (plain,)
    methods = "|".join(IDEMPOTENT_METHODS)
    repeatable = marked | {
        "match": everything | {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}]},
        "route": action | {"retry_policy": _retry(policy.retry)},
    }
    return (repeatable, plain)


def _marked(service: str, version: PolicyVersion) -> Resource:
    """Which policy decides here; the access log repeats it on every line."""
    return {"name": service, "metadata": {"filter_metadata": {"meshmark": {"service": service, "policy": version}}}}


def _match(service: str, route: Route) -> Resource:
    path = f"/{service}{route.match.path}"
    if route.match.kind is PathMatchKind.EXACT:
        match: Resource = {"path": path}
    elif path.endswith("/"):
        match = {"prefix": path}
    else:
        match = {"path_separated_prefix": path}
    if route.methods:
        methods = "|".join(route.methods)
        match["headers"] = [{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}]
    return match


def _specificity(route: Route) -> tuple[bool, int, bool]:
    return (route.match.kind is PathMatchKind.EXACT, len(route.match.path), bool(route.methods))


def _retry(retry: RetryPolicy) -> Resource:
    return {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
        "retriable_status_codes": list(retry.statuses),
        "num_retries": retry.attempts,
        "per_try_timeout": seconds(retry.per_try_timeout_s),
        "retry_back_off": {
            "base_interval": seconds(retry.back_off_s),
            "max_interval": seconds(retry.back_off_s * 10),
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
