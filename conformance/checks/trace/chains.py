"""A call that passes three building blocks: one trace and one correlation id, from the first to the last."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.catalogue import check
from conformance.probe import CORRELATION_ID, EvidenceKind, Exchange, Feature, Probe, Span

BUILDING_BLOCKS = 3


def all_told(hops: Sequence[tuple[str, str]], spans: Sequence[Span]) -> bool:
    """Each security server has told each of its parts."""
    return {*hops} <= {(span.service, span.kind) for span in spans}


def one_after_the_other(hops: Sequence[tuple[str, str]], spans: Sequence[Span], first: str) -> bool:
    """From the caller's own span a way leads through all hops in this order, from each span to a child of it.

    There may be others beside it or in between, such as of questions to the authentication service.
    """
    before = {first}
    for hop in hops:
        below = {span.span_id for span in _descendants(before, spans)}
        before = {span.span_id for span in spans if span.span_id in below and (span.service, span.kind) == hop}
    return bool(before)


def _descendants(ancestors: set[str], spans: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    generation = [span for span in spans if span.parent_id in ancestors]
    while generation:
        found += generation
        parents = {span.span_id for span in generation}
        generation = [span for span in spans if span.parent_id in parents and span not in found]
    return found


async def require_passed(probe: Probe, exchanges: Sequence[Exchange], *, allowed: bool) -> None:
    """Each of these calls went all the way, and was answered, after one has shown that the way is open."""
    for exchange in exchanges:
        arrived = [arrival.target for arrival in probe.arrivals(exchange.nonce)]
        passed = allowed and exchange.status == 200 and len(arrived) == BUILDING_BLOCKS
        probe.require("chain-not-passed", passed, seen=f"{exchange.summary}, arrived as {arrived}")


@check(
    id="TRACE-003",
    title="A call that passes three building blocks is one trace, each span a child of the one before",
    proves=["TRACE-R3"],
    needs=[Feature.TRACING],
    evidence=["chain", "spans"],
    fails={
        "span-missing": "Each security server exports a span each time that the call passes it, on the way in and out.",
        "wrong-parents": "The spans are one trace; each names the span of the security server before it as its parent.",
    },
    inconclusive={"chain-not-passed": "The call passes all three building blocks and is answered."},
    remedy="Let every security server take up the trace that comes in and pass its own span on as the parent, on the "
    "way in and on the way out; give each a service_name of its own. Building blocks must pass `traceparent` on.",
)
async def makes_one_trace(probe: Probe) -> None:
    """The question at night is not whether somebody is slow, but who: only a whole tree of spans tells.

    The witness calls the bystander's service through its security server, and that one calls a third, behind the
    caller's own security server, before they answer; each passes on the `traceparent` that it got (W3C Trace Context
    section 2.4). Six passages, so six spans, of which each has to be the child of the one before.
    """
    allowed = await probe.tracing.allow_chain()
    context = probe.tracing.context()
    exchange = await probe.tracing.call_chain(context.headers)
    probe.record_exchange("chain", exchange, await probe.line(exchange))
    await require_passed(probe, [exchange], allowed=allowed)
    hops = probe.tracing.hops

    def whole(found: Sequence[Span]) -> bool:
        tree = probe.tracing.chain(found, begun_by=context.parent_id)
        return tree.whole and one_after_the_other(hops, found, context.parent_id)

    spans = await probe.tracing.spans(context, whole, what="the spans are one tree, with all hops")
    tree = probe.tracing.chain(spans, begun_by=context.parent_id)
    shown = [str(span) for span in tree.spans]
    probe.record("spans", EvidenceKind.NOTE, {"spans": shown, "problems": list(tree.problems)})

    told = f"{list(tree.problems) or 'one tree'}: {shown}"
    probe.expect("wrong-parents", tree.whole or not spans, seen=told)
    probe.expect("span-missing", all_told(hops, spans), seen=f"{len(spans)} spans: {shown}")
    probe.expect("wrong-parents", one_after_the_other(hops, spans, context.parent_id), seen=told)


@check(
    id="TRACE-004",
    title="A call gets a correlation id, every hop passes it on, and the caller gets it back",
    proves=["TRACE-R4"],
    needs=[Feature.TRACING],
    evidence=["chain", "correlation ids"],
    fails={
        "not-created": "A call without a correlation id comes to the first building block with one of its own.",
        "changed-on-the-way": "Every building block and every access log sees the same correlation id.",
        "not-returned": "The caller finds the correlation id in its answer.",
    },
    inconclusive={"chain-not-passed": "The call passes all three building blocks and is answered."},
    remedy=f"The first security server makes `{CORRELATION_ID}` if there is none (header mutation, ADD_IF_ABSENT), "
    "puts it into the answer, and none replaces one that is there. Building blocks must pass it on.",
)
async def keeps_the_correlation_id(probe: Probe) -> None:
    """A complaint brings a correlation id, not a trace: with it everything that was done for a call must be found.

    Two calls without a correlation id, and one with, pass three building blocks, which pass on what they get. Each must
    show one id at all three, in the access log of each security server, and in the answer; each call another one.
    """
    allowed = await probe.tracing.allow_chain()
    own = probe.tracing.context().trace_id
    sent: list[dict[str, str]] = [{}, {}, {CORRELATION_ID: own}]
    exchanges = [await probe.tracing.call_chain(headers) for headers in sent]
    probe.record_exchange("chain", exchanges[0], await probe.line(exchanges[0]))
    await require_passed(probe, exchanges, allowed=allowed)
    seen_at = []
    for exchange in exchanges:
        ids = [arrival.header(CORRELATION_ID) for arrival in probe.arrivals(exchange.nonce)]
        passed = dict.fromkeys(server for server, _ in probe.tracing.hops)
        logged = [((await probe.line(exchange, server)) or {}).get("correlation_id") for server in passed]
        seen_at.append((ids, logged, exchange.header(CORRELATION_ID)))
    shown = [{"building blocks": ids, "access logs": logs, "answer": answer} for ids, logs, answer in seen_at]
    probe.record("correlation ids", EvidenceKind.ARRIVALS, {"calls": shown})

    firsts = [ids[0] for ids, _, _ in seen_at]
    probe.expect("not-created", all(firsts) and len(set(firsts)) == len(firsts), seen=f"{firsts}")
    for (ids, logged, answer), wanted in zip(seen_at, [*firsts[:2], own], strict=True):
        seen = f"first {wanted}; building blocks {ids}; access logs {logged}; answer {answer}"
        probe.expect("changed-on-the-way", {*ids, *logged} == {wanted}, seen=seen)
        probe.expect("not-returned", answer == wanted, seen=seen)
