"""Hand-made run records: what a run may leave behind, without a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from conformance.model.check import Check, Topology
from conformance.model.record import PlanEntry, RunRecord, Waiver, apply_waivers
from conformance.model.requirements import Level, Requirement, Source
from conformance.model.timeouts import Timeouts
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Place, Result, Verdict

SUBJECT_PLACE = Place("birth-registry.meshmark.yaml", 2, 1)
OPERATION_PLACE = Place("contracts/birth-registry-v1.yaml", 41, 5)

AT = "2026-11-03T14:02:07.250Z"
TODAY = date(2026, 11, 3)

TEXTS = {
    "MTLS-R1": "A security server lets a call in only from a caller that proves a mesh identity with a certificate.",
    "MTLS-R2": "A certificate that has expired is refused, and the refusal says that it has expired.",
    "MTLS-R3": "TLS below version 1.2 is refused.",
    "POLICY-R1": "A changed rule is enforced without a restart of any security server.",
    "POLICY-R2": "A configuration that a security server rejects leaves the one before in force.",
    "AUTHZ-R1": "A caller reaches only the services that a rule opens to it; everything else is refused.",
    "ROUTE-R1": "Calls are split among versions of a service by the weights of the rule, within statistical bounds.",
    "RETRY-R1": "A call that failed with a retriable status is repeated as often as the rule says, and no oftener.",
    "BREAK-R1": "Calls beyond the allowed number at once are refused at once, and marked as overload.",
    "RATE-R1": "Calls beyond the rate of the rule are answered with 429 before they reach the building block.",
    "RATE-R2": "A limit counts calls across all security servers.",
    "DISCOVERY-R1": "An endpoint that is taken out of the registry gets no new calls.",
    "TRACE-R1": "A call keeps its trace context from the first security server to the building block.",
    "API-R1": "Every documented operation answers as its OpenAPI document says.",
    "API-R2": "Input that the OpenAPI document forbids is refused with a documented 4xx.",
}
SOURCES = {
    "MTLS-R1": ("govstack-im-1.1.1 §7.1", "RFC 8446 §4.4.2.4"),
    "MTLS-R2": ("RFC 5280 §6.1",),
    "MTLS-R3": ("RFC 8996",),
    "POLICY-R1": ("govstack-cfr §8.1.5",),
    "POLICY-R2": ("Envoy docs, xDS protocol",),
    "AUTHZ-R1": ("govstack-cfr security 3", "Envoy docs, RBAC"),
    "ROUTE-R1": ("Envoy docs, traffic splitting",),
    "RETRY-R1": ("RFC 9110 §9.2.2",),
    "BREAK-R1": ("Envoy docs, circuit breaking",),
    "RATE-R1": ("RFC 6585 §4",),
    "RATE-R2": ("Envoy docs, global rate limiting",),
    "DISCOVERY-R1": ("Envoy docs, service discovery",),
    "TRACE-R1": ("W3C Trace Context",),
    "API-R1": ("OpenAPI 3.1",),
    "API-R2": ("OpenAPI 3.1",),
}
RECOMMENDED = {"MTLS-R3", "ROUTE-R1", "RATE-R2", "TRACE-R1"}


def requirement(identifier: str) -> Requirement:
    level = Level.SHOULD if identifier in RECOMMENDED else Level.MUST
    sources = tuple(Source(name) for name in SOURCES.get(identifier, ()))
    return Requirement(identifier, level, TEXTS.get(identifier, "Something holds."), sources, (), {"mesh": level})


WHY = {
    "MTLS-001": (
        "A caller that nobody can name cannot be held to account, so its call dies in the handshake.\n\n"
        "A client that trusts the mesh but shows no certificate connects, listens for `certificate_required` and,\n"
        "should it be accepted, sends a request. A member of the mesh is served before and afterwards."
    ),
    "MTLS-003": "Versions of TLS before 1.2 can be broken; a server that still speaks them can be talked down.",
    "ROUTE-003": "A new version is tried on a few before all depend on it; wrong weights try it on too many.",
    "DISCOVERY-002": "An endpoint leaves the registry because it goes away; calls that still go there are lost.",
}
REMEDIES = {
    "MTLS-001": "Set require_client_certificate on the inbound listener and give it a validation context.",
    "MTLS-003": "Set tls_minimum_protocol_version to TLSv1_2.",
    "ROUTE-003": "Compare the weights of the route with those of the rule.",
    "DISCOVERY-002": "Set update_merge_window to 0s on the cluster.",
}


async def never_called(_: Any) -> None:
    """Plans need checks, and checks need bodies."""


def entry(identifier: str, title: str, proves: Sequence[str], level: Level, **left_out: Any) -> PlanEntry:
    check = Check(
        id=identifier,
        title=title,
        proves=tuple(proves),
        needs=frozenset(),
        evidence=("something",),
        fails={"wrong": "it is right"},
        remedy=REMEDIES.get(identifier, "mend the setting that its title names"),
        inconclusive={},
        topologies=(Topology.INTER_PROXY,),
        separate_hosts=False,
        description=WHY.get(identifier, "It matters.\n\nIt is done as it has to be done."),
        body=never_called,
    )
    return PlanEntry(check, level, run=not left_out, **left_out)


def judged(plan: PlanEntry, verdict: Verdict, **facts: Any) -> Result:
    defaults: dict[str, Any] = {
        "reason": "",
        "reproduce": f"meshmark certify birth-registry.meshmark.yaml --only {plan.check.id} --seed 1729",
        "started": AT,
        "duration_s": 0.412,
    }
    return Result(
        check=plan.check.id,
        title=plan.check.title,
        level=plan.level,
        proves=plan.check.proves,
        verdict=verdict,
        **(defaults | facts),
    )


ANONYMOUS = entry("MTLS-001", "A caller without a mesh certificate is refused", ["MTLS-R1"], Level.MUST)
EXPIRED = entry("MTLS-002", "A caller with an expired certificate is refused, and is told why", ["MTLS-R2"], Level.MUST)
OLD_TLS = entry("MTLS-003", "TLS 1.1 is refused", ["MTLS-R3"], Level.SHOULD)
PROPAGATION = entry(
    "POLICY-001", "A new deny rule acts on open connections without a restart", ["POLICY-R1"], Level.MUST
)
REJECTED = entry("POLICY-002", "A rejected configuration changes nothing", ["POLICY-R2", "POLICY-R1"], Level.MUST)
RULES = entry("AUTHZ-001", "A caller that no rule names is refused", ["AUTHZ-R1"], Level.MUST)
WEIGHTS = entry("ROUTE-003", "Weights 90 : 10 hold over 2,000 calls", ["ROUTE-R1"], Level.SHOULD)
REPEATS = entry("RETRY-001", "A 503 is retried twice and no oftener", ["RETRY-R1"], Level.MUST)
BREAKER = entry("BREAK-001", "The eleventh call at once is refused as overload", ["BREAK-R1"], Level.MUST)
LIMIT = entry("RATE-001", "The eleventh call in a second gets 429", ["RATE-R1"], Level.MUST)
WITHDRAWN = entry("DISCOVERY-002", "A withdrawn endpoint gets no new calls", ["DISCOVERY-R1"], Level.MUST)
TRACED = entry("TRACE-001", "The trace context arrives at the building block", ["TRACE-R1"], Level.SHOULD)
CONTRACT = entry("API-001", "Every documented operation answers as documented", ["API-R1"], Level.MUST)
GENERATED = entry("API-002", "Generated input meets only documented answers", ["API-R1", "API-R2"], Level.MUST)
GLOBAL_LIMIT = entry(
    "RATE-004",
    "A limit holds across two security servers",
    ["RATE-R2"],
    Level.SHOULD,
    reason="needs the feature global-rate-limit, optional in profile mesh and not declared",
    verdict_if_not_run=Verdict.NOT_APPLICABLE,
)
DESELECTED = entry(
    "TRACE-004", "Spans are exported within their time", ["TRACE-R1"], Level.MAY, reason="not selected by --only"
)

KNOWN_CALLER = Evidence(
    "known caller",
    EvidenceKind.EXCHANGE,
    {
        "request": {
            "method": "POST",
            "url": "https://birth-registry.mesh.test/v1/births?draft=false",
            "headers": {
                "content-type": "application/json",
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            },
            "body": '{"child": {"family_name": "Nkemelu", "given_names": ["Adaeze"]}}',
        },
        "response": {
            "status": 201,
            "headers": [["content-type", "application/json"], ["x-envoy-upstream-service-time", "3"]],
            "body": '{"id": "b-1042"}',
        },
        "failure": None,
        "http_version": "HTTP/2",
        "duration_s": 0.0071,
        "access_log": {"response_code": 201, "response_flags": "-", "peer": "spiffe://mesh.test/registry-office"},
    },
    AT,
)
ANONYMOUS_CALLER = Evidence(
    "anonymous caller",
    EvidenceKind.HANDSHAKE,
    {
        "tls": "TLSv1.3",
        "alert": None,
        "completed": True,
        "client_certificate": "none",
        "failed_at": None,
        "cipher": "TLS_AES_256_GCM_SHA384",
    },
    AT,
)
COUNTERS = Evidence(
    "requests let through",
    EvidenceKind.STATISTICS,
    {
        "before": {
            "listener.inbound.ssl.fail_verify_no_cert": 0,
            "listener.inbound.ssl.handshake": 4,
            "http.inbound.rq_total": 4,
        },
        "after": {
            "listener.inbound.ssl.fail_verify_no_cert": 0,
            "listener.inbound.ssl.handshake": 6,
            "http.inbound.rq_total": 6,
        },
    },
    AT,
)
LOG = Evidence(
    "access log of the security server",
    EvidenceKind.ACCESS_LOG,
    {
        "lines": [
            '{"response_code":201,"response_flags":"-","peer":"spiffe://mesh.test/registry-office","path":"/v1/births"}',
            '{"response_code":201,"response_flags":"-","peer":null,"path":"/v1/births"}',
        ],
        "server": "birth-registry-security-server",
    },
    AT,
)
STEPS = Evidence(
    "how the change spread",
    EvidenceKind.PROPAGATION,
    {
        "nonce": "c7d1",
        "servers": [
            {
                "server": "registry-office",
                "version": "v12",
                "acknowledged_ms": 0.7,
                "enforced_ms": 1.9,
                "restart_epoch": 0,
            },
            {
                "server": "birth-registry",
                "version": "v12",
                "acknowledged_ms": 0.8,
                "enforced_ms": 2.4,
                "restart_epoch": 0,
            },
        ],
        "slice": {"rules": {"action": "DENY", "policies": {"c7d1": {"permissions": [{"any": True}]}}}},
    },
    AT,
)
ARRIVED = Evidence(
    "arrivals by version", EvidenceKind.ARRIVALS, {"by_version": {"v1": 1688, "v2": 312}, "calls": 2000}, AT
)


def conformant() -> RunRecord:
    plan = (ANONYMOUS, PROPAGATION, GLOBAL_LIMIT, CONTRACT)
    results = (
        judged(
            ANONYMOUS,
            Verdict.PASS,
            expectations=(
                Expectation(
                    "known-caller-served", "the call with a mesh certificate is answered", "201 in 7 ms", met=True
                ),
                Expectation(
                    "anonymous-refused",
                    "the handshake ends with certificate_required",
                    "certificate_required",
                    met=True,
                ),
            ),
            evidence=(KNOWN_CALLER, COUNTERS),
        ),
        judged(PROPAGATION, Verdict.PASS, evidence=(STEPS,), duration_s=1.25),
        GLOBAL_LIMIT.unrun_result(),
        judged(CONTRACT, Verdict.PASS, duration_s=64.2),
    )
    return record(plan, results)


def not_conformant() -> RunRecord:
    plan = (
        ANONYMOUS, EXPIRED, OLD_TLS, PROPAGATION, REJECTED, RULES, WEIGHTS, REPEATS, BREAKER, LIMIT, GLOBAL_LIMIT,
        WITHDRAWN, TRACED, DESELECTED, CONTRACT, GENERATED,
    )  # fmt: skip
    results = (
        judged(
            ANONYMOUS,
            Verdict.FAIL,
            reason="anonymous-served",
            expected="the handshake of a caller without a certificate ends with the alert certificate_required",
            seen="the handshake succeeded, and POST /v1/births was answered with 201",
            next_step=ANONYMOUS.check.remedy,
            expectations=(
                Expectation(
                    "known-caller-served", "the call with a mesh certificate is answered", "201 in 7 ms", met=True
                ),
                Expectation(
                    "anonymous-served",
                    "the handshake of a caller without a certificate ends with the alert certificate_required",
                    "the handshake succeeded, and POST /v1/births was answered with 201",
                    met=False,
                ),
                Expectation("counter-unmoved", "fail_verify_no_cert grows by 1", "it stayed at 0", met=False),
            ),
            evidence=(KNOWN_CALLER, ANONYMOUS_CALLER, COUNTERS, LOG),
        ),
        judged(EXPIRED, Verdict.PASS, evidence=(ANONYMOUS_CALLER,)),
        judged(
            OLD_TLS,
            Verdict.FAIL,
            reason="old-tls-accepted",
            expected="a ClientHello with TLS 1.1 at most is refused with the alert protocol_version",
            seen="the handshake succeeded with TLS 1.1",
            next_step=OLD_TLS.check.remedy,
        ),
        judged(PROPAGATION, Verdict.PASS, evidence=(STEPS,), duration_s=1.25),
        judged(REJECTED, Verdict.PASS, duration_s=0.98),
        judged(RULES, Verdict.PASS),
        judged(
            WEIGHTS,
            Verdict.FAIL,
            reason="weights-off",
            expected="between 161 and 241 of 2,000 calls reach version 2 (99.9 %, binomial)",
            seen="312 of 2,000 calls reached version 2",
            next_step=WEIGHTS.check.remedy,
            evidence=(ARRIVED,),
            duration_s=6.31,
        ),
        judged(REPEATS, Verdict.PASS),
        judged(
            BREAKER,
            Verdict.INCONCLUSIVE,
            reason="slow-call-not-held",
            expected="ten calls at once are held open by the building block",
            seen="only 7 of 10 calls were open at once before the deadline",
            next_step="run again on a machine with less load, or raise timeouts.request in the run file",
            duration_s=10.2,
        ),
        judged(LIMIT, Verdict.PASS),
        GLOBAL_LIMIT.unrun_result(),
        judged(
            WITHDRAWN,
            Verdict.FAIL,
            reason="withdrawn-still-called",
            expected="no call reaches the endpoint after its withdrawal is acknowledged",
            seen="3 of 200 calls reached it, the last one 940 ms after",
            next_step=WITHDRAWN.check.remedy,
            duration_s=3.4,
        ),
        judged(
            TRACED,
            Verdict.ERROR,
            reason="collector-gone",
            expected="the span collector of the suite listens",
            seen="the collector ended with exit status 1",
            next_step="report a bug with this record",
        ),
        DESELECTED.unrun_result(),
        judged(CONTRACT, Verdict.PASS, duration_s=2.2),
        judged(GENERATED, Verdict.PASS, duration_s=64.2),
    )
    waivers = (
        Waiver(
            "DISCOVERY-002",
            "Endpoints are withdrawn at night only; mended in release 1.3",
            "Jane Mwangi",
            date(2027, 1, 31),
        ),
        Waiver("RETRY-001", "The proxy retried four times before release 1.2", "Jane Mwangi", date(2026, 12, 31)),
    )
    return record(plan, results, waivers)


def interrupted() -> RunRecord:
    plan = (ANONYMOUS, PROPAGATION, RULES, GLOBAL_LIMIT, CONTRACT)
    results = (
        judged(ANONYMOUS, Verdict.PASS, evidence=(KNOWN_CALLER,)),
        PROPAGATION.unrun_result("the run was interrupted by Ctrl-C"),
        RULES.unrun_result("the run was interrupted by Ctrl-C"),
        GLOBAL_LIMIT.unrun_result(),
        CONTRACT.unrun_result("the run was interrupted by Ctrl-C"),
    )
    return replace(record(plan, results), interrupted=True, trouble="Ctrl-C after 1 of 4 checks")


def record(plan: tuple[PlanEntry, ...], results: tuple[Result, ...], waivers: Sequence[Waiver] = ()) -> RunRecord:
    proven = {requirement for each in plan for requirement in each.check.proves}
    results = tuple(
        replace(each, place=OPERATION_PLACE if each.check.startswith("API-") else SUBJECT_PLACE) for each in results
    )
    return RunRecord(
        suite={"name": "meshmark", "version": "0.1.0", "catalogue_digest": "sha256:" + "5e" * 32},
        subject={
            "role": "building-block",
            "name": "birth-registry",
            "vendor": "Example Registries Ltd",
            "version": "1.2",
            "contracts": [
                {"path": "contracts/birth-registry-v1.yaml", "sha256": "a3" * 32},
                {"path": "contracts/notifications.json", "sha256": "0c" * 32},
            ],
        },
        profile="mesh",
        plan=plan,
        results=results,
        waivers=apply_waivers(waivers, results, TODAY),
        environment={
            "envoy_version": "1.40.0",
            "envoy_digest": "sha256:" + "91" * 32,
            "runtime": "process",
            "runtime_reason": "no container engine answers on this machine",
            "hosts": "shared",
            "python": "3.11.2",
            "os": "Linux 6.1 x86_64",
        },
        timeouts=Timeouts().to_json(),
        seed=1729,
        started="2026-11-03T14:02:05.000Z",
        finished="2026-11-03T14:03:41.500Z",
        run_file="birth-registry.meshmark.yaml",
        requirements=tuple(requirement(each) for each in sorted(proven)),
    )
