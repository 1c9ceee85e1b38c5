"""What the authentication service knows: the policies of one version of the store, made ready for deciding.

Invariants: a change is taken in whole before the next question is answered (both happen on one event loop, without a
pause); its cost follows the change; versions only grow.
"""

from __future__ import annotations

from conformance.authn.keys import TrustedIssuer
from conformance.authn.rules import CompiledService
from conformance.model.policies import Kind, MemberPolicy, MeshPolicy, Policy, PolicyChange, PolicyKey
from conformance.model.policy import ServicePolicy

__all__ = ["Knowledge"]


class Knowledge:
    """Policies by what one looks for when a call comes."""

    def __init__(self) -> None:
        self.version = 0
        self.mesh = MeshPolicy()
        self.members: dict[str, MemberPolicy] = {}
        self.members_by_identity: dict[str, MemberPolicy] = {}
        self.services: dict[str, CompiledService] = {}
        self.foreign: frozenset[str] = frozenset()
        self.issuers: dict[str, TrustedIssuer] = {}

    def apply(self, change: PolicyChange) -> bool:
        """Take in a change; False: it was known already."""
        if change.version <= self.version:
            return False
        for key in change.deleted:
            self._forget(key)
        for policy in change.put:
            self._learn(policy)
        self.version = change.version
        return True

    def _learn(self, policy: Policy) -> None:
        match policy:
            case MeshPolicy():
                self._learn_mesh(policy)
            case MemberPolicy():
                self._forget_member(policy.member)
                self.members[policy.member] = policy
                self.members_by_identity[policy.identity] = policy
            case ServicePolicy():
                self.services[policy.service] = CompiledService(policy)

    def _forget(self, key: PolicyKey) -> None:
        match key:
            case (Kind.MESH, _):
                self._learn_mesh(MeshPolicy())
            case (Kind.MEMBER, name):
                self._forget_member(name)
            case (Kind.SERVICE, name):
                self.services.pop(name, None)

    def _forget_member(self, name: str) -> None:
        before = self.members.pop(name, None)
        if before is not None and self.members_by_identity.get(before.identity) is before:
            del self.members_by_identity[before.identity]

    def _learn_mesh(self, mesh: MeshPolicy) -> None:
        known = {(issuer.policy.name, issuer.policy): issuer for issuer in self.issuers.values()}
        self.mesh = mesh
        self.foreign = frozenset(identity for domain in mesh.federation for identity in domain.identities)
        self.issuers = {each.name: known.get((each.name, each)) or TrustedIssuer(each) for each in mesh.issuers}
