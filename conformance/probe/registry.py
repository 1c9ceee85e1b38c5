"""The register of the mesh: which services there are, and what its directory says of them.

Invariant: a service that is registered here is gone from the register when the check is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.mesh import CALLER, Mesh, Propagation, member_id
from conformance.model.policies import Kind
from conformance.model.policy import ServicePolicy
from conformance.policy.client import PolicyAdminClient

__all__ = ["Listing", "Registry"]


@dataclass(frozen=True)
class Listing:
    """What the directory says of a member.

    Attributes:
        member: its X-Road identifier.
        known: it is among the members of the mesh.
        services: for each of its services, by name, the operations as `GET /births/{birthId}`.

    """

    member: str
    known: bool
    services: Mapping[str, frozenset[str]]

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        services = {name: sorted(operations) for name, operations in self.services.items()}
        return {"member": self.member, "among the members": self.known, "services": services}


class Registry:
    """What a check may do with the register, and ask it."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def register(self, policy: ServicePolicy, *, provider: str) -> Propagation:
        """Add a service behind a member's security server, which the caller may address; wait for those concerned."""
        return await self._mesh.register(policy, provider=provider)

    async def withdraw(self, service: str) -> Propagation:
        """Delete a service's policy, and with it the caller's right to address it; wait for those concerned."""
        governance = self._mesh.governance
        caller = governance.configuration.members[CALLER]
        without = replace(caller, calls=tuple(each for each in caller.calls if each != service))
        version = await governance.commit(without, deleted=((Kind.SERVICE, service),), note="a check removes a service")
        return await governance.settled(version)

    async def look_up(self, member: str) -> Listing:
        """What the directory tells the calling application, which has no role there, about a member."""
        trust_domain = self._mesh.trust_domain
        credential = trust_domain.issue(self._mesh.identity_path(CALLER))
        context = credential.client_context(trust_domain.bundle_pem)
        sought = member_id(member)
        policy_admin = self._mesh.governance.policy_admin
        await policy_admin.client()
        async with PolicyAdminClient(policy_admin.url, tls=context) as directory:
            known = any(_names(each["id"], str(sought)) for each in await directory.list_clients())
            offered = await directory.list_methods(sought) if known else []
        services = {
            each["name"]: frozenset(f"{operation['method']} {operation['path']}" for operation in each["endpoint_list"])
            for each in offered
        }
        return Listing(str(sought), known, services)


def _names(shown: Mapping[str, str], sought: str) -> bool:
    """Whether the directory's form of an identifier names a member."""
    parts = ("xroad_instance", "member_class", "member_code", "subsystem_code")
    return "/".join(shown[part] for part in parts if part in shown) == sought
