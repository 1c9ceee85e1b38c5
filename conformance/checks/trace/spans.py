"""Spans of single calls: who exports them, of which calls, and what they say about failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from conformance.checks.catalogue import check
from conformance.probe import CALLER, Answer, EvidenceKind, Feature, Probe, Span

MARKED: Mapping[int, Callable[[Probe], tuple[str, ...]]] = {
    200: lambda _: (),
    404: lambda _: (CALLER,),
    500: lambda probe: (CALLER, probe.subject.name),
}
"""For each status of an answer, the security servers whose spans have to be marked as errors."""


def of_both(probe: Probe, spans: Sequence[Span]) -> bool:
    """The caller's security server has told its part of a call, and so has the subject's."""
    return {CALLER, probe.subject.name} <= {span.service for span in spans}


def of_both_sides(probe: Probe, spans: Sequence[Span]) -> bool:
    """As above, and each says on which side of the call it stood."""
    return {(CALLER, "client"), (probe.subject.name, "server")} <= {(span.service, span.kind) for span in spans}


def told(spans: Sequence[Span]) -> list[str]:
    """Spans in words."""
    return [f"{span.kind} span of {span}: {span.status}" for span in spans]


@check(
    id="TRACE-002",
    title="Each security server exports a span of a call that is sampled, and none of one that is not",
    proves=["TRACE-R2"],
    needs=[Feature.TRACING],
    evidence=["plain call", "spans of the sampled call", "spans of the call that is not sampled"],
    fails={
        "span-missing": "The caller's security server exports a client span of a sampled call, the subject's a server "
        "span.",
        "unsampled-exported": "No span is exported of a call whose caller has decided against it.",
    },
    inconclusive={"plain-call-failed": "A call without a trace context is answered by the witness."},
    remedy="Look whether each security server names the collector (OpenTelemetryConfig, http_service), has a "
    "service_name of its own, and a parent-based sampler. The cluster of the collector must be there first.",
)
async def exports_spans(probe: Probe) -> None:
    """A hop without a span is a hop in the dark; a span nobody asked for costs money, and may say too much.

    First a call is made that is not sampled, then one that is, both over the same security servers. When the spans of
    the second are there, by OTLP at the suite's collector, those of the first would be, too.
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    unsampled, sampled = probe.tracing.context(sampled=False), probe.tracing.context()
    for context in (unsampled, sampled):
        await probe.call("/traced", method="POST", headers=context.headers)
    what = "both security servers have exported a span"
    spans = await probe.tracing.spans(sampled, lambda found: of_both_sides(probe, found), what=what)
    others = probe.tracing.seen(unsampled)
    probe.record("spans of the sampled call", EvidenceKind.NOTE, {"spans": told(spans)})
    probe.record("spans of the call that is not sampled", EvidenceKind.NOTE, {"spans": told(others)})

    probe.expect("span-missing", of_both_sides(probe, spans), seen=f"{told(spans) or 'no span'}")
    probe.expect("unsampled-exported", not others, seen=f"{told(others) or 'no span'}")


@check(
    id="TRACE-005",
    title="The spans of a failed call are marked as errors, those of a good one are not",
    proves=["TRACE-R5"],
    needs=[Feature.TRACING],
    evidence=["plain call", *(f"spans of the call answered with {status}" for status in MARKED)],
    fails={
        "failure-not-marked": "Both spans of a call answered with 500 have the status `error`, and with 404 the "
        "client's.",
        "success-marked": "No span of a call answered with 200 has the status `error`.",
    },
    inconclusive={
        "plain-call-failed": "A call without a trace context is answered by the witness.",
        "spans-missing": "Both security servers export a span of each call.",
    },
    remedy="Say of each listener whether its calls come in or go out (traffic_direction): a 404 is an error of the "
    "client only. Look for custom tags that stand in for `error` or `http.status_code`, and for filters that replace "
    "the answer.",
)
async def marks_failures(probe: Probe) -> None:
    """Who is called at night looks for red spans first: a failure that looks like a success is not found there.

    The witness answers one sampled call with 200, one with 404 and one with 500. What has to be marked is said by
    OpenTelemetry, "Semantic Conventions for HTTP Spans": 500 on both sides, 404 on the client's.
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    spans = {}
    for status in MARKED:
        context = probe.tracing.context()
        await probe.call("/marked", method="POST", headers=context.headers, answers=[Answer(status)])
        what = "both security servers have exported a span"
        spans[status] = await probe.tracing.spans(context, lambda found: of_both(probe, found), what=what)
        probe.record(f"spans of the call answered with {status}", EvidenceKind.NOTE, {"spans": told(spans[status])})

    for status, found in spans.items():
        seen = f"answered with {status}: {told(found) or 'no span'}"
        probe.require("spans-missing", of_both(probe, found), seen=seen)
        marked = {span.service for span in found if span.status == "error"}
        if status == 200:
            probe.expect("success-marked", not marked, seen=seen)
        probe.expect("failure-not-marked", marked >= set(MARKED[status](probe)), seen=seen)
