"""The trace context of a caller: it goes along with its call."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import EvidenceKind, Feature, Probe, TraceContext


@check(
    id="TRACE-001",
    title="The building block is told the trace id of the caller, and whether the call is recorded",
    proves=["TRACE-R1"],
    needs=[Feature.TRACING],
    evidence=["plain call", "trace contexts"],
    fails={
        "trace-id-changed": "The `traceparent` that arrives has the trace id that the caller has sent.",
        "sampling-changed": "The `traceparent` that arrives has the sampling flag that the caller has sent.",
    },
    inconclusive={"plain-call-failed": "A call without a trace context is answered by the witness."},
    remedy="Let the security servers read and write W3C Trace Context, with a sampler that follows the caller's "
    "decision (parent-based), and take away no `traceparent` on the way.",
)
async def passes_the_trace_context_on(probe: Probe) -> None:
    """Whoever looks for what became of a call has nothing but its trace id: a hop that makes its own breaks the trail.

    A call is sent as part of a trace that is recorded, and another as part of one that is not. The witness sees which
    `traceparent` (W3C Trace Context section 3.2) reached it.
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    arrived: list[tuple[TraceContext, TraceContext | None, str]] = []
    for sampled in (True, False):
        sent = probe.tracing.context(sampled=sampled)
        exchange = await probe.call("/traced", method="POST", headers=sent.headers)
        texts = [arrival.header("traceparent") for arrival in probe.arrivals(exchange.nonce)]
        shown = texts[0] if texts else None
        arrived.append((sent, TraceContext.read(shown), f"sent {sent.headers['traceparent']}, arrived {shown}"))
    probe.record("trace contexts", EvidenceKind.ARRIVALS, {"contexts": [seen for _, _, seen in arrived]})

    for sent, got, seen in arrived:
        probe.expect("trace-id-changed", got and got.trace_id == sent.trace_id, seen=seen)
        probe.expect("sampling-changed", got and got.sampled == sent.sampled, seen=seen)
