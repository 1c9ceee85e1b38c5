"""Upstreams: the building block behind a security server, and the peers in front of others.

A building block is one cluster for each group of its endpoints: `application-{service}` serves everything that no split
sends elsewhere, `application-{service}--{group}` a share. Each has the limits of the circuit breaker for itself.
"""

from __future__ import annotations

from typing import Final

from conformance.controlplane.rendering.endpoints import BY_NAME, endpoints_of, is_ip_address
from conformance.controlplane.rendering.tls import ADS, https, peer_tls
from conformance.controlplane.rendering.view import OutboundService, Resource
from conformance.model.policies import MeshPolicy
from conformance.model.policy import Endpoint, HealthCheck, LoadBalancing, OutlierDetection, RetryPolicy, ServicePolicy

__all__ = [
    "CONNECT_TIMEOUT_S",
    "application_cluster",
    "application_name",
    "found_by_address",
    "groups_of",
    "http_protocol",
    "in_group",
    "peer_cluster",
    "seconds",
]

CONNECT_TIMEOUT_S = 5.0
UNUSED_CONNECTION_S = 1.0
"""Shorter than application servers keep one, so that none is closed at one end while a call is sent at the other."""
BALANCING: Final = {
    LoadBalancing.ROUND_ROBIN: "ROUND_ROBIN",
    LoadBalancing.LEAST_REQUEST: "LEAST_REQUEST",
    LoadBalancing.RANDOM: "RANDOM",
}


def seconds(value: float) -> str:
    """A protobuf duration in JSON form."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def application_name(service: str, group: str = "") -> str:
    """The cluster of a building block's group of endpoints."""
    return f"application-{service}--{group}" if group else f"application-{service}"


def groups_of(policy: ServicePolicy) -> tuple[str, ...]:
    """The groups that have endpoints or a share of the calls, and always the one without a name, which comes first."""
    named = {endpoint.group for endpoint in policy.endpoints}
    shares = {share.group for route in policy.routes for share in route.split}
    return tuple(sorted({"", *named, *shares}))


def in_group(policy: ServicePolicy, group: str) -> tuple[Endpoint, ...]:
    """The endpoints of a group."""
    return tuple(endpoint for endpoint in policy.endpoints if endpoint.group == group)


def application_cluster(policy: ServicePolicy, group: str = "") -> Resource:
    """The building block itself: HTTP/1.1 on loopback, bounded by its circuit breaker."""
    breaker = policy.circuit_breaker
    cluster = _cluster(application_name(policy.service, group)) | {
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": breaker.connections,
                    "max_pending_requests": breaker.pending_requests,
                    "max_requests": breaker.requests,
                    "track_remaining": True,
                }
            ]
        },
        "typed_extension_protocol_options": http_protocol("http_protocol_options", idle_timeout=UNUSED_CONNECTION_S),
    }
    if policy.load_balancing is not LoadBalancing.ROUND_ROBIN:
        cluster["lb_policy"] = BALANCING[policy.load_balancing]
    if policy.outlier_detection:
        cluster["outlier_detection"] = _outlier_detection(policy.outlier_detection)
    if policy.health_check:
        cluster["health_checks"] = [_health_check(policy.health_check, policy.base_path)]
        # By default an endpoint that was taken away is called for as long as it is well.
        cluster["ignore_health_on_host_removal"] = True
    if name := next((endpoint.server_name for endpoint in in_group(policy, group)), ""):
        cluster["transport_socket"] = https(name)
    return cluster


def peer_cluster(service: OutboundService, mesh: MeshPolicy) -> Resource:
    """The provider's security server: HTTP/2 over mutual TLS, accepted under one exact identity only.

    Peers that are known by name come with the cluster, because endpoints that come by EDS have to be addresses.
    """
    name = f"peer-{service.policy.service}"
    retry = service.policy.retry or RetryPolicy()
    budget = {"budget_percent": {"value": retry.budget_percent}, "min_retry_concurrency": retry.budget_at_least}
    cluster = _cluster(name) | {
        # Retries are bounded by a budget instead of Envoy's fixed default of three at once.
        "circuit_breakers": {"thresholds": [{"retry_budget": budget}]},
        "typed_extension_protocol_options": http_protocol("http2_protocol_options"),
        "transport_socket": peer_tls(f"{service.policy.service}.mesh.test", service.identity, mesh.minimum_tls),
    }
    if not found_by_address(service):
        del cluster["eds_cluster_config"]
        cluster |= BY_NAME | {"load_assignment": endpoints_of(name, service.peers)}
    return cluster


def found_by_address(service: OutboundService) -> bool:
    """Whether a service's peers are addresses, so that they come by EDS."""
    return all(is_ip_address(peer.host) for peer in service.peers)


def http_protocol(options: str, *, idle_timeout: float | None = None) -> Resource:
    """Which HTTP is spoken to a cluster."""
    protocol: Resource = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {options: {}},
    }
    if idle_timeout is not None:
        protocol["common_http_protocol_options"] = {"idle_timeout": seconds(idle_timeout)}
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}


def _cluster(name: str) -> Resource:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        # Health and membership changes act at once: by default they are merged for a second.
        "common_lb_config": {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}},
    }


def _health_check(health: HealthCheck, base_path: str) -> Resource:
    interval = seconds(health.interval_s)
    return {
        "timeout": seconds(health.timeout_s),
        "interval": interval,
        # By default endpoints without traffic are asked once a minute.
        "no_traffic_interval": interval,
        "unhealthy_threshold": health.unhealthy_after,
        "healthy_threshold": health.healthy_after,
        "http_health_check": {
            "path": base_path + health.path,
            # Without ranges one answer of 503 would count as `unhealthy_threshold` of them.
            "expected_statuses": [{"start": 200, "end": 300}],
            "retriable_statuses": [{"start": 300, "end": 600}],
        },
    }


def _outlier_detection(outliers: OutlierDetection) -> Resource:
    return {
        "consecutive_5xx": outliers.consecutive_failures,
        "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": outliers.consecutive_failures,
        "enforcing_consecutive_gateway_failure": 0,
        # Chance must not decide about a building block: only failures in a row do.
        "enforcing_success_rate": 0,
        "interval": seconds(outliers.interval_s),
        "base_ejection_time": seconds(outliers.base_ejection_s),
        "max_ejection_time": seconds(max(outliers.base_ejection_s, 300.0)),
        "max_ejection_time_jitter": "0s",
        "max_ejection_percent": outliers.most_ejected_percent,
        "always_eject_one_host": False,
    }
