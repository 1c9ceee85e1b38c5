"""What each security server of a mesh is told: from policies, certificates and addresses to the resources that differ.

Invariants: a change of a service is rendered for its provider and its callers only, and costs what the service costs,
not what the mesh costs; modifiers see a security server's resources whole and have the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.controlplane.rendering import (
    Identity,
    OutboundService,
    Rendered,
    SecurityServerView,
    render_foundation,
    render_inbound,
    render_outbound,
)
from conformance.controlplane.resources import Reference
from conformance.mesh.member import Member
from conformance.mesh.modifiers import Modifier, Resources
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.pki import TrustDomain

__all__ = ["Configuration", "Difference"]

FOUNDATION = ""
"""Stands for what belongs to no service."""


@dataclass(frozen=True)
class Difference:
    """What a security server has to be told: resources that are new or different, and those that are gone."""

    changed: Rendered
    removed: frozenset[Reference]


class Configuration:
    """Policies in, differences out. `sent` is what every security server has been told so far."""

    def __init__(
        self,
        members: Mapping[str, Member],
        trust_domain: TrustDomain,
        modifiers: Sequence[Modifier],
        access_logs: Mapping[str, Path],
    ) -> None:
        self.policies: dict[str, ServicePolicy] = {}
        self.sent: dict[str, Rendered] = {}
        self._members = members
        self._trust_domain = trust_domain
        self._modifiers = tuple(modifiers)
        self._access_logs = access_logs
        self._imposters: dict[str, Endpoint] = {}
        self._plain: dict[str, dict[str, Rendered]] = {name: {} for name in members}

    def register(self, service: str, peer: Endpoint | None = None) -> None:
        """Another one claims to be the security server that stands before a service."""
        if peer is not None:
            self._imposters[service] = peer

    def withdraw(self, service: str) -> None:
        """A service is no more."""
        self._imposters.pop(service, None)
        del self.policies[service]

    def forget(self) -> None:
        """Everybody has to be told everything again: there is a new control plane."""
        self.sent.clear()

    def of_services(self, services: Iterable[str]) -> dict[str, Difference]:
        """What security servers have to be told after these services have changed, come or gone."""
        wanted = set(services)
        found = {}
        for name, member in self._members.items():
            plain = self._plain[name]
            touched = {each for each in wanted if each in plain or member.provides(each) or member.may_call(each)}
            if touched:
                found[name] = self._renewed(member, touched)
        return _with_news(found)

    def of_everything(self) -> dict[str, Difference]:
        """What security servers have to be told after certificates, addresses or anything else has changed."""
        found = {}
        for name, member in self._members.items():
            services = {FOUNDATION, *self._plain[name], *member.services, *member.calls}
            found[name] = self._renewed(member, services)
        return _with_news(found)

    def farewell(self) -> dict[str, Difference]:
        """What modifiers want security servers to get at last before the control plane is stopped."""
        found = {}
        for name, told in self.sent.items():
            last = _nested(told)
            for modifier in self._modifiers:
                last = modifier.farewell(name, last)
            found[name] = self._told(name, _flat(last))
        return _with_news(found)

    def _renewed(self, member: Member, services: Iterable[str]) -> Difference:
        plain, before, after = self._plain[member.name], Rendered(), Rendered()
        for service in services:
            before |= plain.pop(service, {})
            rendered = self._render(member, service)
            if rendered:
                plain[service] = rendered
                after |= rendered
        if self._modifiers or member.name not in self.sent:
            whole = Rendered()
            for rendered in plain.values():
                whole |= rendered
            return self._told(member.name, self._modified(member.name, whole))
        sent = self.sent[member.name]
        changed = {key: resource for key, resource in after.items() if sent.get(key) != resource}
        removed = frozenset(before.keys() - after.keys())
        sent |= changed
        for key in removed:
            del sent[key]
        return Difference(changed, removed)

    def _modified(self, server: str, whole: Rendered) -> Rendered:
        nested = _nested(whole)
        for modifier in self._modifiers:
            nested = modifier.resources(server, nested)
        return _flat(nested)

    def _told(self, server: str, whole: Rendered) -> Difference:
        before = self.sent.get(server, {})
        self.sent[server] = whole
        changed = {key: resource for key, resource in whole.items() if before.get(key) != resource}
        return Difference(changed, frozenset(before.keys() - whole.keys()))

    def _render(self, member: Member, service: str) -> Rendered:
        if service == FOUNDATION:
            return render_foundation(self._view(member))
        rendered = Rendered()
        if member.provides(service):
            rendered |= render_inbound(self._policy(service))
        if member.may_call(service):
            rendered |= render_outbound(self._outbound(service))
        return rendered

    def _view(self, member: Member) -> SecurityServerView:
        return SecurityServerView(
            name=member.name,
            identity=Identity(member.credential.certificate_chain_pem, member.credential.private_key_pem),
            trust=self._trust_domain.bundle_pem,
            revocations=self._trust_domain.crl_pem,
            members=tuple(each.identity for each in self._members.values()),
            access_log=self._access_logs[member.name],
        )

    def _outbound(self, service: str) -> OutboundService:
        provider = next(member for member in self._members.values() if member.provides(service))
        peer = self._imposters.get(service, provider.inbound)
        return OutboundService(self._policy(service), peers=(peer,) if peer else (), identity=provider.identity)

    def _policy(self, service: str) -> ServicePolicy:
        policy = self.policies[service]
        for modifier in self._modifiers:
            policy = modifier.policy(policy)
        return policy


def _with_news(found: Mapping[str, Difference]) -> dict[str, Difference]:
    return {name: difference for name, difference in found.items() if difference.changed or difference.removed}


def _nested(rendered: Rendered) -> Resources:
    resources: Resources = {}
    for (kind, name), resource in rendered.items():
        resources.setdefault(kind, {})[name] = resource
    return resources


def _flat(resources: Resources) -> Rendered:
    return {(kind, name): resource for kind, named in resources.items() for name, resource in named.items()}
