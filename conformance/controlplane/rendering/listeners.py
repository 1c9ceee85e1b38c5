"""The two listeners of a security server: one for peers, mutual TLS only; one for its own applications, on loopback."""

from __future__ import annotations

from conformance.controlplane.rendering.clusters import ADS
from conformance.controlplane.rendering.routes import SCHEMES, Listener
from conformance.controlplane.rendering.rules import deny_everybody
from conformance.controlplane.rendering.view import ListenAddress, Resource, SecurityServerView

__all__ = ["inbound_listener", "outbound_listener"]

TYPE = "type.googleapis.com/"
ROUTER: Resource = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{TYPE}envoy.extensions.filters.http.router.v3.Router"},
}

CALL_FIELDS = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "protocol": "%PROTOCOL%",
    "caller": "%DOWNSTREAM_PEER_URI_SAN%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "peer_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "connection": "%CONNECTION_ID%",
    "service": "%METADATA(ROUTE:meshmark:service)%",
    "policy": "%METADATA(ROUTE:meshmark:policy)%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_identity": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_tls_version": "%UPSTREAM_TLS_VERSION%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace": "%REQ(TRACEPARENT)%",
    "nonce": "%REQ(X-MESHMARK-NONCE)%",
}
"""One line for each call. Names of headers, never their values beyond ids; no query, no body."""

CONNECTION_FIELDS = {
    "time": "%START_TIME%",
    "peer_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "caller": "%DOWNSTREAM_PEER_URI_SAN%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "tls_cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "connection": "%CONNECTION_ID%",
}
"""One line for each connection when it ends; for a refused one that is at once, and `failure` says why."""


def inbound_listener(view: SecurityServerView) -> Resource:
    """For peers. Only members of the mesh, with good certificates, get through the handshake (TLS 1.3, RFC 8446)."""
    listener = _listener(
        "inbound", view.inbound_address, _connection_manager("inbound", view, [_access_filter(), ROUTER])
    )
    listener["filter_chains"][0]["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": True,
            # A ticket would let a revoked certificate live on.
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificate_sds_secret_configs": [{"name": "identity", "sds_config": ADS}],
                "validation_context_sds_secret_config": {"name": "callers", "sds_config": ADS},
            },
        },
    }
    listener["access_log"] = [_access_log("connection", view, CONNECTION_FIELDS)]
    return listener


def outbound_listener(view: SecurityServerView) -> Resource:
    """For the applications beside this security server: plain HTTP that never leaves the machine."""
    return _listener("outbound", view.outbound_address, _connection_manager("outbound", view, [ROUTER]))


def _listener(name: str, address: ListenAddress, connection_manager: Resource) -> Resource:
    return {
        "name": name,
        "stat_prefix": name,
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        # With SO_REUSEPORT a second process could take half of the connections unseen.
        "enable_reuse_port": False,
        "filter_chains": [{"name": name, "filters": [connection_manager]}],
    }


def _connection_manager(name: Listener, view: SecurityServerView, filters: list[Resource]) -> Resource:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "codec_type": "AUTO",
            "scoped_routes": {
                "name": name,
                "scope_key_builder": {
                    "fragments": [
                        {"header_value_extractor": {"name": ":scheme", "index": 0}},
                        {"header_value_extractor": {"name": ":path", "element_separator": "/", "index": 1}},
                    ]
                },
                "rds_config_source": ADS,
                "scoped_rds": {"scoped_rds_config_source": ADS},
            },
            "scheme_header_transformation": {"scheme_to_overwrite": SCHEMES[name]},
            "http_filters": filters,
            "access_log": [_access_log(name, view, CALL_FIELDS)],
            # What rules compare must be what the building block will see.
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            # A certificate header from outside is a forgery; the building block gets the identity that was proven.
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details": {"uri": True},
            # Nobody outside steers retries or timeouts by x-envoy-* headers, so no address counts as internal.
            "use_remote_address": True,
            "skip_xff_append": True,
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "192.0.2.0", "prefix_len": 32}]},
            "preserve_external_request_id": True,
            "always_set_request_id_in_response": True,
            "server_header_transformation": "PASS_THROUGH",
            "delayed_close_timeout": "1s",
        },
    }


def _access_filter() -> Resource:
    return {"name": "envoy.filters.http.rbac", "typed_config": deny_everybody()}


def _access_log(kind: str, view: SecurityServerView, fields: dict[str, str]) -> Resource:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(view.access_log),
            "log_format": {"json_format": {"kind": kind, "server": view.name} | fields},
        },
    }
