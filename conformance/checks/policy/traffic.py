"""Traffic that has nothing to do with a change: it must not feel it."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.checks.catalogue import check
from conformance.checks.policy.change import words
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.probe import BYSTANDER, CircuitBreaker, EvidenceKind, Feature, Probe, RetryPolicy

CALLERS = 4
CHANGES = 25


def successive(probe: Probe, extra: Endpoint) -> Iterator[ServicePolicy]:
    """One policy after the other, each different from the one before, none in what the callers may do."""
    policy = first = probe.policy()
    steps = (
        {"access": (*first.access, probe.everything_for(BYSTANDER))},
        {"timeout_s": first.timeout_s + 5, "retry": RetryPolicy(attempts=4)},
        {"circuit_breaker": CircuitBreaker(requests=512)},
        {"endpoints": (*first.endpoints, extra)},
        {name: getattr(first, name) for name in ("access", "timeout_s", "retry", "circuit_breaker", "endpoints")},
    )
    for number in range(CHANGES):
        policy = policy.changed(**steps[number % len(steps)])
        yield policy


@check(
    id="POLICY-005",
    title="Not one call is lost while policies change",
    proves=["POLICY-R5"],
    needs=[Feature.POLICY],
    evidence=["changes", "traffic"],
    fails={
        "call-lost": "Every call is answered with 200, whatever is changed while it is under way.",
        "call-repeated": "Every call reaches the application exactly once.",
    },
    inconclusive={
        "caller-refused": "The caller is served before the changes.",
        "change-not-in-force": "Each change comes to decide calls of the traffic.",
    },
    remedy="Look at what the change rebuilt: rules, timeouts, limits and endpoints must arrive as routes, "
    "clusters and endpoints, not as new listeners, draining or restarts; a cluster comes before its "
    "route and goes after it. For calls that arrived twice, look for request mirroring.",
)
async def loses_nothing(probe: Probe) -> None:
    """Policies change all day; who is not concerned must not notice (GovStack §8.1.20: no interruption of services).

    Four callers call without a pause, over connections that they keep, with a method that nobody on the way repeats.
    Meanwhile 25 changes follow one another: access of somebody else granted and revoked, timeouts and retries, the
    circuit breaker, an endpoint that comes and goes. The next change is made when the one before has decided a call.
    """
    known = await probe.call()
    probe.require("caller-refused", known.status == 200, seen=known.summary)
    in_force: list[ServicePolicy] = []
    async with (
        probe.witness.extra_endpoint() as extra,
        probe.steady_traffic(*(probe.connection() for _ in range(CALLERS))) as traffic,
    ):
        for policy in successive(probe, extra.endpoint):
            await probe.apply(policy)
            if not await traffic.decided_by(policy):
                break
            in_force.append(policy)
        await traffic.round()
    calls = traffic.calls()
    made = {"made": CHANGES, "in force": len(in_force), "versions": [policy.version for policy in in_force]}
    probe.record("changes", EvidenceKind.PROPAGATION, made)
    probe.record("traffic", EvidenceKind.ARRIVALS, traffic.to_json())

    lost = [call for call in calls if call.exchange.status != 200]
    probe.expect("call-lost", not lost, seen=f"{len(lost)} of {len(calls)} calls: {words(lost)}")
    wrong = [call for call in calls if call.arrivals != 1]
    probe.expect("call-repeated", not wrong, seen=f"{sum(call.arrivals for call in calls)} for {len(calls)} calls")
    probe.require("change-not-in-force", len(in_force) == CHANGES, seen=f"{len(in_force)} of {CHANGES} changes did")
