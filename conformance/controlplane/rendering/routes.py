"""Routes: from the path that a caller writes to the building block that answers it.

Invariants: one route configuration per service and listener; rules and the question to the authentication service
stand on each route, limits and injected faults on the service, because each place where they stand counts for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from conformance.controlplane.rendering.authentication import asked_about
from conformance.controlplane.rendering.clusters import application_name, seconds
from conformance.controlplane.rendering.injected_faults import injected_faults
from conformance.controlplane.rendering.limits import global_limits, local_limits
from conformance.controlplane.rendering.paths import route_match, words
from conformance.controlplane.rendering.rules import access_rules
from conformance.controlplane.rendering.tracing import span_name
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import (
    IDEMPOTENT_METHODS,
    PathMatch,
    PathMatchKind,
    PolicyVersion,
    RetryPolicy,
    Route,
    ServicePolicy,
)

__all__ = [
    "RULES",
    "SCHEMES",
    "Listener",
    "configuration",
    "inbound_routes",
    "outbound_routes",
    "scope",
    "to_application",
    "to_peer",
]

Listener = Literal["inbound", "outbound", "border"]
SCHEMES: Final[dict[Listener, tuple[str, ...]]] = {
    "inbound": ("https",),
    "outbound": ("http",),
    "border": ("https", "https"),
}
"""How scopes of one listener differ from those of others. All listeners of a security server get all of its scopes,
and each sets the scheme of its calls itself; Envoy knows two schemes only, so the third listener reads it twice.
"""

RULES = "envoy.filters.http.rbac"
EVERYTHING = Route(PathMatch(PathMatchKind.PREFIX, "/"))


def inbound_routes(policy: ServicePolicy, surroundings: Surroundings) -> Resource:
    """On the provider's side: `/{service}/path` becomes `/path`, guarded by the service's access rules."""
    below = f"/{policy.service}"
    rules = access_rules(policy, below, surroundings)
    rendered = configuration("inbound", policy.service, to_application(policy, below, rules, surroundings))
    host = rendered["virtual_hosts"][0]
    if bounds := local_limits(policy, below, surroundings) | injected_faults(policy, below):
        host["typed_per_filter_config"] = bounds
    if limits := global_limits(policy, below, surroundings):
        host["rate_limits"] = limits
    return rendered


def outbound_routes(policy: ServicePolicy, surroundings: Surroundings) -> Resource:
    """On the caller's side: `/{service}/...` goes unchanged to the provider's security server, with retries."""
    return configuration("outbound", policy.service, to_peer(policy, f"/{policy.service}", "outbound", surroundings))


def scope(listener: Listener, name: str) -> Resource:
    """Where a listener finds the routes of a service: by the first segment of the path.

    Each service has a route configuration of its own, so that a change of one service is a change of one small
    resource, however many there are. (Envoy documentation: "Scoped routing".)
    """
    full_name = f"{listener}/{name}"
    fragments = [{"string_key": key} for key in (*SCHEMES[listener], name)]
    return {"name": full_name, "route_configuration_name": full_name, "key": {"fragments": fragments}}


def configuration(listener: Listener, name: str, routes: Sequence[Resource]) -> Resource:
    """The routes of one scope."""
    full_name = f"{listener}/{name}"
    rendered: Resource = {
        "name": full_name,
        "virtual_hosts": [{"name": full_name, "domains": ["*"], "routes": list(routes)}],
        # A cluster that arrives with the same change may be a moment later than its route.
        "validate_clusters": False,
    }
    if listener != "inbound":
        rendered["virtual_hosts"][0] |= {
            "include_request_attempt_count": True,
            "include_attempt_count_in_response": True,
        }
    return rendered


def to_application(
    policy: ServicePolicy, below: str, rules: Resource, surroundings: Surroundings
) -> tuple[Resource, ...]:
    """From `below` to the building block, most specific routes first, under these rules."""
    special = sorted(policy.routes, key=_specificity, reverse=True)
    return tuple(
        _marked(policy.service, policy.version)
        | {
            "match": route_match(below, route),
            "route": _destination(policy.service, route)
            | {
                "prefix_rewrite": policy.base_path + (route.match.path if route.rewrite is None else route.rewrite),
                "timeout": seconds(policy.timeout_s if route.timeout_s is None else route.timeout_s),
            },
            "typed_per_filter_config": {RULES: rules} | asked_about("inbound", policy, surroundings),
        }
        | span_name(words(f"/{policy.service}", route.match), surroundings)
        for route in (*special, EVERYTHING)
    )


def to_peer(
    policy: ServicePolicy, below: str, listener: Listener, surroundings: Surroundings, rules: Resource | None = None
) -> tuple[Resource, ...]:
    """From `below` to the provider's security server, unchanged; idempotent calls are retried."""
    everything = {"prefix": f"{below}/"}
    action = {"cluster": f"peer-{policy.service}", "timeout": seconds(policy.timeout_s)}
    version = policy.version if rules else policy.caller_version
    shared = _marked(policy.service, version) | span_name(words(f"/{policy.service}", None), surroundings)
    guards = ({RULES: rules} if rules else {}) | asked_about(listener, policy, surroundings)
    if guards:
        shared["typed_per_filter_config"] = guards
    plain = shared | {"match": everything, "route": action}
    if policy.retry is None:
        return (plain,)
    methods = "|".join(IDEMPOTENT_METHODS)
    repeatable = shared | {
        "match": everything | {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}]},
        "route": action | {"retry_policy": _retry(policy.retry)},
    }
    return (repeatable, plain)


def _marked(service: str, version: PolicyVersion) -> Resource:
    """Which policy decides here; the access log repeats it on every line."""
    return {"name": service, "metadata": {"filter_metadata": {"meshmark": {"service": service, "policy": version}}}}


def _destination(service: str, route: Route) -> Resource:
    if not route.split:
        return {"cluster": application_name(service)}
    shares = [{"name": application_name(service, share.group), "weight": share.weight} for share in route.split]
    return {"weighted_clusters": {"clusters": shares}}


def _specificity(route: Route) -> tuple[bool, int, int, bool]:
    exact = route.match.kind is PathMatchKind.EXACT
    return (exact, len(route.match.path), len(route.headers), bool(route.methods))


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
