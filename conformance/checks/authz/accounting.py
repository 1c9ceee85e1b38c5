"""Each decision can be accounted for: who wanted what, and why it was allowed or refused, and no secret besides."""

from __future__ import annotations

import json
from collections.abc import Iterable

from conformance.checks.authz.refusal import refused_by_no_rule
from conformance.checks.authz.seeing import Seen, see
from conformance.checks.catalogue import check
from conformance.pki.tokens import TokenAuthority, expired_token
from conformance.probe import BYSTANDER, CALLER, WITNESS, BearerTokens, EvidenceKind, Feature, Probe

PATH = f"/{WITNESS}/accounted"
AUDIENCE = "witness.mesh.test"
QUERY_SECRET = "hidden-in-the-query"  # noqa: S105 -- a value to look for in logs


async def call_with(probe: Probe, what: str, member: str, token: str) -> Seen:
    """One call straight to the subject's security server, with a secret in its query and one in a header."""
    headers = {"authorization": f"Bearer {token}"}
    async with probe.peer_connection(member) as connection:
        exchange = await connection.call(f"{PATH}?key={QUERY_SECRET}", headers=headers)
    return await see(probe, what, exchange)


def names(seen: Seen, identity: str) -> bool:
    """The access log, and the decision log as far as the service was asked, name this caller and this operation."""
    wanted = (identity, f"GET {PATH}")
    logged = [(seen.line.get("caller"), seen.line.get("operation"))]
    return all(each == wanted for each in [*logged, *((one.caller, one.operation) for one in seen.decisions)])


def gives_reason(seen: Seen, reason: str, *, by_rule: bool) -> bool:
    """The access log says by which rule, if any, it got through, and both logs say what the service decided."""
    line, decided = seen.line, [(each.allowed, each.reason) for each in seen.decisions]
    if not by_rule:
        return refused_by_no_rule(line, str(line.get("caller"))) and not decided
    return (
        bool(line.get("rule")) and line.get("authentication") == reason and decided == [(reason == "allowed", reason)]
    )


@check(
    id="AUTHZ-015",
    title="Each decision is logged with caller, operation and reason, allowed ones too, and without secrets",
    proves=["AUTHZ-R20"],
    needs=[Feature.AUTHORIZATION, Feature.AUTHENTICATION_SERVICE, Feature.OBSERVABILITY],
    evidence=["decisions"],
    fails={
        "decision-not-logged": "Each decision has a line in the security server's access log.",
        "caller-or-operation-missing": "Access log and decision log name the caller's identity and the operation.",
        "reason-missing": "The access log says which rule let a call through or that none did, and what the "
        "authentication service decided; the decision log says the same.",
        "secret-logged": "Neither log holds a token or a query.",
    },
    inconclusive={
        "policy-not-in-force": "The security servers decide by the changed policy within the time for that.",
        "known-caller-refused": "A call with a good token is served, and one with a bad one is not.",
    },
    remedy="Log %DOWNSTREAM_PEER_URI_SAN%, %REQ(:METHOD)%, the path without its query, %RESPONSE_CODE_DETAILS%, "
    "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)% and the reason from the metadata of "
    "envoy.filters.http.ext_authz, for every call; no header that holds a secret.",
)
async def accounts_for_decisions(probe: Probe) -> None:
    """Whoever asks later why somebody could read a record must find the answer, and must not find a key beside it.

    Three calls of one operation: allowed by rule and by the authentication service, refused because no rule names the
    caller, and refused by the service because the token has expired. For each of them access log and decision log, tied
    by the request id, must tell caller, operation and reason. Then both are searched for the tokens and for a secret
    that stood in the query.
    """
    issuer = TokenAuthority()
    trusted = await probe.authentication.trust(issuer)
    policy = probe.policy().changed(authentication=True, tokens=BearerTokens(AUDIENCE, (issuer.name,)))
    in_force = trusted and await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")
    good, bad = issuer.token(AUDIENCE), expired_token(issuer, AUDIENCE)
    allowed = await call_with(probe, "allowed", CALLER, good)
    unruled = await call_with(probe, "refused by the rules", BYSTANDER, good)
    refused = await call_with(probe, "refused by the service", CALLER, bad)
    calls = (allowed, unruled, refused)
    answered = [each.exchange.status for each in calls]
    probe.require("known-caller-refused", answered == [200, 403, 401], seen=f"answered {answered}")
    logs = await texts(probe, calls)
    found = sorted({where for where, text in logs.items() for secret in (good, bad, QUERY_SECRET) if secret in text})
    observed = {each.what: {**each.to_json(), "access_log": shown(each, (good, bad, QUERY_SECRET))} for each in calls}
    probe.record("decisions", EvidenceKind.EXCHANGE, observed | {"secrets found in": found})

    for each in calls:
        probe.expect("decision-not-logged", each.line, seen=each.summary)
    for each, member in ((allowed, CALLER), (unruled, BYSTANDER), (refused, CALLER)):
        named = names(each, probe.identity(member))
        said = f"access log: {each.line.get('caller')} {each.line.get('operation')}; {each.summary}"
        probe.expect("caller-or-operation-missing", named, seen=said)
    given = {
        "allowed": gives_reason(allowed, "allowed", by_rule=True),
        "refused by the rules": gives_reason(unruled, "", by_rule=False),
        "refused by the service": gives_reason(refused, "token-expired", by_rule=True),
    }
    lacking = [what for what, reason_given in given.items() if not reason_given]
    probe.expect("reason-missing", not lacking, seen=", ".join(lacking) or "all reasons are given")
    probe.expect("secret-logged", not found, seen=", ".join(found) or "none of the secrets was found")


async def texts(probe: Probe, calls: Iterable[Seen]) -> dict[str, str]:
    """What each log holds about these calls; the decision log as a whole."""
    lines = [line for each in calls for line in probe.lines(each.exchange)]
    *_, last = calls

    async def written() -> str | None:
        return await probe.authentication.log_text(last.exchange)

    decisions: str | None = await probe.eventually(written, what="the last decision is in the decision log")
    return {"access log": json.dumps(lines), "decision log": decisions or ""}


def shown(seen: Seen, secrets: Iterable[str]) -> dict[str, str]:
    """The access-log line as evidence; a secret in it does not enter the record."""
    return {
        name: "(a secret)" if any(each in str(value) for each in secrets) else value
        for name, value in seen.line.items()
    }
