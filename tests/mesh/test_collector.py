"""The span collector, fed by a client of the protocol and by real Envoys."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from conformance.envoy.binary import installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServerSpec
from conformance.mesh import TRACES_PATH, SpanCollector, Witness, chain, contains_any
from conformance.mesh.collector import LARGEST_REQUEST
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import Endpoint
from conformance.protobuf.messages import parse
from conformance.system.guard import Guard

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TRACER = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"
SAMPLERS = "type.googleapis.com/envoy.extensions.tracers.opentelemetry.samplers.v3"
REQUEST = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
PROTOBUF = {"content-type": "application/x-protobuf"}
CALLER_SPAN = "00f067aa0ba902b7"


@pytest.fixture
async def collector() -> AsyncIterator[SpanCollector]:
    async with SpanCollector() as opened:
        yield opened


def client_of(collector: SpanCollector) -> httpx.AsyncClient:
    url = f"http://127.0.0.1:{collector.endpoint.port}"
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=20, headers=PROTOBUF)


def encoded(trace_id: str, *names: str, **fields: Any) -> bytes:
    # Protobuf's JSON form of bytes is Base64; OTLP's hexadecimal form is its own.
    spans = [
        {"name": name, "trace_id": base64_of(trace_id), "span_id": base64_of(secrets.token_hex(8)), **fields}
        for name in names
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"string_value": "orders"}}]}
    message = parse(
        REQUEST, {"resource_spans": [{"resource": resource, "instrumentation_library_spans": [{"spans": spans}]}]}
    )
    return message.SerializeToString()


def base64_of(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def new_trace() -> str:
    return secrets.token_hex(16)


async def test_a_span_is_held_with_all_that_it_says(collector):
    trace = new_trace()
    attributes = [
        {"key": "a", "value": {"string_value": "x"}},
        {"key": "b", "value": {"array_value": {"values": [{"int_value": "1"}, {"bool_value": True}, {}]}}},
        {"key": "c", "value": {"kvlist_value": {"values": [{"key": "d", "value": {"double_value": 0.5}}]}}},
        {"key": "e", "value": {"bytes_value": base64_of("00ff")}},
    ]
    body = encoded(
        trace,
        "ingress",
        kind="SPAN_KIND_CLIENT",
        parent_span_id=base64_of(CALLER_SPAN),
        start_time_unix_nano="1",
        end_time_unix_nano="18446744073709551615",
        status={"code": "STATUS_CODE_ERROR", "message": "broken"},
        attributes=attributes,
        events=[{"name": "exception", "attributes": [{"key": "type", "value": {"string_value": "E"}}]}],
    )
    async with client_of(collector) as client:
        answer = await client.post(TRACES_PATH, content=body)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF["content-type"])
    (span,) = collector.spans(trace)
    assert (span.service, span.name, span.kind, span.parent_id) == ("orders", "ingress", "client", CALLER_SPAN)
    assert (span.status, span.status_message, span.start_ns, span.end_ns) == ("error", "broken", 1, 2**64 - 1)
    assert span.events == (("exception", {"type": "E"}),)
    assert span.attributes == {"a": "x", "b": [1, True, None], "c": {"d": 0.5}, "e": b"\x00\xff"}


async def test_waiting_ends_with_the_span_that_was_waited_for(collector):
    trace = new_trace()
    waiting = asyncio.create_task(
        collector.spans_of(trace, lambda spans: len(spans) >= 3, what="three spans", timeout=20)
    )
    async with client_of(collector) as client:
        for content in (encoded(trace, "one"), encoded(new_trace(), "other"), encoded(trace, "two")):
            await client.post(TRACES_PATH, content=content)
        assert not waiting.done()
        await client.post(TRACES_PATH, content=encoded(trace, "three"))
    assert [span.name for span in await waiting] == ["one", "two", "three"]
    assert len(collector.trace_ids()) == 2
    collector.forget()
    assert collector.trace_ids() == ()


async def test_a_span_that_does_not_come_is_an_error_that_tells_what_came(collector):
    trace = new_trace()
    async with client_of(collector) as client:
        await client.post(TRACES_PATH, content=encoded(trace, "egress"))
    with pytest.raises(DeadlineExceeded) as caught:
        await collector.spans_of(trace, lambda spans: len(spans) > 1, what="two spans", timeout=0)
    assert caught.value.where == f"trace {trace}"
    assert "orders 'egress'" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", TRACES_PATH, PROTOBUF, b"\xff\xff", 400),
        ("POST", TRACES_PATH, {"content-type": "application/json"}, b"{}", 415),
        ("POST", TRACES_PATH, PROTOBUF | {"content-encoding": "gzip"}, b"", 415),
        ("POST", "/v1/metrics", PROTOBUF, b"", 404),
        ("GET", TRACES_PATH, PROTOBUF, b"", 405),
        ("POST", TRACES_PATH, PROTOBUF, b"", 200),
    ],
)
async def test_what_is_no_export_of_spans_is_refused(collector, method, path, headers, body, status):
    async with client_of(collector) as client:
        for _ in range(2):
            assert (await client.request(method, path, headers=headers, content=body)).status_code == status
    assert collector.trace_ids() == ()


@pytest.mark.parametrize("nonsense", [b"\x00\xff\r\n\r\n", b"", b"POST /v1/traces HTTP/1.1\r\nHost: a"])
async def test_nonsense_ends_its_connection_only(collector, nonsense):
    reader, writer = await asyncio.open_connection("127.0.0.1", collector.endpoint.port)
    writer.write(nonsense)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    async with client_of(collector) as client:
        assert (await client.post(TRACES_PATH, content=encoded(new_trace(), "a"))).status_code == 200


async def test_a_body_without_end_is_not_read(collector):
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\0" * (LARGEST_REQUEST // 16)

    async with client_of(collector) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(TRACES_PATH, content=endless())
        assert (await client.post(TRACES_PATH, content=encoded(new_trace(), "a"))).status_code == 200


async def test_when_memory_is_full_the_oldest_traces_are_forgotten_and_counted():
    body = encoded(new_trace(), "a")
    traces = [new_trace() for _ in range(5)]
    async with SpanCollector(largest_memory=3 * len(body)) as collector:
        async with client_of(collector) as client:
            for trace in traces:
                await client.post(TRACES_PATH, content=encoded(trace, "a"))
        assert list(collector.trace_ids()) == traces[2:]
        assert collector.forgotten == 2
        with pytest.raises(DeadlineExceeded, match=f"trace {traces[0]}") as caught:
            await collector.spans_of(traces[0], bool, what="a span", timeout=0)
        assert "2 spans of older traces were forgotten" in str(caught.value)


# ------------------------------------------------------------------ real Envoys


@dataclass(frozen=True)
class TracedSpec(SecurityServerSpec):
    """A security server without control plane, whose only listener `inbound` traces and passes on to `upstream`."""

    collector: Endpoint = field(kw_only=True)
    upstream: Endpoint = field(kw_only=True)
    sampled_percent: float = 100.0

    def lay_out(self) -> None:
        super().lay_out()
        rendered = json.loads(self.bootstrap_file.read_text())
        del rendered["dynamic_resources"]
        rendered["static_resources"] = {
            "listeners": [self._listener()],
            "clusters": [cluster("upstream", self.upstream), cluster("collector", self.collector)],
        }
        self.bootstrap_file.write_text(json.dumps(rendered))

    def _share(self) -> dict[str, Any]:
        return {"numerator": round(self.sampled_percent * 10_000), "denominator": "MILLION"}

    def _listener(self) -> dict[str, Any]:
        uri = f"http://127.0.0.1:{self.collector.port}{TRACES_PATH}"
        # The share counts for calls that bring no decision; `random_sampling` would overrule those that do.
        share = {"@type": f"{SAMPLERS}.TraceIdRatioBasedSamplerConfig", "sampling_percentage": self._share()}
        root = {"name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based", "typed_config": share}
        parent_based = {"@type": f"{SAMPLERS}.ParentBasedSamplerConfig", "wrapped_sampler": root}
        tracer = {
            "@type": TRACER,
            "sampler": {"name": "envoy.tracers.opentelemetry.samplers.parent_based", "typed_config": parent_based},
            "service_name": self.name,
            "http_service": {"http_uri": {"uri": uri, "cluster": "collector", "timeout": "1s"}},
        }
        manager = {
            "@type": HTTP,
            "stat_prefix": "inbound",
            "tracing": {
                "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": tracer},
            },
            "route_config": {
                "name": "routes",
                "virtual_hosts": [
                    {
                        "name": "any",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                    }
                ],
            },
            "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
        }
        return {
            "name": "inbound",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }


def cluster(name: str, endpoint: Endpoint) -> dict[str, Any]:
    address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


StartServer = Callable[..., Awaitable[str]]


@pytest.fixture
async def start(collector: SpanCollector, folder: Path, guard: Guard) -> AsyncIterator[StartServer]:
    """Starts an Envoy that traces, before the given address; gives its own."""
    runtime = ProcessRuntime(installed_binary(), guard)

    async def start(name: str, upstream: Endpoint, **changes: Any) -> Endpoint:
        spec = TracedSpec(
            name, folder / name, folder / "nobody", collector=collector.endpoint, upstream=upstream, **changes
        )
        server = await runtime.start(spec, 20)
        return Endpoint(*await server.listener_address("inbound", 20))

    yield start
    await runtime.close()


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    witness = Witness()
    yield witness
    await witness.close()


async def call(address: Endpoint, path: str = "/", trace: str = "", *, sampled: bool = True) -> int:
    headers = {"traceparent": f"00-{trace}-{CALLER_SPAN}-{'01' if sampled else '00'}"} if trace else {}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return (await client.get(f"http://{address.host}:{address.port}{path}", headers=headers)).status_code


async def test_two_envoys_in_a_chain_write_one_trace(collector, start, witness):
    endpoint = (await witness.open_endpoint("application")).endpoint
    first = await start("caller", await start("provider", endpoint))
    trace = new_trace()
    assert await call(first, trace=trace) == 200
    spans = await collector.spans_of(trace, lambda spans: len(spans) == 2, what="a span of each", timeout=20)
    judged = chain(spans, begun_by=CALLER_SPAN)
    assert judged.problems == ()
    assert judged.edges == (("caller", "provider"),)
    assert all(span.status == "unset" and span.start_ns <= span.end_ns for span in spans)
    assert all(span.attributes["http.status_code"] == "200" for span in spans)
    # What the application is given is the trace's id and the last span, which it would hand on.
    parent = witness.arrivals[0].header("traceparent")
    assert parent == f"00-{trace}-{judged.spans[-1].span_id}-01"


async def test_a_caller_without_trace_gets_one_of_its_own(collector, start, witness):
    endpoint = (await witness.open_endpoint("application")).endpoint
    assert await call(await start("caller", await start("provider", endpoint))) == 200
    _, trace, _, _ = witness.arrivals[0].header("traceparent").split("-")
    spans = await collector.spans_of(trace, lambda spans: len(spans) == 2, what="a span of each", timeout=20)
    assert chain(spans).whole


async def test_a_share_of_nothing_traces_no_call_that_brings_no_decision(collector, start, witness):
    endpoint = (await witness.open_endpoint("application")).endpoint
    first = await start("caller", await start("provider", endpoint, sampled_percent=0.0), sampled_percent=0.0)
    trace = new_trace()
    assert await call(first) == 200
    assert await call(first, trace=trace) == 200
    await collector.spans_of(trace, lambda spans: len(spans) == 2, what="a span of each", timeout=20)
    assert collector.trace_ids() == (trace,)


async def test_a_failed_call_has_the_status_error(collector, start, witness):
    endpoint = await witness.open_endpoint("application")
    await witness.close_endpoint(endpoint)
    trace = new_trace()
    assert await call(await start("provider", endpoint.endpoint), trace=trace) == 503
    (span,) = await collector.spans_of(trace, bool, what="a span", timeout=20)
    assert span.status == "error"


@pytest.mark.parametrize("percent", [0.0, 100.0])
async def test_the_callers_decision_about_sampling_is_respected(collector, start, witness, percent):
    endpoint = (await witness.open_endpoint("application")).endpoint
    first = await start("caller", await start("provider", endpoint, sampled_percent=percent), sampled_percent=percent)
    unsampled, sampled = new_trace(), new_trace()
    assert await call(first, trace=unsampled, sampled=False) == 200
    assert await call(first, trace=sampled) == 200
    await collector.spans_of(sampled, lambda spans: len(spans) == 2, what="a span of each", timeout=20)
    # Each server sends its spans in their order, and the later ones are here.
    assert collector.spans(unsampled) == ()
    assert [arrival.header("traceparent")[-2:] for arrival in witness.arrivals] == ["00", "01"]


async def test_an_identifier_in_a_path_is_found_in_the_spans(collector, start, witness):
    endpoint = (await witness.open_endpoint("application")).endpoint
    trace = new_trace()
    await call(await start("provider", endpoint), "/v1/persons?nationalId=XA%30%300000001", trace)
    spans = await collector.spans_of(trace, bool, what="a span", timeout=20)
    found = contains_any({"national id": "XA000000001"}, spans=spans)
    assert {leak.marked for leak in found} == {"national id"}
