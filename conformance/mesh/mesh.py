"""The mesh of one run: security servers, control plane, certificates, building blocks, and a witness.

    calling application -> security server `caller` ==mTLS==> security server of the subject -> the subject, or the
    witness

Where each of them is, and what else there is at the border, says `sites`.

Invariants: every call from one building block to another passes two security servers; a change is applied to exactly
the servers whose resources it changes; `restore` brings back the policies of the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from conformance.authn.behaviour import Behaviour as DecisionBehaviour
from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.controlplane.snapshot import Version
from conformance.envoy.runtime import Runtime, SecurityServerSpec
from conformance.mesh.administration import Administration
from conformance.mesh.applications import Applications
from conformance.mesh.collector import SpanCollector
from conformance.mesh.configuration import Configuration, Layout
from conformance.mesh.governance import Governance, Propagation, documents_of
from conformance.mesh.member import Member
from conformance.mesh.modifiers import Modifier, Overlays
from conformance.mesh.partner import FOREIGNER, PARTNER
from conformance.mesh.registration import member_id
from conformance.mesh.sites import GATEWAY, SharedLoopback, Sites, place_of
from conformance.mesh.witness import Witness, WitnessEndpoint
from conformance.model.errors import EnvironmentFault
from conformance.model.policies import ForeignDomain, MemberPolicy, MeshPolicy, Policy, PolicyKey, Topology
from conformance.model.policy import AccessRule, Endpoint, Operation, ServicePolicy
from conformance.model.run_file import Overlay
from conformance.model.timeouts import Timeouts
from conformance.pki import TrustDomain
from conformance.policy.store import Document, ProxyReport, Store
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.location import LOOPBACK

__all__ = [
    "BYSTANDER",
    "CALLER",
    "FOREIGNER",
    "FOR_FOREIGNERS",
    "RESERVED_NAMES",
    "WITNESS",
    "Member",
    "Mesh",
    "Propagation",
]

T = TypeVar("T")

DRAINING = r"^listener_manager\.total_filter_chains_draining$"
CALLER = "caller"
"""The security server of the calling application, which is the suite itself."""
BYSTANDER = "bystander"
"""A security server, and its service, which no change of a check concerns."""
WITNESS = "witness"
"""The service of the suite's own behind the subject's security server."""
FOR_FOREIGNERS = "for-foreigners"
"""The service behind the subject's security server that callers of another trust domain may call; the witness, too."""
RESERVED_NAMES = frozenset({CALLER, BYSTANDER, WITNESS, FOR_FOREIGNERS, GATEWAY})


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
        self.members: dict[str, Member] = {}
        self._members_changed = asyncio.Event()
        """Set, and replaced by another one, when members come or go while the mesh runs."""
        self._baseline = 0
        self._imposters: dict[str, Endpoint] = {}
        self._drained: Mapping[str, Version] = {}
        self._witnesses: dict[str, Endpoint] = {}
        self._modifiers = list(modifiers)
        self._administration = administration or Administration()
        self.runtime = runtime
        self._exits = AsyncExitStack()
        self.witness_endpoint: WitnessEndpoint
        self.governance: Governance
        self._layout: Layout
        self._xds: Path
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
        await self.sites.make(tuple(self._providers()), self.runtime, self.guard)
        await self._exits.enter_async_context(self.collector)
        self._exits.push_async_callback(self.witness.close)
        first = await self._introduce()
        sockets = self.folder / "sockets"
        sockets.mkdir(mode=0o755)
        self._xds, decisions = sockets / "xds.sock", sockets / "decisions.sock"
        logs = {name: self._spec(member).access_log for name, member in self.members.items()}
        self._layout = layout = Layout(
            access_logs=logs,
            decisions=decisions,
            spans=await self._spans(sockets),
            imposters=self._imposters,
            addresses={name: self.sites.server(name).address for name in self.members},
            for_applications={name: self.sites.for_applications(name) for name in self.members},
        )
        self.governance = Governance(
            folder=self.folder,
            xds=UnixListen(self._xds, uid=self.runtime.uid),
            trust_domain=self.trust_domain,
            timeouts=self.timeouts,
            configure=lambda: self._configuration(layout),
            behave=self._behaviour,
            decisions=UnixListen(decisions, uid=self.runtime.uid),
            decide=self._decisions(),
            keep=self._kept,
            say=self._said,
            administration=self._administration,
        )
        self._exits.push_async_callback(self.governance.close)
        begun = await self.governance.start(first)
        self._exits.push_async_callback(self.runtime.close)
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self._refuse_untaken(begun))
            for member in self.members.values():
                starting.create_task(self.start_server(member))
        self._exits.push_async_callback(self.applications.stop)
        addresses = {name: member.outbound for name, member in self.members.items() if member.outbound}
        endpoints = await self.applications.start(
            addresses, self.folder, self._arguments, lambda name: place_of(self.sites.application(name))
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

    def _providers(self) -> dict[str, tuple[str, ...]]:
        """Every member, and the services behind its security server."""
        named = {self.subject: (self.subject, WITNESS), BYSTANDER: (BYSTANDER,), CALLER: ()}
        named |= {name: (name,) for name in self.applications.calls() if name != self.subject}
        if self.partner:
            named |= {self.subject: (self.subject, WITNESS, FOR_FOREIGNERS), GATEWAY: ()}
        return named

    async def _introduce(self) -> Mapping[PolicyKey, Document | None]:
        """Name every member and say who may call what: the caller everybody, a building block only what it declares."""
        self.witness_endpoint = await self.witness.open_endpoint(WITNESS, self.sites.application(self.subject))
        bystander = (await self.witness.open_endpoint(BYSTANDER, self.sites.application(BYSTANDER))).endpoint
        calls = self.applications.calls()
        provided = self._providers()
        everything = tuple(service for services in provided.values() for service in services)
        federation = (self._federated(self.partner),) if self.partner else ()
        foreigners = tuple(identity for domain in federation for identity in domain.identities)
        # Only calls that ask for it are traced; the others cost nothing.
        policies: list[Policy] = [MeshPolicy(topology=self.sites.topology, federation=federation, tracing_percent=0.0)]
        for name in provided:
            called = {CALLER: everything, GATEWAY: (FOR_FOREIGNERS,)}.get(name) or tuple(calls.get(name, ()))
            identified = MemberPolicy(name, self.identity(name), id=member_id(name), calls=called)
            policies.append(replace(identified, gateway=name == GATEWAY))
            self.members[name] = self._member(name)
        witness = self.witness_endpoint.endpoint
        own = {WITNESS: witness, FOR_FOREIGNERS: witness, BYSTANDER: bystander}
        for provider, services in provided.items():
            for service in services:
                callers = [CALLER, *(name for name, called in calls.items() if service in called)]
                identities = [self.identity(caller) for caller in callers]
                identities += foreigners if service == FOR_FOREIGNERS else ()
                policies.append(
                    ServicePolicy(
                        service=service,
                        provider=provider,
                        endpoints=(own[service],) if service in own else (),
                        base_path=self.applications.base_path(service),
                        contract=self.operations if service == self.subject else (),
                        access=tuple(AccessRule(caller=identity) for identity in identities),
                        # Rules and the authentication service are two lines of defence: behind the witness each of
                        # them is judged on its own, and the second one only where a check asks for it.
                        authentication=service != WITNESS,
                    )
                )
        return documents_of(self._registered(policy) for policy in policies)

    async def _announce_endpoints(self, endpoints: Mapping[str, Endpoint]) -> int:
        """Say where building blocks listen; gives the version that holds it."""
        changed = (self.policies[service].changed(endpoints=(endpoint,)) for service, endpoint in endpoints.items())
        return await self.governance.establish(documents_of(changed), note="building blocks are ready")

    @staticmethod
    def _federated(partner: TrustDomain) -> ForeignDomain:
        return ForeignDomain(partner.name, partner.bundle_pem.decode(), (partner.identity(FOREIGNER),))

    async def start_server(self, member: Member) -> None:
        """Start a security server, and wait until it listens."""
        spec = self._spec(member)
        member.server = await self.runtime.start(spec, self.timeouts.security_server_ready)
        limit = self.timeouts.security_server_ready
        here, for_applications = self.sites.server(member.site).address, self.sites.for_applications(member.site)
        _, inbound = await member.server.listener_address("inbound", limit)
        _, outbound = await member.server.listener_address("outbound", limit)
        member.inbound, member.outbound = Endpoint(here, inbound), Endpoint(for_applications, outbound)
        if self._at_the_border(member):
            _, border = await member.server.listener_address("border", limit)
            member.border = Endpoint(here, border)

    def _at_the_border(self, member: Member) -> bool:
        policy = self.governance.configuration.members.get(member.name)
        return policy is not None and policy.gateway and bool(self.governance.configuration.mesh.federation)

    @asynccontextmanager
    async def newcomer(self, policy: ServicePolicy, *, port: int) -> AsyncIterator[Member]:
        """Until the end of the block the mesh has a security server more, before a service of its own name.

        Its policies are there from the beginning, and it is about to receive its peers at `port`; but it does not run
        before `start_server`.
        """
        member = self._member(policy.service, beside=self.subject)
        self.members[member.name] = member
        self._layout.addresses[member.name] = self.sites.server(member.site).address
        self._layout.for_applications[member.name] = self.sites.for_applications(member.site)
        self._layout.access_logs[member.name] = self._spec(member).access_log
        self._layout.ports[member.name] = port
        try:
            policies = (MemberPolicy(member.name, member.identity), replace(policy, provider=member.name))
            await self.governance.commit(*policies, note="a security server joins")
            yield member
        finally:
            del self.members[member.name], self._layout.access_logs[member.name], self._layout.ports[member.name]
            self.governance.configuration.forget(member.name)
            if member.server is not None:
                await member.server.stop()

    def _member(self, name: str, *, beside: str = "") -> Member:
        """A new member; where it is, or where another one is that it stands beside."""
        site = beside or name
        reachable_at = dict.fromkeys((self.sites.server(site).address, LOOPBACK))
        credential = self.trust_domain.issue(self.identity_path(name), ip=tuple(reachable_at))
        return Member(name=name, identity=self.identity(name), credential=credential, site=site)

    async def witness_beside(self, member: str) -> Endpoint:
        """An endpoint of the witness that this member's security server can reach."""
        if self.sites.network is None or member == self.subject:
            return self.witness_endpoint.endpoint
        if member not in self._witnesses:
            opened = await self.witness.open_endpoint(f"{WITNESS} beside {member}", self.sites.application(member))
            self._witnesses[member] = opened.endpoint
        return self._witnesses[member]

    def _spec(self, member: Member) -> SecurityServerSpec:
        return SecurityServerSpec(
            name=member.name,
            folder=self.folder / member.name,
            xds=self._xds,
            api_type="DELTA_GRPC",
            namespace=self.sites.server(member.site).namespace,
        )

    async def unless_dead(self, work: Awaitable[T]) -> T:
        """Await something, but no longer than all security servers live.

        Raises:
            EnvironmentFault: one of them died; with its last log lines.

        """
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                deaths = {member.server.died for member in self.members.values() if member.server}
                changed = asyncio.ensure_future(self._members_changed.wait())
                try:
                    await asyncio.wait({working, changed, *deaths}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                self.refuse_if_dead()
            return await working
        finally:
            working.cancel()

    def refuse_if_dead(self) -> None:
        """Raise the error that tells of a security server's end, if one has ended."""
        for member in self.members.values():
            if member.server and not member.server.alive:
                raise member.server.death()

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
            if any(modifier.restarts(server) for modifier in self._modifiers):
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
            self._imposters |= {policy.service: peer for policy in policies}
        caller = self.governance.configuration.members[CALLER]
        wider = replace(caller, calls=(*caller.calls, *(policy.service for policy in policies)))
        provided = (replace(policy, provider=provider) for policy in policies)
        version = await self.governance.commit(wider, *provided, note="a check adds a service")
        return await self.governance.settled(version, policy=policies[-1].version)

    @contextmanager
    def overlaid(self, *overlays: Overlay) -> Iterator[None]:
        """Until the end of the block these overlays of an operator count for whatever is rendered."""
        added = Overlays(overlays)
        self._modifiers.append(added)
        try:
            yield
        finally:
            self._modifiers.remove(added)

    async def restore(self) -> None:
        """Back to the policies of the beginning.

        Raises:
            EnvironmentFault: a server did not take them; the mesh cannot be used any more.

        """
        self._imposters.clear()
        back = await self.governance.settled(await self.governance.roll_back(self._baseline))
        anew = await self.governance.push_all()
        for propagation in (back, anew):
            if not propagation.acknowledged:
                raise EnvironmentFault(
                    "the mesh did not go back to its first policies",
                    detail=str({**propagation.rejected, **propagation.unacknowledged}),
                    next_step="report this as a defect of meshmark, with the record",
                )
        await self._until_drained()
        self.witness.forget()
        self.collector.forget()

    async def _until_drained(self) -> None:
        """Wait until no connection is about to be closed because a listener changed, as when a certificate is revoked;
        the next check would feel it. Whose listeners are what they were need not be asked.
        """
        listeners = {
            name: self.governance.control_plane.status(name).types[ResourceType.LISTENER].current
            for name in self.members
        }
        changed = [name for name, version in listeners.items() if self._drained.get(name) != version]

        async def nothing_drains() -> bool:
            counts = await asyncio.gather(*(self.members[name].running.admin.stats(DRAINING) for name in changed))
            return not any(count for each in counts for count in each.values())

        await until(nothing_drains, what="connections of earlier listeners are closed", timeout=self.timeouts.observed)
        self._drained = listeners

    # ------------------------------------------------------------------ names

    @staticmethod
    def identity_path(member: str) -> str:
        """The path of a member's SPIFFE id."""
        return f"security-server/{member}"

    def identity(self, member: str) -> str:
        """A member's SPIFFE id."""
        return self.trust_domain.identity(self.identity_path(member))

    # ------------------------------------------------------------------ inside

    async def _restart(self, member: Member) -> None:
        """Another one takes a security server's place; its peers are told the new address."""
        predecessor = member.running
        await self.start_server(member)
        await self.governance.push_all()
        await predecessor.stop()

    def credential_kind(self, kind: str) -> str:
        """Which kind of certificate to make when a check asks for one."""
        for modifier in self._modifiers:
            kind = modifier.credential_kind(kind)
        return kind

    def _behaviour(self) -> Behaviour:
        for modifier in self._modifiers:
            behaviour = modifier.behaviour()
            if type(behaviour) is not Behaviour:
                return behaviour
        return Behaviour()

    def _decisions(self) -> DecisionBehaviour:
        for modifier in self._modifiers:
            behaviour = modifier.decisions()
            if type(behaviour) is not DecisionBehaviour:
                return behaviour
        return DecisionBehaviour()

    def _kept(self, store: Store) -> Store:
        for modifier in self._modifiers:
            store = modifier.keep(store)
        return store

    def _said(self, report: ProxyReport) -> ProxyReport | None:
        said: ProxyReport | None = report
        for modifier in self._modifiers:
            said = modifier.report(said) if said else None
        return said

    def _registered(self, policy: Policy) -> Policy:
        for modifier in self._modifiers:
            policy = modifier.registered(policy)
        return policy

    def _arguments(self, application: str, arguments: list[str]) -> list[str]:
        for modifier in self._modifiers:
            arguments = modifier.arguments(application, arguments)
        return arguments


def _first_cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the other tasks were only cancelled because of it."""
    first = several.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first
