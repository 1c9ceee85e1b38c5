"""TLS: mutual between security servers, ordinary HTTPS to building blocks that speak it. Certificates come by SDS."""

from __future__ import annotations

from typing import Final

from conformance.controlplane.rendering.endpoints import is_ip_address
from conformance.controlplane.rendering.view import Resource

__all__ = ["ADS", "helper_tls", "https", "inbound_tls", "peer_tls"]

ADS: Resource = {"ads": {}, "resource_api_version": "V3"}
TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
VERSIONS: Final = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}


def inbound_tls(trusted: str, minimum: str) -> Resource:
    """A listener's side: peers need a certificate that the secret `trusted` accepts."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPE}DownstreamTlsContext",
            "require_client_certificate": True,
            # A ticket would let a revoked certificate live on.
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": {
                "tls_params": _versions(minimum),
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificate_sds_secret_configs": [{"name": "identity", "sds_config": ADS}],
                "validation_context_sds_secret_config": {"name": trusted, "sds_config": ADS},
            },
        },
    }


def peer_tls(server_name: str, identity: str, minimum: str) -> Resource:
    """A caller's side: the peer must prove exactly this identity."""
    return _upstream(server_name, _ours(minimum) | _trusted("trust", "URI", identity))


def helper_tls(name: str, minimum: str) -> Resource:
    """To somebody who helps security servers: a certificate of the mesh must bear the name or the address."""
    by_address = is_ip_address(name)
    # An address is no server name (RFC 6066, section 3).
    return _upstream(
        "" if by_address else name, _ours(minimum) | _trusted("trust", "IP_ADDRESS" if by_address else "DNS", name)
    )


def https(server_name: str) -> Resource:
    """To a building block under its public name, vouched for by the roots that everybody trusts."""
    return _upstream(server_name, _trusted("public", "DNS", server_name))


def _ours(minimum: str) -> Resource:
    return {
        "tls_params": _versions(minimum),
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [{"name": "identity", "sds_config": ADS}],
    }


def _upstream(server_name: str, context: Resource) -> Resource:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPE}UpstreamTlsContext",
            **({"sni": server_name} if server_name else {}),
            "common_tls_context": context,
        },
    }


def _trusted(secret: str, kind: str, name: str) -> Resource:
    return {
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}]
            },
            "validation_context_sds_secret_config": {"name": secret, "sds_config": ADS},
        }
    }


def _versions(minimum: str) -> Resource:
    return {"tls_minimum_protocol_version": VERSIONS[minimum], "tls_maximum_protocol_version": "TLSv1_3"}
