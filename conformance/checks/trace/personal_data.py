"""What spans must not tell."""

from __future__ import annotations

import json
import secrets

from conformance.checks.catalogue import check
from conformance.checks.trace.spans import of_both, told
from conformance.probe import Answer, EvidenceKind, Feature, Probe

MARKED = ("query", "authorization", "cookie", "header", "body", "answer header", "answer body")
"""Where personal data stand that no span may repeat."""


@check(
    id="TRACE-006",
    title="No span repeats what stands in the query, the headers or the bodies of a call",
    proves=["TRACE-R6"],
    needs=[Feature.TRACING],
    evidence=["plain call", "spans", "findings"],
    fails={"personal-data-exported": "No value that the caller or the building block has marked stands in any span."},
    inconclusive={
        "plain-call-failed": "A call without a trace context is answered by the witness.",
        "spans-missing": "Both security servers export a span of the call.",
    },
    remedy="Set max_path_tag_length to 0, because the tag `http.url` quotes the query, name spans after routes, and "
    "take custom tags away that read headers other than ids.",
)
async def keeps_personal_data_out(probe: Probe) -> None:
    """Spans are kept for long, and many may read them; whoever traces a call must not learn whom it was about.

    A sampled call carries marked values in its query, in headers and in its body, and so does the answer. They are
    looked for in all that its spans say, also as they look in a URL, in JSON or in Base64.
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    marked = {place: f"marked {secrets.token_hex(8)}" for place in MARKED}
    context = probe.tracing.context()
    headers = {
        "authorization": f"Bearer {marked['authorization']}",
        "cookie": f"session={marked['cookie']}",
        "x-citizen-name": marked["header"],
        "content-type": "application/json",
    }
    answer = Answer(
        headers=(("x-citizen-name", marked["answer header"]),),
        body=json.dumps({"name": marked["answer body"]}).encode(),
    )
    await probe.call(
        f"/citizens?name={marked['query'].replace(' ', '%20')}",
        method="POST",
        headers=context.headers | headers,
        body=json.dumps({"name": marked["body"]}).encode(),
        answers=[answer],
    )
    what = "both security servers have exported a span"
    spans = await probe.tracing.spans(context, lambda found: of_both(probe, found), what=what)
    found = [f"{leak.marked} in {leak.where}" for leak in probe.tracing.leaks(marked, spans=spans)]
    attributes = {str(span): sorted(span.attributes) for span in spans}
    probe.record("spans", EvidenceKind.NOTE, {"attributes": attributes})
    probe.record("findings", EvidenceKind.NOTE, {"looked for": list(MARKED), "found": found})

    probe.require("spans-missing", of_both(probe, spans), seen=f"{told(spans) or 'no span'}")
    probe.expect("personal-data-exported", not found, seen=f"{found or 'nothing'}")
