"""Upstreams: the building block behind a security server, and the peers in front of others."""

from __future__ import annotations

from conformance.controlplane.rendering.view import OutboundService, Resource
from conformance.model.policy import Endpoint, OutlierDetection, ServicePolicy

__all__ = ["ADS", "application_cluster", "endpoints_of", "peer_cluster", "seconds"]

ADS: Resource = {"ads": {}, "resource_api_version": "V3"}
CONNECT_TIMEOUT_S = 5.0
UNUSED_CONNECTION_S = 1.0
"""Shorter than application servers keep one, so that none is closed at one end while a call is sent at the other."""


def seconds(value: float) -> str:
    """A protobuf duration in JSON form."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def application_cluster(policy: ServicePolicy) -> Resource:
    """The building block itself: HTTP/1.1 on loopback, bounded by its circuit breaker."""
    breaker = policy.circuit_breaker
    cluster = _cluster(f"application-{policy.service}") | {
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
        "typed_extension_protocol_options": _protocol("http_protocol_options", idle_timeout=UNUSED_CONNECTION_S),
    }
    if policy.outlier_detection:
        cluster["outlier_detection"] = _outlier_detection(policy.outlier_detection)
    if name := next((endpoint.server_name for endpoint in policy.endpoints), ""):
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": name,
                "common_tls_context": {
                    "validation_context": {
                        "system_root_certs": {},
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": name}}],
                    }
                },
            },
        }
    return cluster


def peer_cluster(service: OutboundService) -> Resource:
    """The provider's security server: HTTP/2 over mutual TLS 1.3, accepted under one exact identity only."""
    return _cluster(f"peer-{service.policy.service}") | {
        # Retries are bounded by a budget instead of the fixed default of three at once.
        "circuit_breakers": {
            "thresholds": [{"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 10}}]
        },
        "typed_extension_protocol_options": _protocol("http2_protocol_options"),
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": f"{service.policy.service}.mesh.test",
                "common_tls_context": {
                    "tls_params": {
                        "tls_minimum_protocol_version": "TLSv1_3",
                        "tls_maximum_protocol_version": "TLSv1_3",
                    },
                    "alpn_protocols": ["h2"],
                    "tls_certificate_sds_secret_configs": [{"name": "identity", "sds_config": ADS}],
                    "combined_validation_context": {
                        "default_validation_context": {
                            "match_typed_subject_alt_names": [
                                {"san_type": "URI", "matcher": {"exact": service.identity}}
                            ]
                        },
                        "validation_context_sds_secret_config": {"name": "trust", "sds_config": ADS},
                    },
                },
            },
        },
    }


def endpoints_of(cluster: str, endpoints: tuple[Endpoint, ...]) -> Resource:
    """Where a cluster's hosts listen."""
    return {
        "cluster_name": cluster,
        "endpoints": [
            {
                "lb_endpoints": [
                    {
                        "endpoint": {
                            "address": {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
                        }
                    }
                    for endpoint in endpoints
                ]
            }
        ],
    }


def _cluster(name: str) -> Resource:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        # Health and membership changes act at once: by default they are merged for a second.
        "common_lb_config": {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}},
    }


def _protocol(options: str, *, idle_timeout: float | None = None) -> Resource:
    protocol: Resource = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {options: {}},
    }
    if idle_timeout is not None:
        protocol["common_http_protocol_options"] = {"idle_timeout": seconds(idle_timeout)}
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}


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
