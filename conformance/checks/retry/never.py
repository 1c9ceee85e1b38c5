"""Calls that must not be repeated, whatever the failure and whoever asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.checks.catalogue import check
from conformance.probe import CALLER, Answer, EvidenceKind, Exchange, Feature, Probe

WISHES = (
    ("x-envoy-retry-on", "5xx,reset,connect-failure,retriable-4xx,retriable-status-codes"),
    ("x-envoy-retriable-status-codes", "400,404,429"),
    ("x-envoy-max-retries", "3"),
)
"""Headers by which Envoy lets trusted callers steer retries (Envoy documentation, "Router")."""


@dataclass(frozen=True)
class Once:
    """A call that may reach the building block only once."""

    method: str
    failure: Answer
    reason: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        failure = "reset" if self.failure.reset else str(self.failure.status)
        return f"{self.method}, {failure}" + (", asked to retry" if self.headers else "")


ONCE = (
    *(
        Once(method, failure, "unsafe-method-repeated")
        for method in ("POST", "PATCH")
        for failure in (Answer(503), Answer(reset=True))
    ),
    *(Once("GET", Answer(status), "client-error-repeated") for status in (400, 404, 409, 429)),
    *(Once(method, Answer(503), "repeated-at-callers-wish", WISHES) for method in ("POST", "PATCH")),
    *(Once("GET", Answer(status), "repeated-at-callers-wish", WISHES) for status in (404, 409, 429)),
)


@check(
    id="RETRY-003",
    title="Calls that are not idempotent, or are answered 4xx, are never repeated",
    proves=["RETRY-R3", "RETRY-R4"],
    needs=[Feature.RETRY],
    evidence=["repeatable call", "tries of each call"],
    fails={
        "unsafe-method-repeated": "A POST or PATCH reaches the building block once, whatever its failure.",
        "client-error-repeated": "A call answered with a 4xx status reaches the building block once.",
        "repeated-at-callers-wish": "Neither is repeated because the calling application asks for it (x-envoy-*).",
    },
    inconclusive={
        "repeatable-call-not-repeated": "A GET that fails once is repeated and ends well: retries are in force."
    },
    remedy="Put retry_policy only on routes that match idempotent methods on :method, without 4xx statuses "
    "and retriable-4xx. Let no application steer retries: with use_remote_address and an "
    "internal_address_config that holds no caller, its x-envoy-retry-on and x-envoy-max-retries are "
    "removed.",
)
async def repeats_nothing_unsafe(probe: Probe) -> None:
    """A repeated POST registers a child twice; a repeated 4xx only makes the same mistake again.

    RFC 9110 section 9.2.2 names the methods that may be repeated. First a GET shows that retries are in force. Then the
    witness fails calls that must not be repeated; each of them could be overcome by a second try, and must not be.
    """
    repeatable = await probe.call("/once", answers=(Answer(503), Answer()))
    tries = len(probe.arrivals(repeatable.nonce))
    probe.record_exchange("repeatable call", repeatable, await probe.line(repeatable, CALLER))
    repeated = repeatable.status == 200 and tries == 2
    probe.require("repeatable-call-not-repeated", repeated, seen=f"after {tries} tries {repeatable.summary}")

    made: list[tuple[Once, Exchange]] = []
    for once in ONCE:
        answers = (once.failure, Answer())
        made.append((once, await probe.call("/once", method=once.method, headers=once.headers, answers=answers)))
    tries_of = {once.name: len(probe.arrivals(exchange.nonce)) for once, exchange in made}
    probe.record("tries of each call", EvidenceKind.ARRIVALS, tries_of)
    for once, exchange in made:
        seen = f"{once.name}: after {tries_of[once.name]} tries {exchange.summary}"
        probe.expect(once.reason, tries_of[once.name] == 1, seen=seen)
