"""Paths written in another way: no spelling opens more than the rule says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.checks.authz.reading import within
from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.catalogue import check
from conformance.probe import (
    BYSTANDER,
    WITNESS,
    AccessRule,
    EvidenceKind,
    Exchange,
    Feature,
    PathMatch,
    PathMatchKind,
    Probe,
)

PATHS = (PathMatch(PathMatchKind.PREFIX, "/v1/public"), PathMatch(PathMatchKind.EXACT, "/v1/report"))
HONEST = f"/{WITNESS}/v1/public/list"

TRICKS = [
    "//v1/private",
    "/v1//private",
    "/v1/public//../private",
    "/./v1/private",
    "/v1/public/./../private",
    "/v1/public/../private",
    "/v1/public/../../v1/private",
    "/v1/public/../../../elsewhere",
    "/v1/public/%2e%2e/private",
    "/v1/public/.%2E/private",
    "/v1/public%2f..%2fprivate",
    "/v1/public/..%2Fprivate",
    "/v1/public/..%5cprivate",
    "/v1/public/..\\private",
    "/v1/public\\..\\private",
    "/v1/public/..;/private",
    "/v1/public/..;x=1/private",
    "/v1/public/..%3b/private",
    "/v1/public;x/../private",
    "/v1/public;/private",
    "/v1/public;x",
    "/v1/report;x",
    "/v1/report/",
    "/v1/report//",
    "/v1/report/.",
    "/v1/REPORT",
    "/V1/public",
    "/v1/PUBLIC/list",
    "/v1/report%00",
    "/v1/report%20",
    "/v1/public%00/../private",
    "/v1/public/%252e%252e/private",
    "/v1/public/..%252fprivate",
    "/v1/public/%c0%ae%c0%ae/private",
    "/v1/%70rivate",
    "/v1/private#/v1/public",
    "/v1/public#/../private",
    "/v1/private?/v1/public",
]
WHOLE_TARGETS = [
    f"//{WITNESS}/v1/private",
    f"/{WITNESS.upper()}/v1/public",
    f"/elsewhere/../{WITNESS}/v1/private",
]
# Only HTTP/1.1 has these forms (RFC 9112 section 3.2).
OTHER_FORMS = [
    f"http://mesh.test/{WITNESS}/v1/private",
    f"http://mesh.test/{WITNESS}/v1/public/../private",
    f"https://mesh.test//{WITNESS}/v1/private",
    f"{WITNESS}/v1/private",
]


@dataclass(frozen=True)
class Attempt:
    """One trick and what became of it."""

    target: str
    exchange: Exchange
    details: str
    for_no_rule: bool
    arrived: Sequence[str]

    @property
    def widened(self) -> bool:
        """Something arrived that the rule does not allow."""
        return not all(within(target, PATHS) for target in self.arrived)

    @property
    def answered_well(self) -> bool:
        """It was understood as an allowed path, refused by the rules, or refused as malformed."""
        match self.exchange.status:
            case 200:
                return bool(self.arrived)
            case 403:
                return self.for_no_rule
            case status:
                return status == 400

    @property
    def summary(self) -> str:
        """In a few words."""
        return f"{self.target}: {self.exchange.summary}, arrived: {', '.join(self.arrived) or 'nothing'}"

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {"status": self.exchange.status, "decision": self.details, "arrived": list(self.arrived)}


async def attempt(probe: Probe, *, http2: bool) -> list[Attempt]:
    """Make all calls over one protocol, then look up their access-log lines; what is malformed may have none."""
    targets = [f"/{WITNESS}{path}" for path in TRICKS] + WHOLE_TARGETS + ([] if http2 else OTHER_FORMS)
    async with probe.peer_connection(BYSTANDER, http2=http2) as connection:
        made = [(target, await connection.call(target)) for target in targets]
    attempts = []
    for target, exchange in made:
        line = None if exchange.status in {None, 400} else await probe.line(exchange)
        details = str(line.get("details")) if line else ""
        no_rule = refused_by_no_rule(line, probe.identity(BYSTANDER))
        arrived = [arrival.target for arrival in probe.arrivals(exchange.nonce)]
        attempts.append(Attempt(target, exchange, details, no_rule, arrived))
    return attempts


def some_of(summaries: Sequence[str]) -> str:
    """The first few; all of them are in the evidence."""
    more = f" and {len(summaries) - 3} more" if len(summaries) > 3 else ""
    return "; ".join(summaries[:3]) + more


def as_evidence(attempts: Sequence[Attempt]) -> Mapping[str, Any]:
    """Each trick under the target as it was sent."""
    return {each.target: each.to_json() for each in attempts}


@check(
    id="AUTHZ-003",
    title="No other spelling of a path opens more than the rule says",
    proves=["AUTHZ-R6", "AUTHZ-R19"],
    needs=[Feature.AUTHORIZATION],
    evidence=["allowed path", "tricks over HTTP/1.1", "tricks over HTTP/2"],
    fails={
        "rule-widened": "Nothing arrives outside the allowed paths, however the target was spelt and the path is read.",
        "wrong-refusal": "A trick is understood as an allowed path, refused with 403 because no rule matches, or "
        "refused with 400 as malformed.",
    },
    inconclusive={
        "rules-not-in-force": "The security server decides by the new rules within the time for that.",
        "allowed-path-refused": "The allowed path is served when it is spelt as in the rule.",
        "allowed-path-refused-afterwards": "The allowed path is still served after all tricks.",
    },
    remedy="On the HTTP connection manager for peers set normalize_path, merge_slashes and "
    "path_with_escaped_slashes_action: REJECT_REQUEST; let rules compare the path letter by letter "
    "(no ignore_case), with a slash at the end of a prefix, and let the building block see the same "
    "path.",
)
async def keeps_rules_against_path_tricks(probe: Probe) -> None:
    """Rules compare text, applications read paths: where the two differ, a spelling becomes a key.

    A member that may only GET below `/v1/public` and at `/v1/report` asks for other paths in many spellings: empty and
    dot segments, percent-encodings once and twice, path parameters, backslashes, other letter case, trailing slashes,
    fragments, NUL, overlong UTF-8, absolute-form targets (RFC 3986 section 6.2.2; RFC 9112 section 3.2), over HTTP/1.1
    and HTTP/2. What arrived at the witness is read as it stands and as lenient servers would read it; both must be
    allowed. The allowed path is served before and afterwards.
    """
    rule = AccessRule(probe.identity(BYSTANDER), methods=("GET",), paths=PATHS)
    policy = probe.policy().changed(access=(rule,))
    propagation = await probe.apply(policy)
    async with probe.peer_connection(BYSTANDER) as honest:
        decided = await probe.first_decided_by(policy, lambda: honest.call(HONEST))
        probe.require("rules-not-in-force", decided, seen=f"no call was decided by the new rules: {propagation}")
        allowed = await honest.call(HONEST)
        probe.record_exchange("allowed path", allowed)
        probe.require("allowed-path-refused", allowed.status == 200, seen=allowed.summary)

        over_http1 = await attempt(probe, http2=False)
        probe.record("tricks over HTTP/1.1", EvidenceKind.EXCHANGE, as_evidence(over_http1))
        over_http2 = await attempt(probe, http2=True)
        probe.record("tricks over HTTP/2", EvidenceKind.EXCHANGE, as_evidence(over_http2))
        attempts = [*over_http1, *over_http2]
        widened = [each.summary for each in attempts if each.widened]
        probe.expect("rule-widened", not widened, seen=some_of(widened) or "nothing arrived outside")

        again = await honest.call(HONEST)
        probe.require("allowed-path-refused-afterwards", again.status == 200, seen=again.summary)
    wrong = [each.summary for each in attempts if not each.answered_well]
    probe.expect("wrong-refusal", not wrong, seen=some_of(wrong) or "all were answered as expected")
