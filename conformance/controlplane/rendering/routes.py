"""Routes: from the path that a caller writes to the building block that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from conformance.controlplane.rendering.clusters import seconds
from conformance.controlplane.rendering.rules import access_rules
from conformance.controlplane.rendering.view import InboundService, OutboundService, Resource
from conformance.model.policy import IDEMPOTENT_METHODS, PathMatch, PathMatchKind, PolicyVersion, RetryPolicy, Route, ServicePolicy

__all__ = ["inbound_routes", "outbound_routes"]


def inbound_routes(services: Sequence[InboundService]) -> Resource:
    """On the provider's side: `/{service}/path` becomes `/path`, guarded by the service's access rules."""
    return _configuration("inbound", [route for each in services for route in _to_application(each.policy)])


def outbound_routes(services: Sequence[OutboundService]) -> Resource:
    """On the caller's side: `/{service}/...` goes unchanged to the provider's security server, with retries."""
    configuration = _configuration("outbound", [route for each in services for route in _to_peer(each.policy)])
    configuration["virtual_hosts"][0] |= {
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
    }
    return configuration


def _configuration(name: str, routes: list[Resource]) -> Resource:
    return {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}],
        # A cluster that arrives with the same change may be a moment later than its route.
        "validate_clusters": False,
    }


@lru_cache(maxsize=65536)
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


@lru_cache(maxsize=65536)
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
