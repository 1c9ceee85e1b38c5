"""What a run's mesh begins with: who its members are, which services they provide, and who may call them.

Invariant: the caller may call everybody, a building block only those whom it declares, and foreigners, who come in by
the gateway, one service that is there for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from conformance.mesh.applications import Applications
from conformance.mesh.names import BYSTANDER, CALLER, FOR_FOREIGNERS, WITNESS
from conformance.mesh.partner import FOREIGNER
from conformance.mesh.registration import member_id
from conformance.mesh.sites import GATEWAY
from conformance.model.policies import ForeignDomain, MemberPolicy, MeshPolicy, Policy, Topology
from conformance.model.policy import AccessRule, Endpoint, Operation, ServicePolicy
from conformance.pki import TrustDomain

__all__ = ["Beginning"]

PATIENT_S = 5.0
"""Here the authentication service is a part of the runner. A machine that stands still for a moment must not look like
a refusal, and a request has twice as long."""


@dataclass(frozen=True)
class Beginning:
    """What it follows from.

    Attributes:
        applications: the building blocks.
        operations: those of the subject's contracts.
        topology: how members meet.
        identity: gives a member's SPIFFE id.
        partner: the other trust domain, if its callers come in at the border.

    """

    applications: Applications
    operations: tuple[Operation, ...]
    topology: Topology
    identity: Callable[[str], str]
    partner: TrustDomain | None

    @property
    def providers(self) -> dict[str, tuple[str, ...]]:
        """Every member, and the services behind its security server."""
        subject = self.applications.subject_name
        named = {subject: (subject, WITNESS), BYSTANDER: (BYSTANDER,), CALLER: ()}
        named |= {name: (name,) for name in self.applications.calls() if name != subject}
        if self.partner:
            named |= {subject: (subject, WITNESS, FOR_FOREIGNERS), GATEWAY: ()}
        return named

    def policies(self, endpoints: Mapping[str, Endpoint]) -> Iterator[Policy]:
        """All of them; `endpoints` are those of the services that run already."""
        yield MeshPolicy(
            topology=self.topology,
            authentication_timeout_s=PATIENT_S,
            # Only calls that ask for it are traced; the others cost nothing.
            tracing_percent=0.0,
            federation=self._federation(),
        )
        yield from self._members()
        for provider, services in self.providers.items():
            for service in services:
                yield self._service(service, provider, endpoints.get(service))

    def _federation(self) -> tuple[ForeignDomain, ...]:
        if self.partner is None:
            return ()
        named = (self.partner.identity(FOREIGNER),)
        return (ForeignDomain(self.partner.name, self.partner.bundle_pem.decode(), named),)

    def _members(self) -> Iterator[MemberPolicy]:
        calls, provided = self.applications.calls(), self.providers
        everything = tuple(service for services in provided.values() for service in services)
        for name in provided:
            called = {CALLER: everything, GATEWAY: (FOR_FOREIGNERS,)}.get(name) or tuple(calls.get(name, ()))
            yield MemberPolicy(name, self.identity(name), id=member_id(name), calls=called, gateway=name == GATEWAY)

    def _service(self, service: str, provider: str, endpoint: Endpoint | None) -> ServicePolicy:
        callers = [CALLER, *(name for name, called in self.applications.calls().items() if service in called)]
        identities = [self.identity(caller) for caller in callers]
        if service == FOR_FOREIGNERS:
            identities += [identity for domain in self._federation() for identity in domain.identities]
        return ServicePolicy(
            service=service,
            provider=provider,
            endpoints=(endpoint,) if endpoint else (),
            base_path=self.applications.base_path(service),
            contract=self.operations if service == self.applications.subject_name else (),
            access=tuple(AccessRule(caller=identity) for identity in identities),
            # Rules and the authentication service are two lines of defence: behind the witness each of them is judged
            # on its own, and the second one only where a check asks for it.
            authentication=service != WITNESS,
        )
