"""What each security server of a mesh is told: from policies, certificates and addresses to the resources that differ.

Invariants: a change is rendered for the security servers that it concerns only, and costs what it touches, not what the
mesh costs; modifiers see a security server's resources whole and have the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.controlplane.rendering import (
    Identity,
    ListenAddress,
    OutboundService,
    Rendered,
    SecurityServerView,
    Surroundings,
    render_border,
    render_foundation,
    render_inbound,
    render_outbound,
    render_xroad,
)
from conformance.controlplane.resources import Reference
from conformance.mesh.member import Listening, Member
from conformance.mesh.modifiers import Modifiers, Resources
from conformance.model.policies import Kind, MemberPolicy, MeshPolicy, Policy, PolicyChange, PolicyKey, key_of
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.pki import GivenAuthority, TrustDomain, system_roots_pem

__all__ = ["Configuration", "Difference", "Layout"]

FOUNDATION = ""
"""Stands for what belongs to no service."""
LOOPBACK = "127.0.0.1"
ADDRESSES = "r1"
"""Stands for the X-Road addresses of all services, which share the first segment of their paths."""


@dataclass(frozen=True)
class Difference:
    """What a security server has to be told: resources that are new or different, and those that are gone."""

    changed: Rendered
    removed: frozenset[Reference]


@dataclass(frozen=True)
class Layout:
    """Where things are, whatever the policies say.

    Attributes:
        access_logs: for each security server the file that it writes its access log to.
        decisions: where the authentication service is, which keeps the limits as well (see `Surroundings`).
        spans: where spans are sent, by OTLP over HTTP.
        addresses: for a security server that does not listen for peers on loopback, the address that it listens on.
        for_applications: likewise for its own applications.
        ports: for a security server whose port is known before it runs, the port where it receives its peers.
        imposters: for a service the address of somebody else who claims to be the security server before it.

    """

    access_logs: dict[str, Path] = field(default_factory=dict)
    decisions: Endpoint | Path | None = None
    spans: Endpoint | Path | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    for_applications: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    imposters: dict[str, Endpoint] = field(default_factory=dict)


class Configuration:
    """Changes of policies in, differences out. `sent` is what every security server has been told so far."""

    def __init__(
        self,
        servers: Mapping[str, Member],
        trust_domain: TrustDomain | GivenAuthority,
        modifiers: Modifiers,
        layout: Layout,
    ) -> None:
        self.mesh = MeshPolicy()
        self.members: dict[str, MemberPolicy] = {}
        self.services: dict[str, ServicePolicy] = {}
        self.sent: dict[str, Rendered] = {}
        self._servers = servers
        self._trust_domain = trust_domain
        self._modifiers = modifiers
        self._layout = layout
        self._surroundings: dict[str, Surroundings] = {}
        # Keys of dicts: in the order of their coming, and quick to find among ten thousand.
        self._provided: dict[str, dict[str, None]] = {}
        self._callers: dict[str, dict[str, None]] = {}
        self._plain: dict[str, dict[str, Rendered]] = {}

    def take(self, change: PolicyChange) -> dict[str, Difference]:
        """What security servers have to be told after policies have changed, come or gone."""
        touched: dict[str, set[str]] = {}
        changes: list[tuple[PolicyKey, Policy | None]] = [(key, None) for key in change.deleted]
        changes += [(key_of(policy), policy) for policy in change.put]
        # Each is taken, whatever the ones before have touched.
        everybody = [self._take(key, policy, touched) for key, policy in changes]
        if any(everybody):
            self._surroundings.clear()
            return self.of_everything()
        found = {name: self._renewed(self._servers[name], touched[name]) for name in touched if name in self._servers}
        return _with_news(found)

    def of_everything(self) -> dict[str, Difference]:
        """What security servers have to be told after certificates, addresses or anything else has changed."""
        found = {}
        for name, server in self._servers.items():
            services = {FOUNDATION, *self._plain.get(name, ()), *self._provided.get(name, ()), *self._called(name)}
            found[name] = self._renewed(server, services)
        for name in self.sent.keys() - self._servers.keys():
            found[name] = Difference(Rendered(), frozenset(self.sent.pop(name)))
            self._plain.pop(name, None)
        return _with_news(found)

    def forget(self, server: str) -> None:
        """A security server has left, and nothing will be told to it any more."""
        self._plain.pop(server, None)
        self.sent.pop(server, None)

    def enrol(self, name: str, policy: MemberPolicy | None) -> None:
        """Called when a member has come, changed or gone (None), before anything is rendered. The servers of a run are
        known from the beginning.
        """

    def farewell(self) -> dict[str, Difference]:
        """What modifiers want security servers to get at last before the control plane is stopped."""
        found = {}
        for name, told in self.sent.items():
            found[name] = self._told(name, _flat(self._modifiers.farewell(name, _nested(told))))
        return _with_news(found)

    # ------------------------------------------------------------------ whom a change concerns

    def _take(self, key: PolicyKey, policy: Policy | None, touched: dict[str, set[str]]) -> bool:
        """Take over one policy, or its end, and note whom it concerns in which services. True: everybody in all."""
        kind, name = key
        if kind is Kind.SERVICE:
            assert policy is None or isinstance(policy, ServicePolicy)  # noqa: S101 -- a key says what its policy is
            before = self.services.pop(name, None)
            if before is not None:
                self._provided[before.provider].pop(name, None)
            if policy is not None:
                self.services[name] = policy
                self._provided.setdefault(policy.provider, {})[name] = None
            for member in {*self._callers.get(name, ()), *(each.provider for each in (before, policy) if each)}:
                touched.setdefault(member, set()).add(name)
            return False
        if kind is Kind.MEMBER:
            assert policy is None or isinstance(policy, MemberPolicy)  # noqa: S101 -- as above
            return self._take_member(name, policy, touched)
        assert policy is None or isinstance(policy, MeshPolicy)  # noqa: S101 -- as above
        before_all, self.mesh = self.mesh, policy or MeshPolicy()
        return before_all != self.mesh

    def _take_member(self, name: str, policy: MemberPolicy | None, touched: dict[str, set[str]]) -> bool:
        before = self.members.pop(name, None)
        old, new = (set(each.calls) if each else set() for each in (before, policy))
        for service in old - new:
            self._callers[service].pop(name, None)
        for service in new - old:
            self._callers.setdefault(service, {})[name] = None
        touched.setdefault(name, set()).update(old ^ new)
        self.enrol(name, policy)
        if policy is None:
            return before is not None
        self.members[name] = policy
        # Who a member is concerns all who meet it; what it may address concerns nobody else.
        return before is None or replace(before, calls=()) != replace(policy, calls=())

    # ------------------------------------------------------------------ what they are told

    def _renewed(self, server: Member, services: Iterable[str]) -> Difference:
        plain, before, after = self._plain.setdefault(server.name, {}), Rendered(), Rendered()
        for service in {*services, ADDRESSES}:
            before |= plain.pop(service, {})
            rendered = self._render(server, service)
            if rendered:
                plain[service] = rendered
                after |= rendered
        if self._modifiers or server.name not in self.sent:
            whole = Rendered()
            for rendered in plain.values():
                whole |= rendered
            return self._told(server.name, _flat(self._modifiers.resources(server.name, _nested(whole))))
        sent = self.sent[server.name]
        changed = {key: resource for key, resource in after.items() if sent.get(key) != resource}
        removed = frozenset(before.keys() - after.keys())
        sent |= changed
        for key in removed:
            del sent[key]
        return Difference(changed, removed)

    def _told(self, server: str, whole: Rendered) -> Difference:
        before = self.sent.get(server, {})
        self.sent[server] = whole
        changed = {key: resource for key, resource in whole.items() if before.get(key) != resource}
        return Difference(changed, frozenset(before.keys() - whole.keys()))

    def _render(self, server: Member, service: str) -> Rendered:
        surroundings = self._around(server.name)
        if service == FOUNDATION:
            return render_foundation(self._view(server))
        if service == ADDRESSES:
            return self._addresses(server.name, surroundings)
        rendered = Rendered()
        if service in self._provided.get(server.name, ()):
            rendered |= render_inbound(self._policy(service), surroundings)
        if server.name in self._callers.get(service, ()) and service in self.services:
            rendered |= render_outbound(self._outbound(service), surroundings)
            if self.members[server.name].gateway:
                rendered |= render_border(self._outbound(service), surroundings)
        return rendered

    def _addresses(self, server: str, surroundings: Surroundings) -> Rendered:
        inbound = (self._policy(each) for each in self._provided.get(server, ()) if self.services[each].code)
        called = (each for each in self._called(server) if each in self.services and self.services[each].code)
        return render_xroad(inbound, (self._outbound(each) for each in called), surroundings)

    def _view(self, server: Member) -> SecurityServerView:
        at = ListenAddress(self._layout.addresses.get(server.name, LOOPBACK))
        own = replace(at, port=self._layout.ports.get(server.name, 0))
        within = ListenAddress(self._layout.for_applications.get(server.name, LOOPBACK))
        listening = server.listening or Listening(inbound=own, outbound=within, border=at)
        policy = self.members.get(server.name)
        return SecurityServerView(
            name=server.name,
            identity=Identity(server.credential.certificate_chain_pem, server.credential.private_key_pem),
            trust=self._trust_domain.bundle_pem,
            revocations=self._trust_domain.crl_pem,
            members=tuple(each.identity for each in self.members.values()),
            access_log=self._layout.access_logs[server.name],
            inbound_address=listening.inbound,
            outbound_address=listening.outbound,
            border_address=listening.border if policy and policy.gateway else None,
            public_roots=self._public_roots(server.name),
            revoked=self._trust_domain.revocations,
            surroundings=self._around(server.name),
        )

    def _public_roots(self, server: str) -> bytes:
        """The machine's own roots, for a security server with a building block behind it that speaks HTTPS."""
        provided = (self.services[service] for service in self._provided.get(server, ()))
        if any(endpoint.server_name for policy in provided for endpoint in policy.endpoints):
            return system_roots_pem()
        return b""

    def _around(self, server: str) -> Surroundings:
        if server not in self._surroundings:
            member = self.members.get(server)
            self._surroundings[server] = Surroundings(
                server=server,
                mesh=self.mesh,
                member=member.id if member else None,
                clients={each.identity: each.id for each in self.members.values() if each.id},
                gateways=tuple(each.identity for each in self.members.values() if each.gateway),
                authentication=self._layout.decisions if self.mesh.authentication else None,
                limits=self._layout.decisions,
                tracing=self._layout.spans,
            )
        return self._surroundings[server]

    def _called(self, server: str) -> tuple[str, ...]:
        return self.members[server].calls if server in self.members else ()

    def _outbound(self, service: str) -> OutboundService:
        policy = self.services[service]
        provider, server = self.members.get(policy.provider), self._servers.get(policy.provider)
        peer = self._layout.imposters.get(service) or (server.inbound if server else None)
        return OutboundService(
            self._policy(service),
            peers=(peer,) if peer else (),
            identity=provider.identity if provider else "",
            provider=provider.id if provider else None,
        )

    def _policy(self, service: str) -> ServicePolicy:
        return self._modifiers.policy(self.services[service])


def _with_news(found: Mapping[str, Difference]) -> dict[str, Difference]:
    return {name: difference for name, difference in found.items() if difference.changed or difference.removed}


def _nested(rendered: Rendered) -> Resources:
    resources: Resources = {}
    for (kind, name), resource in rendered.items():
        resources.setdefault(kind, {})[name] = resource
    return resources


def _flat(resources: Resources) -> Rendered:
    return {(kind, name): resource for kind, named in resources.items() for name, resource in named.items()}
