"""How long it takes until a change counts: measured on every run, judged where the subject states a bound."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from conformance.checks.catalogue import check
from conformance.checks.policy.measuring import distribution, percentile, seconds_until_decided, within
from conformance.probe import BYSTANDER, CALLER, EvidenceKind, Exchange, Feature, KeptConnection, LogLine, Probe

REVOCATIONS = 5
CHANGES = 50
TIMES = "times"


def by_rules(exchange: Exchange, line: LogLine) -> bool:
    """Refused by the access rules, in answer and log."""
    return exchange.status == 403 and str(line.get("details", "")).startswith("rbac_access_denied")


def shown(bound: float | None) -> str:
    """A bound in words."""
    return "no bound is stated" if bound is None else f"the bound is {bound:g} s"


@check(
    id="POLICY-015",
    title="A caller whose access is revoked is refused on its open connections, within the bound stated",
    proves=["POLICY-R17"],
    needs=[Feature.POLICY, Feature.AUTHORIZATION],
    evidence=[TIMES],
    fails={
        "not-enforced": "After each revocation the rules refuse the caller on each of its open connections.",
        "too-late": "The slowest of these refusals comes within the bound that the run file states.",
    },
    inconclusive={
        "caller-refused": "Before each revocation the caller is served on each of its connections.",
    },
    remedy="Look where time goes between the policy admin service and the security server: a schedule instead of a "
    "notification, changes that are collected, a queue behind other changes. Rules that come with a listener "
    "reach open connections only when these are drained. A bound is stated by `bounds.revocation_s`.",
)
async def revokes_in_time(probe: Probe) -> None:
    """Whoever loses access because of an incident must not finish the evening's work over a connection that happens
    to be open (govstack-cfr-security#req-3).

    The caller keeps three connections: one through its own security server, two to the door of the subject's, in both
    versions of HTTP. Its access is taken away five times, and given back. For each connection the time is measured from
    before the change is asked for until the rules have refused a call on it. The times are recorded; the slowest is
    judged if the run file states a bound.
    """
    bound = probe.subject.bounds.revocation_s
    with_access = probe.policy().changed(access=(probe.everything_for(CALLER), probe.everything_for(BYSTANDER)))
    times: dict[str, list[float | None]] = {}
    unserved: list[str] = []
    async with AsyncExitStack() as opened:
        ways = {
            "through the caller's security server": await opened.enter_async_context(probe.connection()),
            "at the door, HTTP/1.1": await opened.enter_async_context(probe.peer_connection()),
            "at the door, HTTP/2": await opened.enter_async_context(probe.peer_connection(http2=True)),
        }

        async def refused(begun: float, connection: KeptConnection) -> float | None:
            return await seconds_until_decided(
                probe, begun, revoked, lambda: probe.call(connection=connection), how=by_rules
            )

        for _ in range(REVOCATIONS):
            with_access = with_access.changed()
            await probe.apply(with_access)
            decided = await probe.first_decided_by(with_access, probe.call)
            served = {way: await probe.call(connection=connection) for way, connection in ways.items()}
            unserved += [f"{way}: {each.summary}" for way, each in served.items() if each.status != 200]
            unserved += [] if decided else ["the policy that grants access did not come in force"]
            revoked = with_access.changed(access=(probe.everything_for(BYSTANDER),))
            if unserved:
                break
            begun = time.monotonic()
            await probe.announce(revoked)
            measured = await asyncio.gather(*(refused(begun, connection) for connection in ways.values()))
            for way, seconds in zip(ways, measured, strict=True):
                times.setdefault(way, []).append(seconds)
            if None in measured:
                break
    known = {way: [each for each in found if each is not None] for way, found in times.items()}
    observed = {way: distribution(found) for way, found in known.items()}
    probe.record(TIMES, EvidenceKind.STATISTICS, {"bound_s": bound, "seconds": observed})

    probe.require("caller-refused", not unserved, seen="; ".join(unserved) or "always served")
    never = [way for way, found in times.items() if None in found]
    probe.expect("not-enforced", not never, seen=f"never refused {', '.join(never)}" if never else "always refused")
    slowest = max(max(found) for found in known.values())
    probe.expect("too-late", within(slowest, bound), seen=f"the slowest took {slowest:.3f} s; {shown(bound)}")


@check(
    id="POLICY-016",
    title="The time until a change is enforced is recorded over many changes, and keeps to the bound declared",
    proves=["POLICY-R20"],
    needs=[Feature.POLICY],
    evidence=[TIMES],
    fails={
        "too-slow": "Of fifty changes, 99 % are enforced within the bound that the run file declares.",
    },
    inconclusive={
        "change-not-in-force": "Each change comes to decide calls.",
    },
    remedy="Compare the slowest changes in the record with the others: a full collection of garbage, a database that "
    "is backed up, a control plane that renders everything for each change. The bound is declared by "
    "`bounds.propagation_s`; measure before you declare.",
)
async def propagates_in_time(probe: Probe) -> None:
    """An average hides the one change in a hundred that takes a minute, and that one may be the revocation (GovStack IM
    1.1.1 §5.2 asks for the distribution).

    Fifty changes of one service follow one another, each when the one before has decided a call. The time of each is
    measured from before it is asked for until a call that it decided is answered, as the access log tells. Least,
    median, greatest and the percentiles between are recorded; the 99th is judged if the run file declares a bound.
    """
    bound = probe.subject.bounds.propagation_s
    policy = probe.policy()
    times: list[float] = []
    async with probe.connection() as connection:
        for number in range(CHANGES):
            policy = policy.changed(timeout_s=20.0 + number)
            begun = time.monotonic()
            await probe.administration.burst(policy)
            seconds = await seconds_until_decided(probe, begun, policy, lambda: probe.call(connection=connection))
            if seconds is None:
                break
            times.append(seconds)
    probe.record(TIMES, EvidenceKind.STATISTICS, {"bound_s": bound, "seconds": distribution(times)})

    seen = f"{len(times)} of {CHANGES} changes did"
    probe.require("change-not-in-force", len(times) == CHANGES, seen=seen)
    slow = percentile(times, 99)
    probe.expect("too-slow", within(slow, bound), seen=f"99 % took at most {slow:.3f} s; {shown(bound)}")
