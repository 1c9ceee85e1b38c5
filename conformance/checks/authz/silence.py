"""An authentication service that does not answer: no answer is a no, and it does not last longer than it has to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from conformance.checks.authz.seeing import Seen, see, some_of
from conformance.checks.catalogue import check
from conformance.probe import CALLER, WITNESS, EvidenceKind, Exchange, Feature, Probe

PATH = "/while-asking"
TIMEOUTS = "cluster.authentication-service.upstream_rq_timeout"
"""Envoy counts here the questions that it gave up itself (its documentation: "Cluster manager statistics")."""
AT_ONCE = 4


async def straight(probe: Probe) -> Exchange:
    """One call, on a connection of its own, straight to the subject's security server."""
    async with probe.peer_connection() as connection:
        return await connection.call(f"/{WITNESS}{PATH}")


async def put_service_in_path(probe: Probe, name: str) -> None:
    """From now on the authentication service is asked about the witness's calls, and it lets them through."""
    in_force = await probe.put_in_force(probe.policy().changed(authentication=True))
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    served = await see(probe, name, await straight(probe))
    probe.record(name, EvidenceKind.EXCHANGE, served.to_json())
    allowed = served.exchange.status == 200 and [each.reason for each in served.decisions] == ["allowed"]
    probe.require("known-caller-refused", allowed, seen=served.summary)


async def require_service_back(probe: Probe, name: str) -> None:
    """The same call is served again."""
    again = await see(probe, name, await straight(probe))
    probe.record(name, EvidenceKind.EXCHANGE, again.to_json())
    probe.require("not-served-afterwards", again.exchange.status == 200, seen=again.summary)


def expect_closed(probe: Probe, calls: Sequence[Seen]) -> None:
    """Nothing arrived, and the security servers say why."""
    arrived = [each for each in calls if each.arrivals]
    probe.expect("call-forwarded", not arrived, seen=some_of(arrived, otherwise="nothing arrived"))
    wrong = [each for each in calls if not each.closed_without_answer()]
    probe.expect("wrong-reason", not wrong, seen=some_of(wrong, otherwise="all say that the service did not answer"))
    other = [each for each in calls if each.exchange.status != 403]
    probe.expect("wrong-status", not other, seen=some_of(other, otherwise="all were answered 403"))


FAILS = {
    "call-forwarded": "Nothing of a call about which the authentication service said nothing is forwarded.",
    "wrong-reason": "The security server says that the service did not answer (ext_authz_error, flag UAEX).",
    "wrong-status": "The caller is told 403.",
}
INCONCLUSIVE = {
    "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
    "known-caller-refused": "A call is served while the service answers, and its decision log names the call.",
    "not-served-afterwards": "The same call is served again once the service is back.",
}


@check(
    id="AUTHZ-009",
    title="While the authentication service is down calls are refused, and once it is back they are served",
    proves=["AUTHZ-R10", "AUTHZ-R19"],
    needs=[Feature.AUTHENTICATION_SERVICE],
    evidence=["served before", "calls while it is down", "served afterwards"],
    fails=FAILS,
    inconclusive=INCONCLUSIVE,
    remedy="On the ext_authz filter set failure_mode_allow: false and leave status_on_error at 403, for peers and for "
    "applications.",
)
async def stays_closed_while_service_is_down(probe: Probe) -> None:
    """A guard that can be switched off from outside guards nothing: without an answer the door stays closed.

    The authentication service is stopped, so that nobody listens at its address. Calls straight to the provider's
    security server and through that of the calling application must end with the reason that the service could not be
    asked (Envoy documentation: "External Authorization"). The same call is served before, and when it is back.
    """
    await put_service_in_path(probe, "served before")
    async with probe.authentication.down():
        calls = [
            await see(probe, "straight", await straight(probe)),
            await see(probe, "by the application", await probe.call(PATH), CALLER),
        ]
    probe.record("calls while it is down", EvidenceKind.EXCHANGE, {each.what: each.to_json() for each in calls})
    await require_service_back(probe, "served afterwards")
    expect_closed(probe, calls)


@check(
    id="AUTHZ-010",
    title="When the authentication service hangs, each call is refused after the declared timeout",
    proves=["AUTHZ-R11", "AUTHZ-R19"],
    needs=[Feature.AUTHENTICATION_SERVICE],
    evidence=["served before", "calls while it hangs", "served afterwards"],
    fails={
        "caller-kept-waiting": "Every call has an answer while the service still says nothing.",
        **FAILS,
        "not-by-timeout": "The security server counts one timeout of its question for each of the calls.",
    },
    inconclusive=INCONCLUSIVE,
    remedy="On the ext_authz filter set grpc_service.timeout to the declared value and failure_mode_allow: false, and "
    "leave status_on_error at 403; leave the service's cluster without limits that its questions would exceed.",
)
async def closes_when_service_hangs(probe: Probe) -> None:
    """One slow helper must not make the whole mesh wait, nor may impatience open the door.

    The authentication service takes questions and answers none. Four calls at once, on connections of their own, must
    all end while it still hangs, with the reason that it could not be asked, and Envoy must have given up one question
    for each (its statistic `upstream_rq_timeout`), so it was the declared timeout that ended them. Then the service
    answers again, and the same call is served.
    """
    await put_service_in_path(probe, "served before")
    before = (await probe.statistics(f"^{TIMEOUTS}$")).get(TIMEOUTS, 0)
    async with probe.authentication.hanging():
        made = await asyncio.gather(*(straight(probe) for _ in range(AT_ONCE)))
        timeouts = (await probe.statistics(f"^{TIMEOUTS}$")).get(TIMEOUTS, 0) - before
        declared_s = probe.authentication.timeout_s
    calls = [await see(probe, f"call {number}", exchange) for number, exchange in enumerate(made, 1)]
    observed: dict[str, Any] = {each.what: each.to_json() for each in calls}
    observed |= {"timeouts": timeouts, "declared timeout": declared_s}
    probe.record("calls while it hangs", EvidenceKind.EXCHANGE, observed)
    await require_service_back(probe, "served afterwards")
    waiting = [each for each in calls if each.exchange.status is None]
    probe.expect("caller-kept-waiting", not waiting, seen=some_of(waiting, otherwise="all were answered"))
    expect_closed(probe, calls)
    probe.expect("not-by-timeout", timeouts == AT_ONCE, seen=f"{timeouts} timeouts for {AT_ONCE} calls")
