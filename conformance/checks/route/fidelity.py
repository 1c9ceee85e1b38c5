"""What passes through the mesh: it arrives as it was sent, and comes back as it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conformance.checks.catalogue import check
from conformance.probe import Answer, Arrival, EvidenceKind, Exchange, Feature, Probe

Headers = tuple[tuple[str, str], ...]

QUERY = "name=one&name=two&empty=&flag&sum=1+1&path=%2Fv1%2F..%2F&and=%26&reserved=!$'()*,;:@/?"
BINARY = bytes(range(256)) * 256
TEXT = '{"name": "Zoë Þórsdóttir 李小龍 🌍"}'.encode()
ODD = '!#$%&\'*+-.^_`|~ "quoted, comma"; a=b, {json: [1]}\t<tab>'
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
"""Between two neighbours only, so they may change on the way (RFC 9110 section 7.6.1)."""

REQUEST_HEADERS: Headers = (
    ("X-Check-Case", "Mixed Case"),
    ("x-check-many", "one"),
    ("x-check-many", "two, three"),
    ("x-check-empty", ""),
    ("x-check-odd", ODD),
    ("authorization", "Check passed-on"),
    ("cookie", "a=1; b=2"),
    ("accept-language", "rw, fr;q=0.5"),
    ("if-none-match", 'W/"never"'),
    ("content-type", "application/json"),
)
ANSWER_HEADERS: Headers = (
    ("Set-Cookie", "a=1; Path=/; Expires=Mon, 01 Jan 2035 00:00:00 GMT"),
    ("set-cookie", "b=2"),
    ("X-Check-Many", "one"),
    ("x-check-many", "two, three"),
    ("x-check-empty", ""),
    ("x-check-odd", ODD),
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("etag", 'W/"42"'),
    ("last-modified", "Mon, 23 Nov 2015 06:00:00 GMT"),
    ("server", "check/1"),
    ("www-authenticate", 'Check realm="one", Other realm="two"'),
)


@dataclass(frozen=True)
class Passage:
    """One call: what is sent, and what the witness answers."""

    method: str
    status: int
    sent: bytes = b""
    given: bytes = b""
    query: str = QUERY
    headers: Headers = ANSWER_HEADERS


PASSAGES = (
    Passage("POST", 201, sent=TEXT, given=TEXT, query=QUERY + "&name=Jos%C3%A9"),
    Passage("DELETE", 204),
    Passage("GET", 302, headers=(*ANSWER_HEADERS, ("location", "http://mesh.test/witness/elsewhere?and=back"))),
    Passage("GET", 404, given=TEXT),
    Passage("PUT", 422, sent=BINARY, given=BINARY),
    Passage("POST", 500, sent=TEXT),
)


def altered(sent: Iterable[tuple[str, str]], received: Iterable[tuple[str, str]]) -> list[str]:
    """End-to-end headers that were lost or changed; added ones are nobody's loss."""
    after = combined(received)
    changes = ((name, value, after.get(name)) for name, value in combined(sent).items())
    return [f"{name}: {before!r} became {now!r}" for name, before, now in changes if now != before]


def combined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Values by lower-case name. Those of one name may be joined by a comma, except cookies (RFC 9110 section 5.3)."""
    values: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key in HOP_BY_HOP:
            continue
        separator = "\n" if key == "set-cookie" else ", "
        values[key] = values[key] + separator + value if key in values else value
    return values


def described(first: str | int, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """One message as evidence."""
    digest = hashlib.sha256(body).hexdigest()
    return {"first": first, "headers": [list(pair) for pair in headers], "bytes": len(body), "sha256": digest}


@check(
    id="ROUTE-002",
    title="Query, headers, body and status pass through the mesh unmodified",
    proves=["ROUTE-R8", "ROUTE-R21"],
    needs=[Feature.ROUTING],
    evidence=["plain call", "requests as sent and as they arrived", "answers as given and as received"],
    fails={
        "query-changed": "The query arrives as it was written.",
        "call-lost": "Every call reaches the building block.",
        "status-changed": "The caller receives the status that the building block gave, a redirect too.",
        "message-changed": "No end-to-end header and no byte of a body is lost or changed, in either direction.",
    },
    inconclusive={"plain-call-failed": "A plain call is answered by the witness."},
    remedy="Look on both security servers for whatever touches messages: request_headers_to_remove, "
    "response_headers_to_add, server_header_transformation, internal_redirect_policy, regex_rewrite, "
    "Lua and buffer filters with their size limits. Take it away from this service.",
)
async def passes_messages_unmodified(probe: Probe) -> None:
    """Building blocks agree on messages, not on what a proxy makes of them; each must get what the other one wrote.

    The witness keeps what arrives and answers with prepared statuses, headers and bodies. Compared are the values of
    all headers but hop-by-hop ones (RFC 9110 section 7.6.1); headers that the mesh adds take nothing from anybody.
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)

    passed: list[tuple[Passage, Exchange, Arrival | None]] = []
    async with probe.connection() as connection:
        for passage in PASSAGES:
            exchange = await probe.call(
                f"/passage?{passage.query}",
                method=passage.method,
                headers=REQUEST_HEADERS,
                body=passage.sent,
                answers=(Answer(passage.status, passage.headers, passage.given), Answer()),
                connection=connection,
            )
            passed.append((passage, exchange, next(iter(probe.arrivals(exchange.nonce)), None)))

    requests, answers = {}, {}
    lost, statuses, queries, messages = [list[str]() for _ in range(4)]
    for passage, exchange, arrival in passed:
        name = f"{passage.method} {passage.status}"
        requests[name] = {"sent": described(exchange.url, exchange.request_headers, exchange.request_body)}
        answers[name] = {
            "given": described(passage.status, passage.headers, passage.given),
            "received": described(exchange.status or 0, exchange.headers, exchange.body),
        }
        if arrival is None:
            lost.append(f"{name}: {exchange.summary}")
            continue
        requests[name]["arrived"] = described(arrival.target, arrival.headers, arrival.body)
        if exchange.status != passage.status:
            statuses.append(f"{passage.status} became {exchange.summary}")
        if arrival.target.partition("?")[2] != passage.query:
            queries.append(f"{name}: arrived as {arrival.target}")
        if arrival.body != passage.sent:
            messages.append(f"{name}: {len(passage.sent)} bytes sent, {len(arrival.body)} other ones arrived")
        if exchange.body != passage.given:
            messages.append(f"{name}: {len(passage.given)} bytes given, {len(exchange.body)} other ones received")
        messages += [f"{name}, request, {what}" for what in altered(exchange.request_headers, arrival.headers)]
        messages += [f"{name}, answer, {what}" for what in altered(passage.headers, exchange.headers)]
    probe.record("requests as sent and as they arrived", EvidenceKind.ARRIVALS, requests)
    probe.record("answers as given and as received", EvidenceKind.EXCHANGE, answers)

    probe.expect("query-changed", not queries, seen="; ".join(queries) or "as written")
    probe.expect("call-lost", not lost, seen="; ".join(lost) or "all arrived")
    probe.expect("status-changed", not statuses, seen="; ".join(statuses) or "as given")
    probe.expect("message-changed", not messages, seen="; ".join(messages) or "nothing lost or changed")
