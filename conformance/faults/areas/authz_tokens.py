"""Faults of bearer tokens: claims and signatures that are not looked at, keys that are not renewed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jwt

from conformance.authn.behaviour import Behaviour
from conformance.authn.call import Call, Decision
from conformance.authn.reasons import Reason
from conformance.faults.areas.authz_service import LetsThrough, Misbehaving
from conformance.faults.areas.common import undecided
from conformance.faults.seeding import seed
from conformance.model.policies import MeshPolicy, PolicyChange, TokenIssuer

# ---------------------------------------------------------------------- not looked at

seed(
    "authz-token-optional",
    defect="A call without a token is taken for one that needs none.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_MISSING)),
    caught_by={"AUTHZ-008": "call-forwarded", "AUTHZ-012": "missing-let-through"},
)
seed(
    "authz-token-expiry-ignored",
    defect="Nobody looks when a token expires.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_EXPIRED)),
    caught_by={"AUTHZ-012": "expired-let-through", "AUTHZ-015": undecided("known-caller-refused")},
)
seed(
    "authz-token-beginning-ignored",
    defect="Nobody looks when a token begins to be valid.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_NOT_YET_VALID)),
    caught_by={"AUTHZ-012": "early-let-through"},
)
seed(
    "authz-token-without-end-believed",
    defect="A token that does not say when it expires never expires.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_WITHOUT_EXPIRY)),
    caught_by={"AUTHZ-012": "endless-let-through"},
)
seed(
    "authz-token-audience-ignored",
    defect="A token for one service opens all of them.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_AUDIENCE)),
    caught_by={"AUTHZ-012": "audience-let-through"},
)
seed(
    "authz-token-issuer-ignored",
    defect="It is enough that some known key verifies a token, whoever says that he issued it.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_ISSUER)),
    caught_by={"AUTHZ-012": "issuer-let-through"},
)


class BelievesAlgorithm(Behaviour):
    """Lets the token say how it is to be verified."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm

    def decide(self, call: Call, decision: Decision) -> Decision:
        """Allowed if it claims this algorithm."""
        if decision.reason is not Reason.TOKEN_ALGORITHM:
            return decision
        token = call.headers["authorization"].removeprefix("Bearer ")
        claimed = jwt.get_unverified_header(token)["alg"]
        return replace(decision, reason=Reason.ALLOWED) if claimed == self._algorithm else decision


seed(
    "authz-token-unsigned-believed",
    defect="A token that claims the algorithm none needs no signature.",
    modifier=Misbehaving(BelievesAlgorithm("none")),
    caught_by={"AUTHZ-013": "unsigned-let-through"},
)
seed(
    "authz-token-public-key-as-secret",
    defect="A token that claims HS256 is verified with the text of the public key as the secret.",
    modifier=Misbehaving(BelievesAlgorithm("HS256")),
    caught_by={"AUTHZ-013": "public-key-let-through"},
)
seed(
    "authz-token-signature-ignored",
    defect="Tokens are read and not verified.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_SIGNATURE)),
    caught_by={"AUTHZ-013": "forgery-let-through"},
)
seed(
    "authz-token-unknown-key-believed",
    defect="A token whose key nobody knows cannot be verified, and is let through.",
    modifier=Misbehaving(LetsThrough(Reason.TOKEN_KEY_UNKNOWN)),
    caught_by={"AUTHZ-013": "unknown-key-let-through", "AUTHZ-014": "old-key-still-good"},
)

# ---------------------------------------------------------------------- keys


class OtherKeys(Behaviour, ABC):
    """Makes something else of the key sets that policies name. Once nobody's tokens count, it begins anew."""

    def __init__(self) -> None:
        self._first: dict[str, list[Any]] = {}
        self._all: dict[str, list[Any]] = {}

    def receive(self, change: PolicyChange) -> Sequence[PolicyChange]:
        """Other keys in the policy of the mesh."""
        return (replace(change, put=tuple(self._changed(each) for each in change.put)),)

    @abstractmethod
    def keys(self, keys: list[Any], first: list[Any], ever: list[Any]) -> list[Any]:
        """The keys that count, given those in the policy, those in the first one, and all that have ever been."""

    def _changed(self, policy: Any) -> Any:  # noqa: ANN401 -- any kind of policy
        if not isinstance(policy, MeshPolicy):
            return policy
        if not policy.issuers:
            self._first.clear()
            self._all.clear()
        return replace(policy, issuers=tuple(self._with_keys(issuer) for issuer in policy.issuers))

    def _with_keys(self, issuer: TokenIssuer) -> TokenIssuer:
        keys = json.loads(issuer.jwks)["keys"]
        first = self._first.setdefault(issuer.name, keys)
        ever = self._all.setdefault(issuer.name, [])
        ever += [key for key in keys if key not in ever]
        return replace(issuer, jwks=json.dumps({"keys": self.keys(keys, first, ever)}))


class NoKeys(OtherKeys):
    """Key sets get lost."""

    def keys(self, keys: list[Any], first: list[Any], ever: list[Any]) -> list[Any]:
        """None."""
        return []


class FirstKeys(OtherKeys):
    """Key sets are read once."""

    def keys(self, keys: list[Any], first: list[Any], ever: list[Any]) -> list[Any]:
        """Those of the beginning."""
        return first


class NewestKey(OtherKeys):
    """An issuer has one key."""

    def keys(self, keys: list[Any], first: list[Any], ever: list[Any]) -> list[Any]:
        """The first in the set."""
        return keys[:1]


class KeysForEver(OtherKeys):
    """Key sets only grow."""

    def keys(self, keys: list[Any], first: list[Any], ever: list[Any]) -> list[Any]:
        """Whatever has been in one."""
        return list(ever)


seed(
    "authz-keys-lost",
    defect="The key sets of token issuers do not reach the authentication service.",
    modifier=Misbehaving(NoKeys()),
    caught_by={
        "AUTHZ-012": "good-token-refused",
        "AUTHZ-013": "good-token-refused",
        "AUTHZ-014": undecided("good-token-refused"),
        "AUTHZ-015": undecided("known-caller-refused"),
    },
)
seed(
    "authz-keys-read-once",
    defect="The key set of an issuer is read when it becomes known, and never again.",
    modifier=Misbehaving(FirstKeys()),
    caught_by={"AUTHZ-014": "new-key-refused"},
)
seed(
    "authz-one-key-only",
    defect="Of the keys of an issuer only the newest one counts.",
    modifier=Misbehaving(NewestKey()),
    caught_by={"AUTHZ-014": "old-key-refused-too-early"},
)
seed(
    "authz-keys-for-ever",
    defect="A key that was taken out of the key set of an issuer goes on to count.",
    modifier=Misbehaving(KeysForEver()),
    caught_by={"AUTHZ-014": "old-key-still-good"},
)
