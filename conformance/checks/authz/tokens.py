"""Bearer tokens: one that is good in every respect, or none at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conformance.checks.authz.seeing import Seen, see, some_of
from conformance.checks.catalogue import check
from conformance.pki import tokens
from conformance.pki.tokens import TokenAuthority
from conformance.probe import WITNESS, BearerTokens, EvidenceKind, Feature, Probe

AUDIENCE = "witness.mesh.test"
PATH = f"/{WITNESS}/by-token"


async def call_with(probe: Probe, what: str, token: str | None) -> Seen:
    """One call straight to the subject's security server, with this token."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with probe.peer_connection() as connection:
        return await see(probe, what, await connection.call(PATH, headers=headers))


async def need_tokens(probe: Probe, issuer: TokenAuthority) -> None:
    """From now on the witness's calls, which were served without one, need a token of this issuer."""
    plain = await call_with(probe, "call without a token", None)
    probe.require("known-caller-refused", plain.exchange.status == 200, seen=plain.summary)
    trusted = await probe.authentication.trust(issuer)
    policy = probe.policy().changed(authentication=True, tokens=BearerTokens(AUDIENCE, (issuer.name,)))
    in_force = trusted and await probe.put_in_force(policy)
    probe.require("policy-not-in-force", in_force, seen="calls were not decided by the changed policy")


def observed(calls: Mapping[str, Seen]) -> dict[str, object]:
    """As evidence, without the tokens."""
    return {what: seen.to_json() | {"challenge": challenge(seen)} for what, seen in calls.items()}


def challenge(seen: Seen) -> str:
    """What the caller is told to do better (RFC 6750 section 3)."""
    return seen.exchange.header("www-authenticate") or ""


def refused_with(seen: Seen, reason: str) -> bool:
    """401 with a challenge, and both logs give this very reason; only whoever sent a token is told of an error."""
    named = 'error="invalid_token"' in challenge(seen)
    told = challenge(seen).startswith("Bearer ") and named == (reason != "token-missing")
    return seen.exchange.status == 401 and told and seen.refused_by_service(reason)


@dataclass(frozen=True)
class Bad:
    """A token that must be refused.

    Attributes:
        what: what is wrong with it.
        token: itself; None: there is none.
        reason: why the authentication service must refuse it.
        let_through: the code for its being let through.

    """

    what: str
    token: str | None
    reason: str
    let_through: str


async def judge(probe: Probe, bad: Sequence[Bad], good: str) -> None:
    """A good token before and after the bad ones."""
    before = await call_with(probe, "good token", good)
    calls = {each.what: await call_with(probe, each.what, each.token) for each in bad}
    after = await call_with(probe, "good token again", good)
    probe.record("good token", EvidenceKind.EXCHANGE, observed({"before": before, "after": after}))
    probe.record("bad tokens", EvidenceKind.EXCHANGE, observed(calls))
    for seen in (before, after):
        let_through = seen.exchange.status == 200 and len(seen.arrivals) == 1
        probe.expect("good-token-refused", let_through, seen=seen.summary)
    for each in bad:
        probe.expect(each.let_through, not calls[each.what].arrivals, seen=calls[each.what].summary)
    wrong = [calls[each.what] for each in bad if not refused_with(calls[each.what], each.reason)]
    probe.expect("wrong-reason", not wrong, seen=some_of(wrong, otherwise="each was refused for its own reason"))


GOOD = "A call with a token that is good in every respect is served."
REASON = (
    "Each bad token is refused with 401, a challenge (WWW-Authenticate) and its own reason, in the access log and in "
    "the decision log."
)
INCONCLUSIVE = {
    "known-caller-refused": "As long as no token is needed, the call is served by the witness.",
    "policy-not-in-force": "Security servers and authentication service decide by the changed policies in time.",
}


