"""The listeners of a security server: one for peers and, at a gateway, one for other trust domains, mutual TLS only;
one for its own applications, on loopback.

Invariants: access rules are the first filter and the router the last; the filters of limits and faults are always
there, so that a policy that needs them changes a route and no listener.
"""

from __future__ import annotations

from conformance.controlplane.rendering.access_log import CALL_FIELDS, CONNECTION_FIELDS, access_log
from conformance.controlplane.rendering.authentication import authentication_filter
from conformance.controlplane.rendering.injected_faults import fault_filter
from conformance.controlplane.rendering.limits import global_limit_filter, local_limit_filter
from conformance.controlplane.rendering.routes import RULES, SCHEMES, Listener
from conformance.controlplane.rendering.rules import deny_everybody
from conformance.controlplane.rendering.tls import ADS, inbound_tls
from conformance.controlplane.rendering.tracing import correlation_filter, tracing
from conformance.controlplane.rendering.view import ListenAddress, Resource, SecurityServerView

__all__ = ["border_listener", "inbound_listener", "outbound_listener"]

TYPE = "type.googleapis.com/"
ROUTER: Resource = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{TYPE}envoy.extensions.filters.http.router.v3.Router"},
}


def inbound_listener(view: SecurityServerView) -> Resource:
    """For peers. Only members of the mesh, with good certificates, get through the handshake (TLS 1.3, RFC 8446)."""
    filters = [
        _access_filter(),
        correlation_filter(),
        *authentication_filter(view.surroundings),
        local_limit_filter(),
        *global_limit_filter(view.surroundings),
        fault_filter(),
    ]
    return _for_peers("inbound", view, view.inbound_address, filters, trusted="callers")


def border_listener(view: SecurityServerView, address: ListenAddress) -> Resource:
    """For callers of other trust domains, at an external gateway."""
    filters = [_access_filter(), correlation_filter(), *authentication_filter(view.surroundings)]
    return _for_peers("border", view, address, filters, trusted="foreigners")


def outbound_listener(view: SecurityServerView) -> Resource:
    """For the applications beside this security server: plain HTTP that never leaves the machine."""
    filters = [correlation_filter(), *authentication_filter(view.surroundings)]
    return _listener("outbound", view.outbound_address, _connection_manager("outbound", view, filters))


def _for_peers(
    name: Listener, view: SecurityServerView, address: ListenAddress, filters: list[Resource], *, trusted: str
) -> Resource:
    listener = _listener(name, address, _connection_manager(name, view, filters))
    chain = listener["filter_chains"][0]
    chain["transport_socket"] = inbound_tls(trusted, view.surroundings.mesh.minimum_tls)
    if view.revoked:
        # A changed filter chain is a new one to Envoy: connections of the old one are drained and closed.
        chain["metadata"] = {"filter_metadata": {"meshmark": {"revoked": view.revoked}}}
    listener["access_log"] = [access_log("connection", view, CONNECTION_FIELDS)]
    return listener


def _listener(name: Listener, address: ListenAddress, connection_manager: Resource) -> Resource:
    return {
        "name": name,
        "stat_prefix": name,
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        # Says whether a span is that of a client or of a server.
        "traffic_direction": "OUTBOUND" if name == "outbound" else "INBOUND",
        # With SO_REUSEPORT a second process could take half of the connections unseen.
        "enable_reuse_port": False,
        "filter_chains": [{"name": name, "filters": [connection_manager]}],
    }


def _connection_manager(name: Listener, view: SecurityServerView, filters: list[Resource]) -> Resource:
    scheme = {"header_value_extractor": {"name": ":scheme", "index": 0}}
    service = {"header_value_extractor": {"name": ":path", "element_separator": "/", "index": 1}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "codec_type": "AUTO",
            "scoped_routes": {
                "name": name,
                "scope_key_builder": {"fragments": [*(scheme for _ in SCHEMES[name]), service]},
                "rds_config_source": ADS,
                "scoped_rds": {"scoped_rds_config_source": ADS},
            },
            "scheme_header_transformation": {"scheme_to_overwrite": SCHEMES[name][0]},
            "http_filters": [*filters, ROUTER],
            "access_log": [access_log(name, view, CALL_FIELDS)],
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
        }
        | tracing(view.surroundings),
    }


def _access_filter() -> Resource:
    return {"name": RULES, "typed_config": deny_everybody()}
