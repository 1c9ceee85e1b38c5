from __future__ import annotations

import json
import subprocess
import sys

import pytest

from conformance.model.errors import UsageError
from conformance.protobuf.messages import InvalidResource, message_class, pack, unpack

CLUSTER = "envoy.config.cluster.v3.Cluster"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HTTP2 = {"@type": f"type.googleapis.com/{OPTIONS}", "explicit_http_config": {"http2_protocol_options": {}}}
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n"

# One of each group that meshes are made of: the names are those of Envoy's API reference.
NEEDED = [
    "envoy.admin.v3.ConfigDump",
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.config.core.v3.TypedExtensionConfig",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.trace.v3.OpenTelemetryConfig",
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.filters.http.buffer.v3.Buffer",
    "envoy.extensions.filters.http.cors.v3.Cors",
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
    "envoy.extensions.filters.http.fault.v3.HTTPFault",
    "envoy.extensions.filters.http.header_to_metadata.v3.Config",
    "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.http.set_filter_state.v3.Config",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.filters.network.rbac.v3.RBAC",
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
    "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "envoy.service.accesslog.v3.StreamAccessLogsMessage",
    "envoy.service.auth.v3.CheckRequest",
    "envoy.service.ratelimit.v3.RateLimitRequest",
    "envoy.service.status.v3.ClientStatusResponse",
    "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
]


@pytest.mark.parametrize("name", NEEDED)
def test_the_message_is_known(name: str):
    assert message_class(name).DESCRIPTOR.full_name == name


def test_a_dict_comes_back_from_its_encoding():
    fields = {"name": "orders", "connect_timeout": "1.500s", "typed_extension_protocol_options": {OPTIONS: HTTP2}}
    assert unpack(pack(CLUSTER, fields)) == {"@type": f"type.googleapis.com/{CLUSTER}", **fields}


def test_both_spellings_of_a_field_and_both_names_of_a_type_are_the_same():
    assert pack(CLUSTER, {"connectTimeout": "1s"}) == pack(f"type.googleapis.com/{CLUSTER}", {"connect_timeout": "1s"})


def test_the_generated_modules_of_envoy_and_open_telemetry_stay_out_of_the_process():
    program = """
import sys
from conformance.protobuf.messages import pack
pack("opentelemetry.proto.trace.v1.Span", {"name": "a"})
print([name for name in sys.modules if name.split(".")[0] in ("envoy", "xds", "opentelemetry", "grpc")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_field_is_named_with_the_resource_and_the_place():
    with pytest.raises(InvalidResource) as caught:
        pack(CLUSTER, {"name": "a", "health_checks": [{"timeot": "1s"}]}, where="cluster a")
    assert isinstance(caught.value, UsageError)
    assert caught.value.where == "cluster a"
    assert '"timeot"' in caught.value.what
    assert "Cluster.health_checks[0]" in caught.value.what
    assert "Available Fields" not in caught.value.what


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"connect_timeout": "soon"}, "connect_timeout"),
        ({"type": "SOMETIMES"}, "SOMETIMES"),
        ({"name": 3}, "name"),
        ({"typed_extension_protocol_options": {"x": {**HTTP2, "explicit": {}}}}, '"explicit"'),
        ({"typed_extension_protocol_options": {"x": {"@type": "type.googleapis.com/no.Such"}}}, "no.Such"),
        ({"typed_extension_protocol_options": {"x": {"explicit_http_config": {}}}}, "@type"),
    ],
)
def test_a_wrong_value_is_refused_and_named(fields, named: str):
    with pytest.raises(InvalidResource) as caught:
        pack(CLUSTER, fields)
    assert named in caught.value.what


def test_an_unknown_type_is_refused():
    with pytest.raises(InvalidResource, match=r"no\.Such"):
        pack("no.Such", {})


@pytest.mark.parametrize(
    "fields",
    [
        {"tls_certificate": {"private_key": {"inline_string": [KEY]}}},
        {"tls_certificate": {"private_key": KEY}},
        {"tls_certificate": {"private_key": {"inline_bytes": {KEY: KEY}}}},
        {"tls_certificate": {"password": {"inline_string": "correct horse"}, "private_key": {"line": "correct horse"}}},
        {"generic_secret": {"secret": {"inline_string": {"correct horse": 1}}}},
        {"generic_secret": "correct horse"},
        {"session_ticket_keys": {"keys": ["correct horse"]}},
        {KEY: 1},
    ],
)
def test_no_error_quotes_what_a_secret_holds(fields):
    with pytest.raises(InvalidResource) as caught:
        pack(SECRET, {"name": "identity", **fields}, where="secret identity")
    said = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r} {json.dumps(caught.value.args)}"
    assert "MIGH" not in said
    assert "correct horse" not in said
    assert caught.value.__suppress_context__


def test_what_is_no_message_cannot_be_unpacked():
    with pytest.raises(InvalidResource):
        unpack(b"\xff\xff\xff")
