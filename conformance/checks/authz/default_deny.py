"""What no rule allows: refused, for everybody, before the application sees anything."""

from __future__ import annotations

from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, WITNESS, EvidenceKind, Feature, Probe

TARGET = f"/{WITNESS}/unruled"


@check(
    id="AUTHZ-001",
    title="A member whom no rule names is refused, and nothing of the call reaches the application",
    proves=["AUTHZ-R1", "AUTHZ-R19"],
    needs=[Feature.AUTHORIZATION],
    evidence=["known caller", "unnamed member", "requests let through"],
    fails={
        "call-forwarded": "Nothing of a call that no rule allows reaches the application behind the security server.",
        "wrong-reason": "The security server refuses because no rule matches the member's own identity, and its "
        "access log says so.",
        "wrong-status": "The member is told 403.",
    },
    inconclusive={
        "known-caller-refused": "A caller whom a rule names is served by the witness.",
        "known-caller-refused-afterwards": "The same caller is still served after the other one was refused.",
    },
    remedy="Put an RBAC filter with action ALLOW before the router of the listener for peers, with a "
    "principal in each of its policies and none for everybody (any); shadow_rules only count. Leave "
    "its 403 as it is, and log %RESPONSE_CODE_DETAILS% and %DOWNSTREAM_PEER_URI_SAN%.",
)
async def refuses_whom_no_rule_names(probe: Probe) -> None:
    """To be a member of the mesh is not to be allowed anything: where no rule speaks, the answer is no.

    A member that no rule of the witness names (the bystander) opens a connection with its good certificate and sends a
    call (GovStack CFR security requirements 3 and 9; IM 1.1.1 section 9.1). The handshake succeeds, so the refusal is
    one of authorization: RBAC in the access log, with that member's identity (Envoy documentation: "Role Based Access
    Control"). What reached the witness is counted. The caller whom a rule names is served before and afterwards.
    """
    async with probe.peer_connection() as known, probe.peer_connection(BYSTANDER) as unnamed:
        served = await known.call(TARGET)
        probe.record_exchange("known caller", served)
        probe.require("known-caller-refused", served.status == 200, seen=served.summary)

        exchange = await unnamed.call(TARGET, method="POST", body=b"anything")
        line = await probe.line(exchange)
        probe.record_exchange("unnamed member", exchange, line)
        arrivals = probe.arrivals(exchange.nonce)
        probe.record("requests let through", EvidenceKind.ARRIVALS, {"count": len(arrivals)})
        seen = f"{len(arrivals)} requests reached the application, the answer was {exchange.summary}"
        probe.expect("call-forwarded", not arrivals, seen=seen)

        again = await known.call(TARGET)
        probe.require("known-caller-refused-afterwards", again.status == 200, seen=again.summary)
    reason = line and f"{line.get('details')} for {line.get('caller')}"
    fits = refused_by_no_rule(line, probe.identity(BYSTANDER))
    probe.expect("wrong-reason", fits, seen=f"access log: {reason or 'nothing'}; the answer was {exchange.summary}")
    probe.expect("wrong-status", exchange.status == 403, seen=exchange.summary)
