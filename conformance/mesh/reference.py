"""The reference system on its own: members, services and rules come from policies, and people call it, no checks.

Invariants: documents are kept as they were written, but for the endpoints of the building blocks that are started here;
everybody who may prove something finds what proves it in one private folder, which is gone with the mesh; each member
of the policies has a security server, also one that comes later, as long as this mesh's authority can vouch for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from conformance.envoy.runtime import Runtime
from conformance.mesh.administration import Administration
from conformance.mesh.applications import Applications
from conformance.mesh.blueprint import Blueprint
from conformance.mesh.configuration import Configuration, Layout
from conformance.mesh.member import Member
from conformance.mesh.mesh import Mesh
from conformance.mesh.modifiers import Modifier, Modifiers
from conformance.mesh.partner import FOREIGNER, UNKNOWN_FOREIGNER
from conformance.mesh.sites import SharedLoopback
from conformance.model.errors import SuiteFault
from conformance.model.policies import Kind, MemberPolicy, PolicyKey
from conformance.model.policy import Endpoint
from conformance.model.timeouts import Timeouts
from conformance.pki import Credential, TrustDomain
from conformance.policy.store import Document
from conformance.system.folders import bundled
from conformance.system.guard import Guard

__all__ = ["AUTHORITY", "MEMBERS", "OPERATOR", "PARTNERS", "PARTNERS_OTHER", "STRANGER", "ReferenceMesh"]

log = logging.getLogger(__name__)

SCHEME = "spiffe://"
AUTHORITY = "authority.pem"
MEMBERS = "members"
OPERATOR = "operator"
"""Who may change policies: the path of its identity, and the name of its file."""
STRANGER = "stranger"
"""A certificate with a member's name from an authority that nobody here trusts."""
PARTNERS = "partner"
"""The one caller of the other trust domain that is let in at the border."""
PARTNERS_OTHER = "partner-other"
"""Another one of the same trust domain, whom no policy names."""


class ReferenceMesh(Mesh):
    """Built from a blueprint. `certificates` is there as long as the mesh runs."""

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        runtime: Runtime,
        timeouts: Timeouts,
        guard: Guard,
        store: str | None = None,
        policy_port: int = 0,
        modifiers: Sequence[Modifier] = (),
    ) -> None:
        super().__init__(
            applications=Applications(blueprint.building_blocks, bundled(""), timeouts, guard),
            runtime=runtime,
            timeouts=timeouts,
            guard=guard,
            modifiers=modifiers,
            administration=Administration(store=store, operators=(OPERATOR,), port=policy_port),
            sites=SharedLoopback(blueprint.policies.mesh.topology),
        )
        self.partner = blueprint.partner
        self._comings_and_goings: asyncio.Queue[Member] = asyncio.Queue()
        self.trust_domain = TrustDomain(blueprint.trust_domain)
        self._blueprint = blueprint

    @property
    def certificates(self) -> Path:
        """A folder with the certificates of the authority, the operator, a stranger and, in `members`, each member.

        Each file but the authority's holds the private key, too, as curl and others take it.
        """
        return self.folder / "certificates"

    def certificate(self, name: str) -> Path:
        """The file of somebody: `OPERATOR`, `STRANGER`, or a member's name below `MEMBERS`."""
        return self.certificates / f"{name}.pem"

    # ------------------------------------------------------------------ members that come and go

    async def follow_members(self) -> None:
        """Start a security server for each member that comes, and stop that of each that goes, without end.

        Raises:
            EnvironmentFault: one does not start.

        """
        while True:
            member = await self._comings_and_goings.get()
            if self.members.get(member.name) is member:
                await self.members.start(member)
                self._write_certificate(f"{MEMBERS}/{member.name}", member.credential)
                self.members.say_changed()
                # Its peers learn where it is.
                await self.governance.push_all()
            elif member.server is not None:
                await member.server.stop()

    def enrol(self, name: str, policy: MemberPolicy | None) -> None:
        """A member has come, changed or gone (None). Called before anything is rendered for it."""
        before = self.members.get(name)
        if policy is None:
            if before:
                self._comings_and_goings.put_nowait(self.members.remove(name))
                self.members.say_changed()
            return
        if before and before.identity == policy.identity:
            return
        if not policy.identity.startswith(f"{SCHEME}{self.trust_domain.name}/"):
            log.warning("member %s gets no security server: its identity is of another trust domain", name)
            return
        credential = self.trust_domain.issue(_path_of(policy.identity))
        if before:
            before.identity, before.credential = policy.identity, credential
            return
        member = Member(name=name, identity=policy.identity, credential=credential, site=name)
        self.members.add(member)
        self._comings_and_goings.put_nowait(member)

    def _configuration(self, layout: Layout) -> Configuration:
        return _OfMembers(self.enrol, self.members, self.trust_domain, self._modifiers, layout)

    # ------------------------------------------------------------------ beginning

    async def _introduce(self) -> Mapping[PolicyKey, Document | None]:
        for name, policy in self._blueprint.members.items():
            credential = self.trust_domain.issue(_path_of(policy.identity))
            self.members.add(Member(name=name, identity=policy.identity, credential=credential, site=name))
        self._write_certificates()
        return self._blueprint.documents

    async def _announce_endpoints(self, endpoints: Mapping[str, Endpoint]) -> int:
        written: dict[PolicyKey, Document | None] = {}
        for service, endpoint in endpoints.items():
            stored = await self.governance.store.document((Kind.SERVICE, service))
            if stored is None:
                raise SuiteFault(f"the policy of {service} is gone", next_step="report this as a defect of meshmark")
            place = {"host": endpoint.host, "port": endpoint.port}
            written[Kind.SERVICE, service] = {**stored.document, "endpoints": [place]}
        if not written:
            return await self.governance.store.version()
        return await self.governance.write(written, note="building blocks are ready")

    def _write_certificates(self) -> None:
        shown: dict[str, Credential] = {f"{MEMBERS}/{name}": each.credential for name, each in self.members.items()}
        anybody = next(iter(self.members.values()))
        shown[OPERATOR] = self.trust_domain.issue(OPERATOR)
        if self.partner:
            shown[PARTNERS] = self.partner.issue(FOREIGNER)
            shown[PARTNERS_OTHER] = self.partner.issue(UNKNOWN_FOREIGNER)
        shown[STRANGER] = TrustDomain(self.trust_domain.name).issue(_path_of(anybody.identity))
        (self.certificates / MEMBERS).mkdir(mode=0o700, parents=True)
        for name, credential in shown.items():
            self._write_certificate(name, credential)
        (self.certificates / AUTHORITY).write_bytes(self.trust_domain.bundle_pem)

    def _write_certificate(self, name: str, credential: Credential) -> None:
        self.certificate(name).unlink(missing_ok=True)
        descriptor = os.open(self.certificate(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(credential.certificate_chain_pem + credential.private_key_pem)


class _OfMembers(Configuration):
    """A configuration that tells the mesh who comes and goes."""

    def __init__(
        self,
        say: Callable[[str, MemberPolicy | None], None],
        servers: Mapping[str, Member],
        trust_domain: TrustDomain,
        modifiers: Modifiers,
        layout: Layout,
    ) -> None:
        super().__init__(servers, trust_domain, modifiers, layout)
        self._say = say

    def enrol(self, name: str, policy: MemberPolicy | None) -> None:
        self._say(name, policy)


def _path_of(identity: str) -> str:
    """The path of a SPIFFE id, without its first slash."""
    return identity.partition("://")[2].partition("/")[2]
