"""What followers of a store are told: policies as values, with every caller resolved to a SPIFFE id.

Invariant: a policy is handed out again whenever it means something else than before, also when it is another one that
was changed: a rule names a member, and the member got another identity, came or went.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from conformance.model.policies import Kind, Policy, PolicyKey
from conformance.model.policy import ServicePolicy
from conformance.policy.documents import PolicySet
from conformance.policy.store import Stored, Write

__all__ = ["PolicyResolver"]

Documents = Mapping[PolicyKey, Stored]


class PolicyResolver:
    """A `policy.store.following.PolicyReader`. It remembers what it read last, so that a change costs what it is."""

    def __init__(self) -> None:
        self._documents: Documents = {}
        self._policies = PolicySet()

    def __call__(self, before: Documents, now: Documents, changed: Collection[PolicyKey]) -> Sequence[Policy]:
        """The policies that are new or different between two states, of which these documents changed."""
        self._bring_to(now)
        keys = {key for key in changed if key in now}
        for kind, name in changed:
            if kind is Kind.MEMBER and _identity(before, name) != _identity(now, name):
                keys |= {(Kind.SERVICE, service) for service in self._policies.services_naming(name)}
        return [self._resolved(key) for key in sorted(keys) if key in self._policies.policies]

    def _bring_to(self, now: Documents) -> None:
        writes = [Write(key, each.document) for key, each in now.items() if self._documents.get(key) != each]
        writes += [Write(key, None) for key in self._documents if key not in now]
        self._policies, self._documents = self._policies.with_writes(writes), now

    def _resolved(self, key: PolicyKey) -> Policy:
        policy = self._policies.policies[key]
        return self._policies.resolved(policy) if isinstance(policy, ServicePolicy) else policy


def _identity(documents: Documents, member: str) -> object:
    stored = documents.get((Kind.MEMBER, member))
    return stored.document.get("identity") if stored else None