@check(
    id="AUTHZ-012",
    title="A token counts for its time, its audience and its issuer, and a call without one is refused",
    proves=["AUTHZ-R13", "AUTHZ-R14", "AUTHZ-R15", "AUTHZ-R16"],
    needs=[Feature.BEARER_TOKENS],
    evidence=["good token", "bad tokens"],
    fails={
        "good-token-refused": GOOD,
        "missing-let-through": "A call without a token is not forwarded.",
        "expired-let-through": "A call with a token that has expired is not forwarded.",
        "early-let-through": "A call with a token that is not valid yet is not forwarded.",
        "endless-let-through": "A call with a token that never expires is not forwarded.",
        "audience-let-through": "A call with a token for another audience is not forwarded.",
        "issuer-let-through": "A call with a token of an issuer that the policy does not name is not forwarded.",
        "wrong-reason": REASON,
    },
    inconclusive=INCONCLUSIVE,
    remedy="Let the authentication service compare iss, aud, exp and nbf of each token with its policy, insist on exp, "
    "and leave its 401 and WWW-Authenticate as they are.",
)
async def believes_claims_within_bounds(probe: Probe) -> None:
    """A token says who, for whom and until when; leave out one of the three and it is a master key.

    Every token is signed with the issuer's key, so only what it claims is wrong: it has expired (RFC 7519 section
    4.1.4), is not valid yet, never expires, names another audience (section 4.1.3; RFC 8725 section 3.9), or an issuer
    that the policy does not know (section 4.1.1; RFC 8725 section 3.8). The caller's certificate is good and the access
    rules allow the call. A good token is served before and afterwards.
    """
    issuer = TokenAuthority()
    await need_tokens(probe, issuer)
    early, endless = tokens.token_not_yet_valid(issuer, AUDIENCE), tokens.token_without_expiry(issuer, AUDIENCE)
    elsewhere, unknown = (
        tokens.token_for_other_audience(issuer, AUDIENCE),
        tokens.token_of_other_issuer(issuer, AUDIENCE),
    )
    bad = [
        Bad("no token", None, "token-missing", "missing-let-through"),
        Bad("expired token", tokens.expired_token(issuer, AUDIENCE), "token-expired", "expired-let-through"),
        Bad("token not yet valid", early, "token-not-yet-valid", "early-let-through"),
        Bad("token without expiry", endless, "token-without-expiry", "endless-let-through"),
        Bad("token for another audience", elsewhere, "token-audience", "audience-let-through"),
        Bad("token of an unknown issuer", unknown, "token-issuer", "issuer-let-through"),
    ]
    await judge(probe, bad, issuer.token(AUDIENCE))


def tampered(issuer: TokenAuthority, good: str) -> str:
    """A good token with the claims of another one."""
    head, _, signature = good.split(".")
    _, claims, _ = issuer.token(AUDIENCE, subject="somebody-else").split(".")
    return f"{head}.{claims}.{signature}"


@check(
    id="AUTHZ-013",
    title="A token counts only under a signature that its issuer's own keys verify",
    proves=["AUTHZ-R13", "AUTHZ-R17", "AUTHZ-R18"],
    needs=[Feature.BEARER_TOKENS],
    evidence=["good token", "bad tokens"],
    fails={
        "good-token-refused": GOOD,
        "unsigned-let-through": "A call with a token that claims the algorithm none is not forwarded.",
        "public-key-let-through": "A call with a token that is signed with the public key as a shared secret is not "
        "forwarded.",
        "forgery-let-through": "A call with a token whose claims were changed after it was signed, or that somebody "
        "else signed under the name of the key, is not forwarded.",
        "unknown-key-let-through": "A call with a token that names a key which the issuer does not have is not "
        "forwarded.",
        "wrong-reason": REASON,
    },
    inconclusive=INCONCLUSIVE,
    remedy="Let the authentication service verify each whole token with a key of its issuer's key set, found by kid, "
    "and only by the algorithms of that key's kind, never by the one that the token names.",
)
async def verifies_signatures(probe: Probe) -> None:
    """What a token says is worth what its signature is worth, and a token must not choose how it is verified.

    The claims of every token are those of a good one. It has no signature and says so (`alg: none`, RFC 8725 section
    3.2), is signed with the issuer's public key as if that were a secret (section 2.1), was changed after it was signed
    (RFC 7515 section 5.2), was signed by somebody else, or names a key that is not in the key set. A good token is
    served before and afterwards.
    """
    issuer = TokenAuthority()
    await need_tokens(probe, issuer)
    good = issuer.token(AUDIENCE)
    by_stranger = tokens.token_signed_by_stranger(issuer, AUDIENCE)
    other_key = tokens.token_with_unknown_key(issuer, AUDIENCE)
    bad = [
        Bad("unsigned token", tokens.unsigned_token(issuer, AUDIENCE), "token-algorithm", "unsigned-let-through"),
        Bad("public key as secret", tokens.hmac_token(issuer, AUDIENCE), "token-algorithm", "public-key-let-through"),
        Bad("changed claims", tampered(issuer, good), "token-signature", "forgery-let-through"),
        Bad("signed by a stranger", by_stranger, "token-signature", "forgery-let-through"),
        Bad("unknown key", other_key, "token-key-unknown", "unknown-key-let-through"),
    ]
    await judge(probe, bad, good)


