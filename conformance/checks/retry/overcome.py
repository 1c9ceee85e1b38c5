"""Failures that pass: the caller's security server tries again, and the calling application never learns of them."""

from __future__ import annotations

from typing import Any

from conformance.checks.catalogue import check
from conformance.probe import CALLER, Answer, EvidenceKind, Exchange, Feature, Probe, RetryPolicy

DECLARED = RetryPolicy(attempts=2, statuses=(502, 503, 504), back_off_s=0.001)
FAILURES = {
    **{f"answered {status}": (Answer(status), "declared-status-not-retried") for status in DECLARED.statuses},
    "reset": (Answer(reset=True), "reset-not-retried"),
}


def told_attempts(probe: Probe, exchange: Exchange) -> list[str | None]:
    """The attempt counts that the building block was told, try by try."""
    return [arrival.header("x-envoy-attempt-count") for arrival in probe.arrivals(exchange.nonce)]


async def observed(probe: Probe, exchange: Exchange) -> dict[str, Any]:
    """What is known of a call and its tries."""
    line = await probe.line(exchange, CALLER) or {}
    return {
        "answer": exchange.summary,
        "told to the building block": told_attempts(probe, exchange),
        "attempts in the caller's access log": line.get("attempts"),
    }


@check(
    id="RETRY-001",
    title="A failure that may pass is overcome by trying again",
    proves=["RETRY-R1", "RETRY-R10"],
    needs=[Feature.RETRY],
    evidence=["plain call", "failures of the building block", "refused connections"],
    fails={
        "declared-status-not-retried": "A call answered with a status declared retriable ends well with the next try.",
        "reset-not-retried": "A call whose connection the building block resets ends well with the next try.",
        "refusal-not-retried": "A call whose connection is refused ends well with the next try, at another endpoint.",
        "attempts-not-told": "Each try tells the building block, and the access log, how many were made for the call.",
    },
    inconclusive={
        "policy-not-in-force": "Calls are decided by the policy under test.",
        "plain-call-failed": "A plain call is answered by the witness at the first try.",
        "refusal-not-met": "Of two calls one meets the endpoint that refuses, by the provider's access log (UF).",
    },
    remedy="In the caller's retry_policy let retry_on name connect-failure, reset and "
    "retriable-status-codes, list the declared statuses, and add the predicate previous_hosts; set "
    "include_request_attempt_count. See that the provider's side does not answer a reset or a refusal "
    "with another status.",
)
async def overcomes_passing_failures(probe: Probe) -> None:
    """Building blocks restart, move and choke for a moment. A mesh that hands every such moment on makes it an outage.

    The witness fails the first try of a call, by each status that is declared retriable and by a TCP reset, and answers
    the second one. Then one of two endpoints refuses connections. What counts is the answer at the calling application
    and the tries that reached the witness. (Envoy documentation, "Router": x-envoy-retry-on, x-envoy-attempt-count.)
    """
    policy = probe.policy().changed(retry=DECLARED)
    in_force = await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
    plain = await probe.call()
    probe.record("plain call", EvidenceKind.EXCHANGE, await observed(probe, plain))
    tries = len(probe.arrivals(plain.nonce))
    probe.require("plain-call-failed", plain.status == 200 and tries == 1, seen=f"after {tries} tries {plain.summary}")

    calls = {
        name: await probe.call("/fails-once", answers=(failure, Answer())) for name, (failure, _) in FAILURES.items()
    }
    seen = {name: await observed(probe, exchange) for name, exchange in calls.items()}
    probe.record("failures of the building block", EvidenceKind.EXCHANGE, seen)
    for name, exchange in calls.items():
        tries = len(probe.arrivals(exchange.nonce))
        overcome = exchange.status == 200 and tries == 2
        probe.expect(FAILURES[name][1], overcome, seen=f"{name}: after {tries} tries {exchange.summary}")

    told = {name: told_attempts(probe, exchange) for name, exchange in calls.items()}
    logged = {name: each["attempts in the caller's access log"] for name, each in seen.items()}
    counted = all(each == ["1", "2"] for each in told.values()) and all(each == 2 for each in logged.values())
    probe.expect("attempts-not-told", counted, seen=f"the building block was told {told}, the access log {logged}")

    with probe.witness.refusing_address() as refusing:
        policy = policy.changed(endpoints=(refusing, *policy.endpoints))
        in_force = await probe.put_in_force(policy)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
        in_turn = [await probe.call("/perhaps-refused") for _ in range(2)]
    flags = [await flags_of_tries(probe, exchange) for exchange in in_turn]
    described = [
        {"answer": each.summary, "flags of its tries": said} for each, said in zip(in_turn, flags, strict=True)
    ]
    probe.record("refused connections", EvidenceKind.EXCHANGE, {"calls": described})
    probe.require("refusal-not-met", any("UF" in said for said in flags), seen=f"flags {flags}")
    overcome = all(exchange.status == 200 for exchange in in_turn)
    probe.expect("refusal-not-retried", overcome, seen=", ".join(exchange.summary for exchange in in_turn))


async def flags_of_tries(probe: Probe, exchange: Exchange) -> list[str]:
    """The response flags that the provider's security server gave the tries of a call."""
    attempts = (await probe.line(exchange, CALLER) or {}).get("attempts") or 0

    def written() -> bool:
        return len(probe.lines(exchange)) >= attempts

    await probe.eventually(written, what="all tries are in the provider's access log")
    return [str(line.get("flags")) for line in probe.lines(exchange)]
