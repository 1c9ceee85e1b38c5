"""The mesh of one run: security servers, control plane, certificates, building blocks, and a witness.

    calling application -> security server `caller` ==mTLS==> security server of the subject -> the subject, or the
    witness

Where each of them is, and what else there is at the border, says `sites`.

Invariants: every call from one building block to another passes two security servers; a change is applied to exactly
the servers whose resources it changes; `restore` brings back the policies of the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from conformance.controlplane.server import ControlPlane
from conformance.envoy.runtime import Runtime
from conformance.mesh.administration import Administration
from conformance.mesh.applications import Applications
from conformance.mesh.beginning import Beginning
from conformance.mesh.collector import SpanCollector
from conformance.mesh.configuration import Configuration, Layout
from conformance.mesh.governance import Governance, Propagation, documents_of
from conformance.mesh.member import Member
from conformance.mesh.members import Members
from conformance.mesh.modifiers import Modifier, Modifiers
from conformance.mesh.names import BYSTANDER, CALLER, FOR_FOREIGNERS, WITNESS
from conformance.mesh.overlays import Overlays
from conformance.mesh.partner import PARTNER
from conformance.mesh.sites import SharedLoopback, Sites, place_of
from conformance.mesh.witness import Witness, WitnessEndpoint
from conformance.model.errors import EnvironmentFault
from conformance.model.policies import MemberPolicy, PolicyKey, Topology
from conformance.model.policy import Endpoint, Operation, ServicePolicy
from conformance.model.run_file import Overlay
from conformance.model.timeouts import Timeouts
from conformance.pki import TrustDomain
from conformance.policy.store import Document
from conformance.protobuf.listen import UnixListen
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.location import LOOPBACK

__all__ = ["Mesh"]


class Mesh:
    """See the module's docstring. Use as an async context manager; nothing is left afterwards."""

    def __init__(
        self,
        *,
        applications: Applications,
        runtime: Runtime,
        timeouts: Timeouts,
        guard: Guard,
        modifiers: Sequence[Modifier] = (),
        operations: tuple[Operation, ...] = (),
        administration: Administration | None = None,
        sites: Sites | None = None,
    ) -> None:
        """Nothing is started yet. `operations` are those of the subject's contracts."""
        self.sites = sites or SharedLoopback()
        self.timeouts = timeouts
        self.guard = guard
        self.applications = applications
        self.subject = applications.subject_name
        self.trust_domain = TrustDomain()
        at_the_border = self.sites.topology is Topology.EXTERNAL_GATEWAY
        self.partner = TrustDomain(PARTNER) if at_the_border else None
        self.witness = Witness()
        self.collector = SpanCollector()
        self.operations = operations
        self._modifiers = Modifiers(modifiers)
        self._baseline = 0
        self._witnesses: dict[str, Endpoint] = {}
        self._administration = administration or Administration()
        self.runtime = runtime
        self._exits = AsyncExitStack()
        self.witness_endpoint: WitnessEndpoint
        self.governance: Governance
        self.members: Members
        self._layout: Layout
        self.folder: Path

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Mesh:
        try:
            await self._start()
        except BaseExceptionGroup as several:
            await self._exits.aclose()
            raise _first_cause(several) from None
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        private = PrivateFolder(self.guard)
        self._exits.callback(private.remove)
        self.folder = private.path
        self._exits.push_async_callback(self.sites.remove)
        await self.sites.make(tuple(self._beginning.providers), self.runtime, self.guard)
        await self._exits.enter_async_context(self.collector)
        self._exits.push_async_callback(self.witness.close)
        sockets = self.folder / "sockets"
        sockets.mkdir(mode=0o755)
        xds, decisions = sockets / "xds.sock", sockets / "decisions.sock"
        self._layout = layout = Layout(decisions=decisions, spans=await self._spans(sockets))
        self.members = Members(
            folder=self.folder,
            xds=xds,
            layout=layout,
            sites=self.sites,
            runtime=self.runtime,
            timeouts=self.timeouts,
            at_the_border=self._at_the_border,
        )
        first = await self._introduce()
        self.governance = Governance(
            folder=self.folder,
            xds=UnixListen(xds, uid=self.runtime.uid),
            trust_domain=self.trust_domain,
            timeouts=self.timeouts,
            configure=lambda: self._configuration(layout),
            decisions=UnixListen(decisions, uid=self.runtime.uid),
            modifiers=self._modifiers,
            administration=self._administration,
        )
        self._exits.push_async_callback(self.governance.close)
        begun = await self.governance.start(first)
        self._exits.push_async_callback(self.runtime.close)
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self._refuse_untaken(begun))
            for member in self.members.values():
                starting.create_task(self.members.start(member))
        self._exits.push_async_callback(self.applications.stop)
        addresses = {name: member.outbound for name, member in self.members.items() if member.outbound}
        endpoints = await self.applications.start(
            addresses, self.folder, self._modifiers.arguments, lambda name: place_of(self.sites.application(name))
        )
        self._baseline = await self._announce_endpoints(endpoints)
        await self.governance.push_all()
        await self._refuse_untaken(self._baseline)

    def _configuration(self, layout: Layout) -> Configuration:
        return Configuration(self.members, self.trust_domain, self._modifiers, layout)

    async def _refuse_untaken(self, version: int) -> None:
        """Wait until every security server has taken its part of a version that the mesh cannot do without.

        Raises:
            EnvironmentFault: one has rejected it, or said nothing in time.

        """
        propagation = await self.governance.settled(version, timeout=self.timeouts.security_server_ready)
        if not propagation.acknowledged:
            raise EnvironmentFault(
                "the mesh did not take its first configuration",
                detail="\n".join(
                    [
                        *(f"{server}: rejected {why}" for server, why in propagation.rejected.items()),
                        *(f"{server}: {why}" for server, why in propagation.unacknowledged.items()),
                    ]
                ),
                next_step="mend the overlay if the run file has one; otherwise report this as a defect of meshmark",
            )

    async def _spans(self, sockets: Path) -> Endpoint | Path:
        """Where spans are sent: what is on hosts of its own cannot reach the runner's loopback."""
        if self.sites.network is None:
            return self.collector.endpoint
        listen = UnixListen(sockets / "spans.sock", uid=self.runtime.uid)
        await self.collector.listen_at(listen)
        return listen.path

    # ------------------------------------------------------------------ beginning

    @property
    def _beginning(self) -> Beginning:
        return Beginning(self.applications, self.operations, self.sites.topology, self.identity, self.partner)

    async def _introduce(self) -> Mapping[PolicyKey, Document | None]:
        """Name every member, and say what is in force at first."""
        beginning = self._beginning
        self.witness_endpoint = await self.witness.open_endpoint(WITNESS, self.sites.application(self.subject))
        bystander = await self.witness.open_endpoint(BYSTANDER, self.sites.application(BYSTANDER))
        for name in beginning.providers:
            self.members.add(self._member(name))
        witness = self.witness_endpoint.endpoint
        running = {WITNESS: witness, FOR_FOREIGNERS: witness, BYSTANDER: bystander.endpoint}
        return documents_of(self._modifiers.registered(policy) for policy in beginning.policies(running))

    async def _announce_endpoints(self, endpoints: Mapping[str, Endpoint]) -> int:
        """Say where building blocks listen; gives the version that holds it."""
        changed = (self.policies[service].changed(endpoints=(endpoint,)) for service, endpoint in endpoints.items())
        return await self.governance.establish(documents_of(changed), note="building blocks are ready")

    # ------------------------------------------------------------------ members

    @asynccontextmanager
    async def newcomer(self, policy: ServicePolicy, *, port: int) -> AsyncIterator[Member]:
        """Until the end of the block the mesh has a security server more, before a service of its own name.

        Its policies are there from the beginning, and it is about to receive its peers at `port`; but it does not run
        before `members.start`.
        """
        member = self._member(policy.service, beside=self.subject)
        self.members.add(member, port=port)
        try:
            policies = (MemberPolicy(member.name, member.identity), replace(policy, provider=member.name))
            await self.governance.commit(*policies, note="a security server joins")
            yield member
        finally:
            self.members.remove(member.name)
            self.governance.configuration.forget(member.name)
            if member.server is not None:
                await member.server.stop()

    @staticmethod
    def identity_path(member: str) -> str:
        """The path of a member's SPIFFE id."""
        return f"security-server/{member}"

    def identity(self, member: str) -> str:
        """A member's SPIFFE id."""
        return self.trust_domain.identity(self.identity_path(member))

    def credential_kind(self, kind: str) -> str:
        """Which kind of certificate to make when a check asks for one."""
        return self._modifiers.credential_kind(kind)

    async def witness_beside(self, member: str) -> Endpoint:
        """An endpoint of the witness that this member's security server can reach."""
        if self.sites.network is None or member == self.subject:
            return self.witness_endpoint.endpoint
        if member not in self._witnesses:
            opened = await self.witness.open_endpoint(f"{WITNESS} beside {member}", self.sites.application(member))
            self._witnesses[member] = opened.endpoint
        return self._witnesses[member]

    def _at_the_border(self, member: Member) -> bool:
        policy = self.governance.configuration.members.get(member.name)
        return policy is not None and policy.gateway and bool(self.governance.configuration.mesh.federation)

    def _member(self, name: str, *, beside: str = "") -> Member:
        """A new member; where it is, or where another one is that it stands beside."""
        site = beside or name
        reachable_at = dict.fromkeys((self.sites.server(site).address, LOOPBACK))
        credential = self.trust_domain.issue(self.identity_path(name), ip=tuple(reachable_at))
        return Member(name=name, identity=self.identity(name), credential=credential, site=site)

    async def _restart(self, member: Member) -> None:
        """Another one takes a security server's place; its peers are told the new address."""
        predecessor = member.running
        await self.members.start(member)
        await self.governance.push_all()
        await predecessor.stop()

    # ------------------------------------------------------------------ policies

    @property
    def policies(self) -> Mapping[str, ServicePolicy]:
        """What the control plane has taken for each service. Change it by `apply`."""
        return self.governance.configuration.services

    @property
    def control_plane(self) -> ControlPlane:
        """The one that serves now."""
        return self.governance.control_plane

    async def apply(self, *policies: ServicePolicy) -> Propagation:
        """Put changed policies in force, and wait until the servers concerned have acknowledged or rejected them."""
        propagation = await self.governance.settled(await self.announce(*policies), policy=policies[-1].version)
        for server in propagation.servers:
            if self._modifiers.restarts(server):
                await self._restart(self.members[server])
        return propagation

    async def announce(self, *policies: ServicePolicy) -> int:
        """Change policies without waiting for anybody; gives the version of the store that holds the change."""
        return await self.governance.commit(*policies, note="a check changes policies")

    async def register(self, *policies: ServicePolicy, provider: str, peer: Endpoint | None = None) -> Propagation:
        """Add services that the caller may address, and wait until the servers concerned have taken them.

        Args:
            policies: the services' policies.
            provider: whose security server stands before them, and proves its identity.
            peer: somebody else who claims to be that security server.

        """
        if peer is not None:
            self._layout.imposters.update({policy.service: peer for policy in policies})
        caller = self.governance.configuration.members[CALLER]
        wider = replace(caller, calls=(*caller.calls, *(policy.service for policy in policies)))
        provided = (replace(policy, provider=provider) for policy in policies)
        # More than the policy admin service takes at once go one after the other: nobody calls what is not there yet.
        version = await self.governance.commit(*provided, wider, note="a check adds a service")
        return await self.governance.settled(version, policy=policies[-1].version)

    def overlaid(self, *overlays: Overlay) -> AbstractContextManager[None]:
        """Until the end of the block these overlays of an operator count for whatever is rendered."""
        return self._modifiers.joined_by(Overlays(overlays))

    async def restore(self) -> None:
        """Back to the policies of the beginning.

        Raises:
            EnvironmentFault: a server did not take them; the mesh cannot be used any more.

        """
        self._layout.imposters.clear()
        back = await self.governance.settled(await self.governance.roll_back(self._baseline))
        anew = await self.governance.push_all()
        for propagation in (back, anew):
            if not propagation.acknowledged:
                raise EnvironmentFault(
                    "the mesh did not go back to its first policies",
                    detail=str({**propagation.rejected, **propagation.unacknowledged}),
                    next_step="report this as a defect of meshmark, with the record",
                )
        await self.members.until_drained(self.control_plane)
        self.witness.forget()
        self.collector.forget()


def _first_cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the other tasks were only cancelled because of it."""
    first = several.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first
