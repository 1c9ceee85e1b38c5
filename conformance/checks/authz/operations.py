"""Rules by operations of a contract: each opens what it names, and not what stands beside, above or below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, WITNESS, AccessRule, EvidenceKind, Exchange, Feature, Operation, Probe

NAMED = (Operation("GET", "/births/{birthId}"), Operation("PUT", "/births/{birthId}/parents/{parentId}"))
OTHERS = (
    Operation("GET", "/births"),
    Operation("POST", "/births"),
    Operation("GET", "/births/statistics"),
    Operation("PATCH", "/births/{birthId}"),
    Operation("DELETE", "/births/{birthId}"),
    Operation("GET", "/births/{birthId}/parents"),
    Operation("GET", "/births/{birthId}/parents/{parentId}"),
    Operation("PUT", "/births/{birthId}/parents/primary"),
)

SERVED = "named-operation-refused"
METHOD = "other-method-let-through"
SIBLING = "sibling-let-through"
DEEPER = "deeper-path-let-through"

TABLE = [
    ("GET", "/births/7", SERVED),
    ("GET", "/births/a-b.c~d", SERVED),
    ("GET", "/births/7?fields=name", SERVED),
    ("PUT", "/births/7/parents/2", SERVED),
    ("DELETE", "/births/7", METHOD),
    ("PATCH", "/births/7", METHOD),
    ("HEAD", "/births/7", METHOD),
    ("POST", "/births", METHOD),
    ("GET", "/births", SIBLING),
    ("GET", "/births/", SIBLING),
    ("GET", "/births/statistics", SIBLING),
    ("PUT", "/births/7/parents/primary", SIBLING),
    ("GET", "/deaths/7", SIBLING),
    ("GET", "/v1/births/7", SIBLING),
    ("GET", "/births/7/", DEEPER),
    ("GET", "/births/7/parents", DEEPER),
    ("GET", "/births/7/parents/2", DEEPER),
    ("PUT", "/births/7/parents/2/3", DEEPER),
    ("PUT", "/births/7/8/parents/2", DEEPER),
]
PLAIN = f"/{WITNESS}/births/1"


@dataclass(frozen=True)
class Tried:
    """One call of the table and what became of it."""

    call: str
    kind: str
    exchange: Exchange
    for_no_rule: bool
    arrived: int

    @property
    def summary(self) -> str:
        """In a few words."""
        return f"{self.call}: {self.exchange.summary}, {self.arrived} arrived"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        expected = "served" if self.kind == SERVED else "refused"
        return {"call": self.call, "expected": expected, "status": self.exchange.status, "arrived": self.arrived}


@check(
    id="AUTHZ-004",
    title="A rule by operations of the contract opens these operations and no others",
    proves=["AUTHZ-R5"],
    needs=[Feature.AUTHORIZATION, Feature.API],
    evidence=["named operation", "calls"],
    fails={
        METHOD: "A rule that names an operation opens its path to no other method.",
        SIBLING: "A rule that names an operation opens no other operation, even if the template fits its path, too.",
        DEEPER: "An expression of a path template stands for one segment, so nothing below the operation is open.",
        SERVED: "Every call of a named operation is served by the application.",
        "wrong-reason": "Every other call is refused with 403 because no rule matches, and the access log says so.",
    },
    inconclusive={
        "rules-not-in-force": "The security server decides by the new rules within the time for that.",
        "known-caller-refused": "One of the named operations can be called at all.",
    },
    remedy="Compare the RBAC policies with the operations: a method and a regular expression of the whole path hold "
    "together, an expression in braces becomes [^/]+, and paths of other operations that fit the same template "
    "are excluded.",
)
async def keeps_to_operations(probe: Probe) -> None:
    """Who may read one birth may not read all of them: a contract divides what paths and methods alone run together.

    A rule names two of ten operations, both with path templates, for one member. That member calls them with several
    values, and then everything near them: other methods of the same path, the collection, an operation without
    expressions that the template would fit as well, and paths that are one segment longer (OpenAPI 3.1, "Path
    Templating"). What reached the witness tells what is open; the access log tells why the rest is not.
    """
    rule = AccessRule(probe.identity(BYSTANDER), operations=NAMED)
    policy = probe.policy().changed(access=(rule,), contract=(*NAMED, *OTHERS))
    propagation = await probe.apply(policy)
    async with probe.peer_connection(BYSTANDER) as connection:
        decided = await probe.first_decided_by(policy, lambda: connection.call(PLAIN))
        probe.require("rules-not-in-force", decided, seen=f"no call was decided by the new rules: {propagation}")
        named = await connection.call(PLAIN)
        probe.record_exchange("named operation", named)
        probe.require("known-caller-refused", named.status == 200, seen=named.summary)
        made = [
            (method, path, kind, await connection.call(f"/{WITNESS}{path}", method=method))
            for method, path, kind in TABLE
        ]
    tried = []
    for method, path, kind, exchange in made:
        no_rule = refused_by_no_rule(await probe.line(exchange), probe.identity(BYSTANDER))
        tried.append(Tried(f"{method} {path}", kind, exchange, no_rule, len(probe.arrivals(exchange.nonce))))
    probe.record("calls", EvidenceKind.EXCHANGE, {"calls": [each.to_json() for each in tried]})
    judge(probe, tried)


def judge(probe: Probe, tried: list[Tried]) -> None:
    """What should not have been let through first; then what should; then why."""
    for kind in (METHOD, SIBLING, DEEPER):
        arrived = [each.summary for each in tried if each.kind == kind and each.arrived]
        probe.expect(kind, not arrived, seen="; ".join(arrived) or "none of them arrived")
    missing = [
        each.summary for each in tried if each.kind == SERVED and (each.arrived, each.exchange.status) != (1, 200)
    ]
    probe.expect(SERVED, not missing, seen="; ".join(missing) or "all were served")
    refused = [each for each in tried if each.kind != SERVED]
    wrong = [each.summary for each in refused if each.exchange.status != 403 or not each.for_no_rule]
    probe.expect("wrong-reason", not wrong, seen="; ".join(wrong) or "all were refused by no rule")
