"""The end of trying: as many attempts as declared, and then the truth."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.probe import CALLER, Answer, EvidenceKind, Exchange, Feature, LogLine, Probe, RetryPolicy

DECLARED = (1, 3)
"""Two different numbers of repetitions, so that a fixed one cannot pass for both."""
COUNTER = "cluster.peer-witness.upstream_rq_retry_limit_exceeded"


@check(
    id="RETRY-002",
    title="A call is tried as often as declared, and then its failure is handed on and reported",
    proves=["RETRY-R2", "RETRY-R11"],
    needs=[Feature.RETRY],
    evidence=["plain call", *(f"call with {retries} retries declared" for retries in DECLARED), "statistics"],
    fails={
        "attempts-not-as-declared": "A call that fails again and again is tried once, and then as often as declared.",
        "exhaustion-unreported": "When none is left the answer (503), the log (URX) and the metrics say so.",
    },
    inconclusive={
        "policy-not-in-force": "Calls are decided by the policy with the declared number of retries.",
        "plain-call-failed": "A plain call is answered by the witness.",
    },
    remedy="Set num_retries of the caller's route to what the policy declares, and see that nobody else on "
    "the way repeats calls (provider's security server, HTTP client of the application). Hand on the "
    "last answer, and log %RESPONSE_FLAGS%.",
)
async def gives_up_as_declared(probe: Probe) -> None:
    """Retries without end turn a building block's bad minute into a flood, and a hidden end leaves nobody to mend it.

    The witness answers 503 whatever happens, under policies that declare different numbers of retries. The tries are
    counted where they arrive. (Envoy documentation, "Router", "Access logging", "Cluster manager statistics".)
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain, CALLER))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)

    made: dict[int, Exchange] = {}
    lines: dict[int, LogLine] = {}
    counted: dict[int, int] = {}
    for retries in DECLARED:
        policy = probe.policy().changed(retry=RetryPolicy(attempts=retries, back_off_s=0.001))
        in_force = await probe.put_in_force(policy)
        probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")
        before = (await probe.statistics(COUNTER, CALLER)).get(COUNTER, 0)
        made[retries] = await probe.call("/fails-always", answers=(Answer(503),))
        lines[retries] = await probe.line(made[retries], CALLER) or {}
        counted[retries] = (await probe.statistics(COUNTER, CALLER)).get(COUNTER, 0) - before
        probe.record_exchange(f"call with {retries} retries declared", made[retries], lines[retries])
    growth = {f"with {retries} retries declared": grown for retries, grown in counted.items()}
    probe.record("statistics", EvidenceKind.STATISTICS, {COUNTER: growth})

    for retries, exchange in made.items():
        tries = len(probe.arrivals(exchange.nonce))
        seen = f"{tries} tries arrived, {retries} retries declared"
        probe.expect("attempts-not-as-declared", tries == retries + 1, seen=seen)
        flags = lines[retries].get("flags")
        told = exchange.status == 503 and flags == "URX" and counted[retries] == 1
        seen = f"{exchange.summary}; flags {flags}; {COUNTER} grew by {counted[retries]}"
        probe.expect("exhaustion-unreported", told, seen=seen)
