from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.envoy.runtime import SecurityServerSpec
from conformance.pki import Credential, TrustDomain

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@dataclass(frozen=True)
class SelfSufficientSpec(SecurityServerSpec):
    """A real security server that needs no control plane: its only listener, `inbound`, answers "hello" and logs."""

    port: int = 0

    def lay_out(self) -> None:
        super().lay_out()
        rendered = json.loads(self.bootstrap_file.read_text())
        del rendered["dynamic_resources"]
        rendered["static_resources"]["listeners"] = [listener(self.port, self.access_log)]
        self.bootstrap_file.write_text(json.dumps(rendered))


def listener(port: int, access_log: Path) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
    log = {"path": str(access_log), "log_format": {"text_format_source": {"inline_string": "%RESPONSE_CODE%\n"}}}
    manager = {
        "@type": HTTP,
        "stat_prefix": "inbound",
        "access_log": [{"name": "file", "typed_config": {"@type": FILE_LOG, **log}}],
        "route_config": {"name": "hello", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "name": "inbound",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


@dataclass(frozen=True)
class GuardingSpec(SecurityServerSpec):
    """A real security server that needs no control plane: `inbound` lets known callers through to an application."""

    address: str = "127.0.0.1"
    credential: Credential | None = None
    validation: Mapping[str, Any] = field(default_factory=dict)
    """Whom to trust (Envoy: `CertificateValidationContext`)."""
    application: tuple[str, int] = ("127.0.0.1", 0)

    def lay_out(self) -> None:
        super().lay_out()
        rendered = json.loads(self.bootstrap_file.read_text())
        del rendered["dynamic_resources"]
        host, port = self.application
        endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        load_assignment = {"cluster_name": "application", "endpoints": [{"lb_endpoints": [endpoint]}]}
        rendered["static_resources"] = {
            "listeners": [self._listener()],
            "clusters": [{"name": "application", "connect_timeout": "1s", "load_assignment": load_assignment}],
        }
        self.bootstrap_file.write_text(json.dumps(rendered))

    def _listener(self) -> dict[str, Any]:
        found = listener(0, self.access_log)
        found["address"]["socket_address"]["address"] = self.address
        [chain] = found["filter_chains"]
        [manager] = [each["typed_config"] for each in chain["filters"]]
        route = {"match": {"prefix": "/"}, "route": {"cluster": "application"}}
        manager["route_config"]["virtual_hosts"][0]["routes"] = [route]
        certificate = {
            "certificate_chain": {"inline_string": self.credential.certificate_chain_pem.decode()},
            "private_key": {"inline_string": self.credential.private_key_pem.decode()},
        }
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": True,
                "common_tls_context": {
                    "tls_certificates": [certificate],
                    "validation_context": dict(self.validation),
                },
            },
        }
        return found


def trusting(trust_domain: TrustDomain) -> dict[str, Any]:
    """Everybody whom this trust domain vouches for."""
    return {"trusted_ca": {"inline_string": trust_domain.bundle_pem.decode()}}