@check(
    id="AUTHZ-014",
    title="While an issuer's keys rotate tokens of both keys count, and afterwards only those of the new one",
    proves=["AUTHZ-R13", "AUTHZ-R18"],
    needs=[Feature.BEARER_TOKENS],
    evidence=["before the rotation", "during the rotation", "after the rotation"],
    fails={
        "new-key-refused": "From the change of policy that adds a key, a token signed with it is let through.",
        "old-key-refused-too-early": "As long as the policy names the old key, too, a token signed with it is let "
        "through.",
        "old-key-still-good": "A token of a key that the policy does not name any more is not forwarded.",
        "wrong-reason": "It is refused with 401 because its issuer has no such key, and both logs say so.",
    },
    inconclusive={
        **INCONCLUSIVE,
        "good-token-refused": "A token of the only key is let through before the rotation.",
    },
    remedy="Let the authentication service follow changes of the policy's key sets (jwks) while it runs, keep every "
    "key that is in the set, and look up the key of each token anew, of those that it has seen before as well.",
)
async def follows_key_rotations(probe: Probe) -> None:
    """Keys are changed because they grow old or are stolen; the first must lose no call, the second must end them all.

    An issuer gets a second key by a change of policy; tokens of both count (RFC 7517 section 5). A second change takes
    the first key away; its tokens are good otherwise, have been let through before, and must now be refused.
    """
    issuer = TokenAuthority()
    await need_tokens(probe, issuer)
    old = issuer.token(AUDIENCE)
    before = {"old key": await call_with(probe, "old key", old)}
    probe.record("before the rotation", EvidenceKind.EXCHANGE, observed(before))
    probe.require("good-token-refused", before["old key"].exchange.status == 200, seen=before["old key"].summary)

    issuer.rotate()
    new = issuer.token(AUDIENCE)
    during = await with_keys(probe, issuer, "during the rotation", {"old key": old, "new key": new})
    issuer.forget_earlier_keys()
    after = await with_keys(probe, issuer, "after the rotation", {"old key": old, "new key": new})

    for each in (during["new key"], after["new key"]):
        probe.expect("new-key-refused", each.exchange.status == 200, seen=each.summary)
    kept = during["old key"]
    probe.expect("old-key-refused-too-early", kept.exchange.status == 200, seen=kept.summary)
    lost = after["old key"]
    probe.expect("old-key-still-good", not lost.arrivals, seen=lost.summary)
    probe.expect("wrong-reason", refused_with(lost, "token-key-unknown"), seen=lost.summary)


async def with_keys(probe: Probe, issuer: TokenAuthority, name: str, calls: Mapping[str, str]) -> dict[str, Seen]:
    """The issuer's keys as they are now, and calls with these tokens."""
    trusted = await probe.authentication.trust(issuer)
    probe.require("policy-not-in-force", trusted, seen="the authentication service did not take the changed keys")
    seen = {what: await call_with(probe, what, token) for what, token in calls.items()}
    probe.record(name, EvidenceKind.EXCHANGE, observed(seen))
    return seen
