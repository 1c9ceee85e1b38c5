"""Rate limits: refused with 429 and `x-envoy-ratelimited` before the building block sees the call.

Local ones are token buckets of the provider's security server, one for each limit, or for each limit and caller that a
rule names. They stand on the service, not on its routes: each place has buckets of its own. A new policy version fills
them again. Global ones are asked of the limit service, which learns the limit itself from the descriptor: entries
`service`, `path` (in words), `requests`, `per_s` and, for a limit per caller, `caller`. Without an answer of the limit
service, in the time that the authentication service has, too, the call is refused, or else to overload it would lift
the limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from conformance.controlplane.rendering.clusters import seconds
from conformance.controlplane.rendering.helpers import LIMIT_SERVICE
from conformance.controlplane.rendering.paths import header_pattern, words
from conformance.controlplane.rendering.rules import callers_of
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import PathMatch, RateLimit, ServicePolicy

__all__ = ["global_limit_filter", "global_limits", "local_limit_filter", "local_limits"]

EXTENSIONS = "type.googleapis.com/envoy.extensions."
LOCAL: Resource = {
    "@type": f"{EXTENSIONS}filters.http.local_ratelimit.v3.LocalRateLimit",
    "stat_prefix": "local_limits",
}
LOCAL_FILTER = "meshmark.local_limits"
DOMAIN = "meshmark"
ALWAYS: Resource = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
"""Said explicitly: by default the filter is there and does nothing."""
LIMITED: Resource = {
    "header": {"key": "x-envoy-ratelimited", "value": "true"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}
UNBOUNDED: Resource = {"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": "0.050s"}
CALLER: Resource = {
    "extension": {
        "name": "envoy.rate_limit_descriptors.expr",
        "typed_config": {
            "@type": f"{EXTENSIONS}rate_limit_descriptors.expr.v3.Descriptor",
            "descriptor_key": "caller",
            "text": "connection.uri_san_peer_certificate",
        },
    }
}


def local_limit_filter() -> Resource:
    """The filter; it does nothing where no service has limits."""
    return {"name": LOCAL_FILTER, "typed_config": LOCAL}


def local_limits(policy: ServicePolicy, below: str, surroundings: Surroundings) -> Resource:
    """The limits of a service that this security server keeps by itself, as configuration of the filter; or nothing."""
    kept = [limit for limit in policy.rate_limits if not _elsewhere(limit, surroundings)]
    if not kept:
        return {}
    callers = callers_of(policy, surroundings)
    return {
        LOCAL_FILTER: LOCAL
        | {
            "token_bucket": UNBOUNDED,
            "always_consume_default_token_bucket": False,
            "descriptors": [
                {"entries": entries, "token_bucket": _bucket(limit)}
                for number, limit in enumerate(kept)
                for entries in _entries(number, limit, callers)
            ],
            "rate_limits": [
                {"actions": [_named("limit", str(number), below, limit.match), *([CALLER] if limit.per_caller else ())]}
                for number, limit in enumerate(kept)
            ],
            "filter_enabled": ALWAYS,
            "filter_enforced": ALWAYS,
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "response_headers_to_add": [LIMITED],
        }
    }


def global_limit_filter(surroundings: Surroundings) -> list[Resource]:
    """The filter that asks the limit service about calls of services with such limits; none if there is no service."""
    if surroundings.limits is None:
        return []
    config = {
        "@type": f"{EXTENSIONS}filters.http.ratelimit.v3.RateLimit",
        "domain": DOMAIN,
        "failure_mode_deny": True,
        "status_on_error": {"code": "ServiceUnavailable"},
        "timeout": seconds(surroundings.mesh.authentication_timeout_s),
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": LIMIT_SERVICE}},
        },
    }
    return [{"name": "envoy.filters.http.ratelimit", "typed_config": config}]


def global_limits(policy: ServicePolicy, below: str, surroundings: Surroundings) -> list[Resource]:
    """What the limit service is asked about calls of a service."""
    return [
        {
            "actions": [
                _named("service", policy.service, below, None),
                _named("path", words("", limit.match), below, limit.match),
                _named("requests", str(limit.requests), below, None),
                _named("per_s", f"{limit.per_s:g}", below, None),
                *([CALLER] if limit.per_caller else ()),
            ]
        }
        for limit in policy.rate_limits
        if _elsewhere(limit, surroundings)
    ]


def _elsewhere(limit: RateLimit, surroundings: Surroundings) -> bool:
    return limit.everywhere and surroundings.limits is not None


def _named(key: str, value: str, below: str, match: PathMatch | None) -> Resource:
    """An entry that is there for calls of a path only; without it the whole descriptor is left out."""
    if match is None:
        return {"generic_key": {"descriptor_key": key, "descriptor_value": value}}
    path = {"name": ":path", "string_match": {"safe_regex": {"regex": header_pattern(below, match)}}}
    return {"header_value_match": {"descriptor_key": key, "descriptor_value": value, "headers": [path]}}


def _entries(number: int, limit: RateLimit, callers: tuple[str, ...]) -> Iterator[list[Resource]]:
    for key, caller in product([str(number)], callers if limit.per_caller else [None]):
        yield [{"key": "limit", "value": key}, *([{"key": "caller", "value": caller}] if caller else ())]


def _bucket(limit: RateLimit) -> Resource:
    return {
        "max_tokens": limit.requests,
        "tokens_per_fill": limit.requests,
        "fill_interval": seconds(limit.per_s),
    }
