from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
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
    next_hop: str = ""
    """The identity of the security server that is called instead of an application, by mutual TLS."""
    next_hop_trust: Mapping[str, Any] = field(default_factory=dict)

    def lay_out(self) -> None:
        super().lay_out()
        rendered = json.loads(self.bootstrap_file.read_text())
        del rendered["dynamic_resources"]
        host, port = self.application
        endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        load_assignment = {"cluster_name": "application", "endpoints": [{"lb_endpoints": [endpoint]}]}
        cluster = {"name": "application", "connect_timeout": "1s", "load_assignment": load_assignment}
        if self.next_hop:
            names = [{"san_type": "URI", "matcher": {"exact": self.next_hop}}]
            validation = {**self.next_hop_trust, "match_typed_subject_alt_names": names}
            cluster["transport_socket"] = self._tls("UpstreamTlsContext", validation)
        rendered["static_resources"] = {"listeners": [self._listener()], "clusters": [cluster]}
        self.bootstrap_file.write_text(json.dumps(rendered))

    def _listener(self) -> dict[str, Any]:
        found = listener(0, self.access_log)
        found["address"]["socket_address"]["address"] = self.address
        [chain] = found["filter_chains"]
        [manager] = [each["typed_config"] for each in chain["filters"]]
        route = {"match": {"prefix": "/"}, "route": {"cluster": "application"}}
        manager["route_config"]["virtual_hosts"][0]["routes"] = [route]
        chain["transport_socket"] = self._tls("DownstreamTlsContext", self.validation, require_client_certificate=True)
        return found

    def _tls(self, kind: str, validation: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
        certificate = {
            "certificate_chain": {"inline_string": self.credential.certificate_chain_pem.decode()},
            "private_key": {"inline_string": self.credential.private_key_pem.decode()},
        }
        common = {"tls_certificates": [certificate], "validation_context": dict(validation)}
        return {
            "name": "tls",
            "typed_config": {
                "@type": f"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{kind}",
                "common_tls_context": common,
                **settings,
            },
        }


def federation(named: Sequence[str], *domains: TrustDomain) -> dict[str, Any]:
    """Exactly these identities, with the roots of each trust domain apart."""
    bundles = [
        {"name": each.name, "trust_bundle": {"inline_bytes": base64.b64encode(each.bundle_pem).decode()}}
        for each in domains
    ]
    return {
        "custom_validator_config": {
            "name": "envoy.tls.cert_validator.spiffe",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
                "trust_domains": bundles,
            },
        },
        "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": each}} for each in named],
    }


def trusting(trust_domain: TrustDomain) -> dict[str, Any]:
    """Everybody whom this trust domain vouches for."""
    return {"trusted_ca": {"inline_string": trust_domain.bundle_pem.decode()}}
