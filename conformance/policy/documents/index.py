"""All policies of a mesh as values, found by name and by what they refer to.

Invariants: an index never changes; a changed one shares with it all that is the same (persistent maps), so a change
costs what the changed policies cost, however many others there are; what cannot be read is known by name and by what is
wrong with it, and refers to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from rpds import HashTrieMap, HashTrieSet

from conformance.model.policies import MESH, Kind, MemberPolicy, MeshPolicy, Policy, PolicyKey, key_of
from conformance.model.policy import ServicePolicy
from conformance.policy.documents.problems import Problem
from conformance.policy.documents.words import trust_domain_of

__all__ = ["PolicyIndex", "Relation"]


class Relation(StrEnum):
    """How a policy is found by something that it says."""

    IDENTITY = "the member with this SPIFFE id"
    ADDRESS = "the member with this X-Road identifier"
    TRUST_DOMAIN = "a member with an identity of this trust domain"
    GATEWAY = "an external gateway"
    CALLS = "a member that calls this service"
    PROVIDER = "a service of this member"
    CODE = "the service of this member with this code"
    CALLER = "a service with a rule for this caller"
    CALLER_DOMAIN = "a service with a rule for a SPIFFE id of this trust domain"
    TOKENS = "a service that asks for tokens"


Fact: TypeAlias = tuple[Relation, str]
EMPTY: HashTrieSet[str] = HashTrieSet()


@dataclass(frozen=True)
class PolicyIndex:
    """Policies by kind and name, unreadable ones apart, and the names of policies by each fact about them."""

    policies: HashTrieMap[PolicyKey, Policy] = HashTrieMap()  # noqa: RUF009 -- it never changes
    unreadable: HashTrieMap[PolicyKey, tuple[Problem, ...]] = HashTrieMap()  # noqa: RUF009
    facts: HashTrieMap[Fact, HashTrieSet[str]] = HashTrieMap()  # noqa: RUF009

    @property
    def mesh(self) -> MeshPolicy:
        """What counts for the whole mesh; the defaults where nobody has said anything."""
        found = self.policies.get((Kind.MESH, MESH))
        return found if isinstance(found, MeshPolicy) else MeshPolicy()

    def member(self, name: str) -> MemberPolicy | None:
        """A member by its name."""
        found = self.policies.get((Kind.MEMBER, name))
        return found if isinstance(found, MemberPolicy) else None

    def service(self, name: str) -> ServicePolicy | None:
        """A service by its name."""
        found = self.policies.get((Kind.SERVICE, name))
        return found if isinstance(found, ServicePolicy) else None

    def names(self, kind: Kind) -> Iterator[str]:
        """All names of a kind that can be referred to."""
        for each, name in (*self.policies, *self.unreadable):
            if each is kind:
                yield name

    def __contains__(self, key: PolicyKey) -> bool:
        """Whether there is such a policy, readable or not."""
        return key in self.policies or key in self.unreadable

    def found(self, relation: Relation, target: str = "") -> Collection[str]:
        """The names of the policies of which this is true."""
        return self.facts.get((relation, target), EMPTY)

    def others(self, name: str, relation: Relation, target: str) -> list[str]:
        """The names of the policies of which this is true too, in order."""
        return sorted(each for each in self.found(relation, target) if each != name)

    def identity_of(self, caller: str) -> str | None:
        """The SPIFFE id of a caller as a rule names it; None for a member that is not known."""
        if caller.startswith("spiffe://"):
            return caller
        member = self.member(caller)
        return member.identity if member else None

    def resolved(self, policy: ServicePolicy) -> ServicePolicy:
        """The same policy, under the same version, with the SPIFFE id of every caller.

        A rule for a member that is not known lets nobody through, so it is left out.
        """
        named = [(rule, self.identity_of(rule.caller)) for rule in policy.access]
        access = tuple(
            rule if rule.caller == identity else replace(rule, caller=identity) for rule, identity in named if identity
        )
        return policy if access == policy.access else replace(policy, access=access)

    def services_naming(self, member: str) -> frozenset[str]:
        """The services that have to be handed out again when the identity of a member changes."""
        return frozenset(self.found(Relation.CALLER, member))

    def services_of(self, member: str) -> frozenset[str]:
        """The services before which a member's security server stands."""
        return frozenset(self.found(Relation.PROVIDER, member))

    def _facts_with(self, policy: Policy) -> HashTrieMap[Fact, HashTrieSet[str]]:
        _, name = key_of(policy)
        facts = self.facts
        for fact in _facts_of(policy):
            facts = facts.insert(fact, facts.get(fact, EMPTY).insert(name))
        return facts

    def _facts_without(self, policy: Policy) -> HashTrieMap[Fact, HashTrieSet[str]]:
        _, name = key_of(policy)
        facts = self.facts
        for fact in _facts_of(policy):
            left = facts[fact].remove(name)
            facts = facts.insert(fact, left) if left else facts.remove(fact)
        return facts


def _facts_of(policy: Policy) -> Iterable[Fact]:
    facts: set[Fact] = set()
    match policy:
        case MemberPolicy():
            facts |= {(Relation.IDENTITY, policy.identity), (Relation.TRUST_DOMAIN, trust_domain_of(policy.identity))}
            facts |= {(Relation.CALLS, service) for service in policy.calls}
            facts |= {(Relation.ADDRESS, str(policy.id))} if policy.id else set()
            facts |= {(Relation.GATEWAY, "")} if policy.gateway else set()
        case ServicePolicy():
            callers = {rule.caller for rule in policy.access}
            facts |= {(Relation.PROVIDER, policy.provider)} | {(Relation.CALLER, caller) for caller in callers}
            facts |= {(Relation.CALLER_DOMAIN, domain) for domain in map(trust_domain_of, callers) if domain}
            facts |= {(Relation.CODE, f"{policy.provider}/{policy.code}")} if policy.code else set()
            facts |= {(Relation.TOKENS, "")} if policy.tokens else set()
    return facts
