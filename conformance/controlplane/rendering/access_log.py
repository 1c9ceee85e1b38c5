"""The access log: one JSON line for each call, and one for each connection when it ends.

Invariant: names of headers, never their values beyond ids; no query, no body.
"""

from __future__ import annotations

from conformance.controlplane.rendering.view import Resource, SecurityServerView

__all__ = ["CALL_FIELDS", "CONNECTION_FIELDS", "access_log"]

CALL_FIELDS = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "operation": "%REQ(:METHOD)% %PATH(NQ:ORIG_OR_PATH)%",
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
    "rule": "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)%",
    "authentication": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_identity": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_tls_version": "%UPSTREAM_TLS_VERSION%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "correlation_id": "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%",
    "trace": "%REQ(TRACEPARENT)%",
    "trace_id": "%TRACE_ID%",
    "nonce": "%REQ(X-MESHMARK-NONCE)%",
}
"""Who called what and how it ended."""

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
"""For a refused connection the line comes at once, and `failure` says why."""


def access_log(kind: str, view: SecurityServerView, fields: dict[str, str]) -> Resource:
    """Where and how lines of one kind are written."""
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(view.access_log),
            "log_format": {"json_format": {"kind": kind, "server": view.name} | fields},
        },
    }
