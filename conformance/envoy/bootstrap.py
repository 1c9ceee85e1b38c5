"""The bootstrap configuration of a security server: who it is and where its control plane is, nothing else.

Pure: no file is read or written. The result holds no key material (keys come by SDS, or are named by path) and is the
same for a process and for a container. Listeners and clusters come from the control plane by one aggregated stream
(ADS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

__all__ = ["XDS_CLUSTER", "ApiType", "MutualTlsAddress", "bootstrap"]

ApiType = Literal["GRPC", "DELTA_GRPC"]
"""State of the world, or only what changed (Envoy: `core.v3.ApiConfigSource.ApiType`)."""

XDS_CLUSTER = "xds_cluster"

# Back-off between two attempts to reach the control plane. Envoy's own (0.5 s growing to 30 s) would make every check
# of "the control plane comes back" wait for luck.
RECONNECT_BASE_S = 0.05
RECONNECT_MAX_S = 0.25

RUNTIME_VALUES: Mapping[str, Any] = {
    # Export each span at once instead of after five seconds.
    "tracing.opentelemetry.min_flush_spans": 1,
}


@dataclass(frozen=True)
class MutualTlsAddress:
    """A control plane reached by TCP, where both sides show certificates (TLS 1.3).

    Envoy reads the files itself. They must lie in the server's own folder, which is all that a container sees.
    """

    host: str
    """An IP address, or a name that is looked up, as that of a service in Kubernetes."""
    port: int
    server_name: str
    """The DNS name that the control plane's certificate must carry."""
    authority: Path
    certificate: Path
    key: Path
    others: tuple[tuple[str, int], ...] = ()
    """Hosts and ports of further control planes of the same server name; any of them will do."""

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """All hosts and ports."""
        return ((self.host, self.port), *self.others)


def bootstrap(
    *,
    node: str,
    cluster: str,
    xds: Path | MutualTlsAddress,
    admin_socket: Path,
    api_type: ApiType = "GRPC",
    metadata: Mapping[str, Any] | None = None,
    runtime_values: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the bootstrap, ready for JSON (Envoy: `config.bootstrap.v3.Bootstrap`).

    Args:
        node: the node id by which the control plane knows this security server.
        cluster: the node cluster, for instance the name of the mesh.
        xds: the control plane's unix socket, or its address by TCP.
        admin_socket: unix socket of the administration interface, which nobody but the runner may open.
        api_type: variant of the xDS protocol.
        metadata: node metadata handed to the control plane.
        runtime_values: further runtime values (`layered_runtime`).

    """
    return {
        "node": {"id": node, "cluster": cluster, **({"metadata": dict(metadata)} if metadata else {})},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "layered_runtime": {
            "layers": [{"name": "meshmark", "static_layer": {**RUNTIME_VALUES, **(runtime_values or {})}}],
        },
        "dynamic_resources": {
            "ads_config": _ads(api_type),
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [_xds_cluster(xds)]},
    }


def _ads(api_type: ApiType) -> dict[str, Any]:
    return {
        "api_type": api_type,
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [
            {
                "envoy_grpc": {
                    "cluster_name": XDS_CLUSTER,
                    "retry_policy": {
                        "retry_back_off": {
                            "base_interval": f"{RECONNECT_BASE_S}s",
                            "max_interval": f"{RECONNECT_MAX_S}s",
                        },
                    },
                },
            },
        ],
    }


def _xds_cluster(xds: Path | MutualTlsAddress) -> dict[str, Any]:
    discovery: dict[str, Any] = {"type": "STATIC"}
    if isinstance(xds, Path):
        addresses: list[dict[str, Any]] = [{"pipe": {"path": str(xds)}}]
    else:
        addresses = [{"socket_address": {"address": host, "port_value": port}} for host, port in xds.places]
        if not all(_is_ip_address(host) for host, _ in xds.places):
            # By default a name with any IPv6 address has no other, and control planes listen on IPv4.
            discovery = {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
    cluster: dict[str, Any] = {
        "name": XDS_CLUSTER,
        **discovery,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": XDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    # A control plane that hangs without closing its connection is noticed too.
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}},
                },
            },
        },
    }
    if isinstance(xds, MutualTlsAddress):
        cluster["transport_socket"] = _mutual_tls(xds)
    return cluster


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _mutual_tls(xds: MutualTlsAddress) -> dict[str, Any]:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": xds.server_name,
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "alpn_protocols": ["h2"],
                "tls_certificates": [
                    {
                        "certificate_chain": {"filename": str(xds.certificate)},
                        "private_key": {"filename": str(xds.key)},
                    },
                ],
                "validation_context": {
                    "trusted_ca": {"filename": str(xds.authority)},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": xds.server_name}},
                    ],
                },
            },
        },
    }
