"""Spans (OpenTelemetry, W3C Trace Context) and the correlation id of a call.

Invariants: the trace id of a caller is kept, and so is its sampling decision; a correlation id of a caller is kept, and
one is made at the first security server if there is none; both stand in the access log. No span holds a path or a
query; of headers it holds ids, and the user agent, which Envoy always adds.
"""

from __future__ import annotations

from conformance.controlplane.rendering.helpers import TRACE_COLLECTOR
from conformance.controlplane.rendering.view import Resource, Surroundings

__all__ = ["CORRELATION_ID", "correlation_filter", "span_name", "tracing"]

TYPE = "type.googleapis.com/envoy."
CORRELATION_ID = "x-correlation-id"
EXPORT_TIMEOUT = "1s"


def correlation_filter() -> Resource:
    """Makes the correlation id if there is none, and gives it back in the answer, also if the call is refused.

    It is made from the request id, which Envoy makes before any filter runs and keeps if the caller has one. What a
    building block answers under this name stays: it may have had reasons not to trust its caller's.
    """
    asked = {"key": CORRELATION_ID, "value": "%REQ(X-REQUEST-ID)%"}
    answered = {"key": CORRELATION_ID, "value": "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%"}
    return {
        "name": "meshmark.correlation",
        "typed_config": {
            "@type": f"{TYPE}extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [{"append": {"header": asked, "append_action": "ADD_IF_ABSENT"}}],
                "response_mutations": [{"append": {"header": answered, "append_action": "ADD_IF_ABSENT"}}],
            },
        },
    }


def tracing(surroundings: Surroundings) -> Resource:
    """What makes an HTTP connection manager trace, if anybody collects spans."""
    if surroundings.tracing is None:
        return {}
    return {
        "tracing": {
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": {
                    "@type": f"{TYPE}config.trace.v3.OpenTelemetryConfig",
                    "service_name": surroundings.server,
                    "http_service": {
                        "http_uri": {
                            "uri": "http://trace-collector/v1/traces",
                            "cluster": TRACE_COLLECTOR,
                            "timeout": EXPORT_TIMEOUT,
                        }
                    },
                    "sampler": _sampler(surroundings.mesh.tracing_percent),
                },
            },
            # The tag `http.url` would quote the query.
            "max_path_tag_length": 0,
            "custom_tags": [
                {"tag": "correlation_id", "request_header": {"name": CORRELATION_ID}},
                {"tag": "meshmark.service", "metadata": _of_the_route("service")},
                {"tag": "meshmark.policy", "metadata": _of_the_route("policy")},
            ],
        },
        # By default Envoy writes a sampling decision of its own into the caller's request id.
        "request_id_extension": {
            "typed_config": {
                "@type": f"{TYPE}extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
            }
        },
    }


def span_name(path: str, surroundings: Surroundings) -> Resource:
    """The name of spans on a route; one for all calls of it, whatever they ask for."""
    return {"decorator": {"operation": path, "propagate": False}} if surroundings.tracing else {}


def _sampler(percent: float) -> Resource:
    """A caller's decision counts; without a sampler Envoy would decide anew at each security server."""
    samplers = f"{TYPE}extensions.tracers.opentelemetry.samplers.v3."
    share = {"numerator": round(percent * 10_000), "denominator": "MILLION"}
    return {
        "name": "envoy.tracers.opentelemetry.samplers.parent_based",
        "typed_config": {
            "@type": f"{samplers}ParentBasedSamplerConfig",
            "wrapped_sampler": {
                "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
                "typed_config": {
                    "@type": f"{samplers}TraceIdRatioBasedSamplerConfig",
                    "sampling_percentage": share,
                },
            },
        },
    }


def _of_the_route(key: str) -> Resource:
    return {"kind": {"route": {}}, "metadata_key": {"key": "meshmark", "path": [{"key": key}]}}
