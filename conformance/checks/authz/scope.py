"""How far a rule reaches: to its caller, its methods and its paths, and no step further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.catalogue import check
from conformance.probe import (
    BYSTANDER,
    CALLER,
    WITNESS,
    AccessRule,
    EvidenceKind,
    Exchange,
    Feature,
    KeptConnection,
    PathMatch,
    PathMatchKind,
    Probe,
)

ALLOWED = "allowed"
OTHER_CALLER = "other-caller-let-through"
OTHER_METHOD = "other-method-let-through"
OTHER_PATH = "other-path-let-through"

# The caller may GET everything below /v1/public, the bystander may POST to /v1/reports: neither may what the other may.
TABLE = [
    (CALLER, "GET", "/v1/public", ALLOWED),
    (CALLER, "GET", "/v1/public/lists/7", ALLOWED),
    (BYSTANDER, "POST", "/v1/reports", ALLOWED),
    (BYSTANDER, "GET", "/v1/public", OTHER_CALLER),
    (CALLER, "POST", "/v1/reports", OTHER_CALLER),
    (CALLER, "POST", "/v1/public", OTHER_METHOD),
    (CALLER, "DELETE", "/v1/public/lists/7", OTHER_METHOD),
    (CALLER, "HEAD", "/v1/public", OTHER_METHOD),
    (BYSTANDER, "PUT", "/v1/reports", OTHER_METHOD),
    (CALLER, "GET", "/v1/private", OTHER_PATH),
    (CALLER, "GET", "/v1/publications", OTHER_PATH),
    (CALLER, "GET", "/v1", OTHER_PATH),
    (CALLER, "GET", "/", OTHER_PATH),
    (BYSTANDER, "POST", "/v1/reports/7", OTHER_PATH),
]


@dataclass(frozen=True)
class Decision:
    """One call of the table and what became of it."""

    who: str
    call: str
    kind: str
    exchange: Exchange
    details: str
    for_no_rule: bool
    arrived: int

    @property
    def summary(self) -> str:
        """In a few words."""
        return f"{self.who}: {self.call}: {self.exchange.summary}, {self.arrived} arrived, {self.details}"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "caller": self.who,
            "call": self.call,
            "expected": "served" if self.kind == ALLOWED else "refused",
            "status": self.exchange.status,
            "decision": self.details,
            "arrived": self.arrived,
        }


async def decide(probe: Probe, connections: dict[str, KeptConnection]) -> list[Decision]:
    """Make every call of the table and look at what the security server says about it."""
    made = []
    for who, method, path, kind in TABLE:
        made.append((who, f"{method} {path}", kind, await connections[who].call(f"/{WITNESS}{path}", method=method)))
    decisions = []
    for who, call, kind, exchange in made:
        line = await probe.line(exchange)
        no_rule = refused_by_no_rule(line, probe.identity(who))
        details = str(line.get("details")) if line else "not in the access log"
        arrived = len(probe.arrivals(exchange.nonce))
        decisions.append(Decision(who, call, kind, exchange, details, no_rule, arrived))
    return decisions


@check(
    id="AUTHZ-002",
    title="A rule lets through its caller, its methods and its paths, and nothing else",
    proves=["AUTHZ-R2", "AUTHZ-R3", "AUTHZ-R4"],
    needs=[Feature.AUTHORIZATION],
    evidence=["known caller", "calls"],
    fails={
        OTHER_CALLER: "A rule that names a caller lets through nobody else.",
        OTHER_METHOD: "A rule that names a method lets through no other.",
        OTHER_PATH: "A rule that names a path lets through no other; a prefix ends where a segment ends.",
        "allowed-call-refused": "Every call that a rule allows is served by the application.",
        "wrong-reason": "Every other call is refused with 403 because no rule matches, and the access log says so.",
    },
    inconclusive={
        "known-caller-refused": "Before the rules change, the caller is served by the witness.",
        "rules-not-in-force": "The security server decides by the new rules within the time for that.",
    },
    remedy="Compare the RBAC policies with the rules that they come from: each rule is a policy of its own, "
    "in which principal (exact), methods and paths hold together (and_rules), and a path prefix ends "
    "with a slash.",
)
async def keeps_rules_in_scope(probe: Probe) -> None:
    """A rule is a promise to the one who wrote it: this caller, these methods, these paths.

    Two rules allow two members different things of the witness: GET below a prefix to one, POST to one exact path to
    the other. Both then make calls that differ from an allowed one in one respect only (GovStack CFR security
    requirement 3; Envoy documentation: "Role Based Access Control"). What reached the witness tells who was let
    through; the access log tells why the others were not.
    """
    public, reports = PathMatch(PathMatchKind.PREFIX, "/v1/public"), PathMatch(PathMatchKind.EXACT, "/v1/reports")
    rules = (
        AccessRule(probe.identity(CALLER), methods=("GET",), paths=(public,)),
        AccessRule(probe.identity(BYSTANDER), methods=("POST",), paths=(reports,)),
    )
    async with probe.peer_connection(CALLER) as caller, probe.peer_connection(BYSTANDER) as bystander:
        known = await caller.call(f"/{WITNESS}/v1/public")
        probe.record_exchange("known caller", known)
        probe.require("known-caller-refused", known.status == 200, seen=known.summary)

        policy = probe.policy().changed(access=rules)
        propagation = await probe.apply(policy)
        decided = await probe.first_decided_by(policy, lambda: caller.call(f"/{WITNESS}/v1/public"))
        probe.require("rules-not-in-force", decided, seen=f"no call was decided by the new rules: {propagation}")
        decisions = await decide(probe, {CALLER: caller, BYSTANDER: bystander})
    probe.record("calls", EvidenceKind.EXCHANGE, {"calls": [decision.to_json() for decision in decisions]})
    judge(probe, decisions)


def judge(probe: Probe, decisions: Sequence[Decision]) -> None:
    """What should not have been let through first; then what should; then why."""
    for kind in (OTHER_CALLER, OTHER_METHOD, OTHER_PATH):
        arrived = [each.summary for each in decisions if each.kind == kind and each.arrived]
        probe.expect(kind, not arrived, seen="; ".join(arrived) or "none of them arrived")
    allowed = [each for each in decisions if each.kind == ALLOWED]
    missing = [each.summary for each in allowed if each.arrived != 1 or each.exchange.status != 200]
    probe.expect("allowed-call-refused", not missing, seen="; ".join(missing) or "all were served")
    refused = [each for each in decisions if each.kind != ALLOWED]
    wrong = [each.summary for each in refused if each.exchange.status != 403 or not each.for_no_rule]
    probe.expect("wrong-reason", not wrong, seen="; ".join(wrong) or "all were refused by no rule")
