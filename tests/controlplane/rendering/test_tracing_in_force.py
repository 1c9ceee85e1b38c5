from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from helpers_for_real import SpanCollector
from one_server import OneServer, births
from rendering_cases import BIRTHS, HEALTH, below
from xds_parts import WITHIN_S

from conformance.model.policies import MeshPolicy
from conformance.model.policy import AccessRule, Endpoint, FaultInjection, Route
from conformance.system.deadlines import until

BOTH = (AccessRule(HEALTH), AccessRule(BIRTHS))
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
SERVER, CLIENT = 2, 3


async def traced(server: OneServer, percent: float = 100.0, *, unix: bool = False) -> SpanCollector:
    collector = SpanCollector()
    server.running.append(collector)
    socket = server.folder / "spans.sock"
    await collector.start(socket if unix else None)
    where = socket if unix else Endpoint("127.0.0.1", collector.port)
    server.surroundings = replace(server.surroundings, tracing=where, mesh=MeshPolicy(tracing_percent=percent))
    return collector


@pytest.mark.parametrize("unix", [True, False])
async def test_one_call_is_one_trace_from_the_application_to_the_building_block(server: OneServer, unix):
    collector = await traced(server, unix=unix)
    routes = (Route(below("/v1")),)
    block = await births(server, access=BOTH, routes=routes)
    await server.ask("/births/v1/4711?name=secret", headers={"traceparent": SAMPLED})
    await until(lambda: len(collector.spans) == 2, what="two spans", timeout=WITHIN_S)
    by_kind = {span.kind: (service, span) for service, span in collector.spans}
    service, outbound = by_kind[CLIENT]
    assert (service, outbound.name, outbound.parent_span_id.hex()) == ("births", "/births/*", PARENT)
    service, inbound = by_kind[SERVER]
    assert (service, inbound.name, inbound.parent_span_id) == ("births", "/births/v1/*", outbound.span_id)
    assert {span.trace_id.hex() for _, span in collector.spans} == {TRACE}
    assert block.arrivals[0].headers["traceparent"] == f"00-{TRACE}-{inbound.span_id.hex()}-01"

    assert "secret" not in str(collector.spans)
    tags = {each.key: each.value.string_value for each in inbound.attributes}
    assert (tags["meshmark.service"], tags["meshmark.policy"]) == ("births", "one")
    assert tags["correlation_id"] == block.arrivals[0].headers["x-correlation-id"]
    for kind in ("outbound", "inbound"):
        line = await server.line(kind)
        assert line["trace_id"] == TRACE
        assert line["operation"] == "GET /births/v1/4711"
        assert "secret" not in str(line)


async def test_a_caller_that_does_not_want_to_be_traced_is_not(server: OneServer):
    collector = await traced(server)
    block = await births(server)
    await server.call("/births/any", headers={"traceparent": UNSAMPLED})
    await server.call("/births/any")
    await until(lambda: collector.spans, what="a span", timeout=WITHIN_S)
    assert TRACE not in {span.trace_id.hex() for _, span in collector.spans}
    assert block.arrivals[0].headers["traceparent"].split("-")[1::2] == [TRACE, "00"]


async def test_with_a_share_of_nothing_only_callers_that_decided_are_traced(server: OneServer):
    collector = await traced(server, percent=0.0)
    await births(server)
    await server.call("/births/any")
    await server.call("/births/any", headers={"traceparent": SAMPLED})
    await until(lambda: collector.spans, what="a span", timeout=WITHIN_S)
    assert {span.trace_id.hex() for _, span in collector.spans} == {TRACE}


async def test_calls_are_answered_while_nobody_collects_spans(server: OneServer):
    collector = await traced(server)
    collector.close()
    await births(server)
    assert (await server.call("/births/any")).status_code == 200


@pytest.mark.parametrize("traces", [True, False])
async def test_request_id_and_correlation_id_of_a_caller_are_kept(server: OneServer, traces):
    if traces:
        await traced(server)
    block = await births(server, access=BOTH)
    ids = {"x-request-id": str(uuid.uuid4()), "x-correlation-id": "case 7"}
    answer = await server.ask("/births/any", headers=ids)
    assert {name: answer.headers[name] for name in ids} == ids
    assert {name: block.arrivals[0].headers[name] for name in ids} == ids
    for kind in ("outbound", "inbound"):
        assert (await server.line(kind))["correlation_id"] == "case 7"


async def test_a_correlation_id_is_made_where_the_call_comes_in(server: OneServer):
    block = await births(server, access=BOTH)
    answer = await server.ask("/births/any")
    made = answer.headers["x-correlation-id"]
    assert uuid.UUID(made)
    assert block.arrivals[0].headers["x-correlation-id"] == made
    assert (await server.line("inbound"))["correlation_id"] == (await server.line("outbound"))["correlation_id"] == made


async def test_refusals_and_failures_give_the_correlation_id_back(server: OneServer):
    await births(server, fault_injection=FaultInjection(abort_status=503, abort_percent=100.0))
    ids = {"x-correlation-id": "case 8"}
    for caller, status in (("gateway", 403), ("health", 503)):
        answer = await server.call("/births/any", caller=caller, headers=ids)
        assert (answer.status_code, answer.headers["x-correlation-id"]) == (status, "case 8")
        assert (await server.line(status=status))["correlation_id"] == "case 8"
    unnamed = await server.call("/births/any", caller="gateway")
    assert uuid.UUID(unnamed.headers["x-correlation-id"])
