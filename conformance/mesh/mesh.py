"""The inter-proxy mesh of one run: security servers, control plane, certificates, building blocks, and a witness.

    calling application -> security server `caller` ==mTLS==> security server of the subject -> the subject, or the
    witness

Invariants: every call from one building block to another passes two security servers; applications answer on loopback
only; a change is applied to exactly the servers whose resources it changes; `restore` brings back the policies of the
beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane, Rejected, UnixListen
from conformance.controlplane.snapshot import AppliedVersion
from conformance.envoy.runtime import Runtime, SecurityServerSpec
from conformance.mesh.applications import Applications
from conformance.mesh.configuration import Configuration, Difference
from conformance.mesh.member import Member
from conformance.mesh.modifiers import Modifier
from conformance.mesh.witness import Witness, WitnessEndpoint
from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.model.policy import AccessRule, Endpoint, ServicePolicy
from conformance.model.timeouts import Timeouts
from conformance.pki import TrustDomain
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard

__all__ = ["BYSTANDER", "CALLER", "RESERVED_NAMES", "WITNESS", "Member", "Mesh", "Propagation"]

T = TypeVar("T")

CALLER = "caller"
"""The security server of the calling application, which is the suite itself."""
BYSTANDER = "bystander"
"""A security server, and its service, which no change of a check concerns."""
WITNESS = "witness"
"""The service of the suite's own behind the subject's security server."""
RESERVED_NAMES = frozenset({CALLER, BYSTANDER, WITNESS})


@dataclass(frozen=True)
class Propagation:
    """What became of one change: which servers it concerned, and what each said to it.

    Attributes:
        policy: the version of the changed policy, which every access-log line of a call decided by it carries.
        servers: those whose resources changed.
        unacknowledged: those that neither acknowledged nor rejected in time, with what was seen last.
        rejected: those that rejected, with their reason.

    """

    policy: str
    servers: tuple[str, ...]
    unacknowledged: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)

    @property
    def acknowledged(self) -> bool:
        """Every server that it concerns has acknowledged it."""
        return not self.unacknowledged and not self.rejected


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
    ) -> None:
        self.timeouts = timeouts
        self.guard = guard
        self.applications = applications
        self.subject = applications.subject_name
        self.trust_domain = TrustDomain()
        self.witness = Witness()
        self.members: dict[str, Member] = {}
        self._baseline: dict[str, ServicePolicy] = {}
        self._unannounced: set[str] = set()
        self._modifiers = tuple(modifiers)
        self.runtime = runtime
        self._exits = AsyncExitStack()
        self.witness_endpoint: WitnessEndpoint
        self.control_plane: ControlPlane
        self.configuration: Configuration
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
        self._exits.push_async_callback(self.witness.close)
        self.witness_endpoint = await self.witness.open_endpoint(WITNESS)
        bystander = await self.witness.open_endpoint(BYSTANDER)
        self._introduce(bystander.endpoint)
        self.control_plane = ControlPlane(behaviour=self._behaviour())
        self._exits.push_async_callback(self._close_control_plane)
        await self.start_control_plane()
        self._exits.push_async_callback(self.runtime.close)
        first = self._push(self.configuration.of_everything())
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self._refuse_untaken(first))
            for member in self.members.values():
                starting.create_task(self._start_server(member))
        self._exits.push_async_callback(self.applications.stop)
        addresses = {name: member.outbound for name, member in self.members.items() if member.outbound}
        endpoints = await self.applications.start(addresses, self.folder, self._arguments)
        for service, endpoint in endpoints.items():
            self.policies[service] = self.policies[service].changed(endpoints=(endpoint,))
        self._baseline = dict(self.policies)
        await self._refuse_untaken(self._push(self.configuration.of_everything()))

    async def _refuse_untaken(self, versions: Mapping[str, AppliedVersion]) -> None:
        """Wait until every security server has taken its part of the first configuration.

        Raises:
            EnvironmentFault: one has rejected it, or said nothing in time.

        """
        propagation = await self.acknowledgements("", versions, timeout=self.timeouts.security_server_ready)
        if not propagation.acknowledged:
            raise EnvironmentFault(
                "the mesh did not take its first configuration",
                detail="\n".join(
                    f"{server}: {why}" for server, why in {**propagation.rejected, **propagation.unacknowledged}.items()
                ),
                next_step="mend the overlay if the run file has one; otherwise report this as a defect of meshmark",
            )

    def _introduce(self, bystander: Endpoint) -> None:
        """Name every member and say who may call what: the caller everybody, a building block only what it declares."""
        calls = self.applications.calls()
        services = {self.subject: (self.subject, WITNESS), BYSTANDER: (BYSTANDER,), CALLER: ()}
        services |= {name: (name,) for name in calls if name != self.subject}
        everything = tuple(service for provided in services.values() for service in provided)
        for name, provided in services.items():
            self.members[name] = Member(
                name=name,
                identity=self.identity(name),
                credential=self.trust_domain.issue(self.identity_path(name)),
                services=dict.fromkeys(provided),
                calls=dict.fromkeys(everything if name == CALLER else calls.get(name, ())),
            )
        logs = {name: self._spec(member).access_log for name, member in self.members.items()}
        self.configuration = Configuration(self.members, self.trust_domain, self._modifiers, logs)
        for service in everything:
            callers = [CALLER, *(name for name, called in calls.items() if service in called)]
            self.policies[service] = ServicePolicy(
                service=service,
                base_path=self.applications.base_path(service),
                access=tuple(AccessRule(caller=self.identity(caller)) for caller in callers),
            )
        self.policies[WITNESS] = self.policies[WITNESS].changed(endpoints=(self.witness_endpoint.endpoint,))
        self.policies[BYSTANDER] = self.policies[BYSTANDER].changed(endpoints=(bystander,))

    async def _start_server(self, member: Member) -> None:
        spec = self._spec(member)
        member.server = await self.runtime.start(spec, self.timeouts.security_server_ready)
        limit = self.timeouts.security_server_ready
        inbound = await member.server.listener_address("inbound", limit)
        outbound = await member.server.listener_address("outbound", limit)
        member.inbound, member.outbound = Endpoint(*inbound), Endpoint(*outbound)

    def _spec(self, member: Member) -> SecurityServerSpec:
        return SecurityServerSpec(
            name=member.name, folder=self.folder / member.name, xds=self.xds_socket, api_type="DELTA_GRPC"
        )

    async def unless_dead(self, work: Awaitable[T]) -> T:
        """Await something, but no longer than all security servers live.

        Raises:
            EnvironmentFault: one of them died; with its last log lines.

        """
        working = asyncio.ensure_future(work)
        deaths = {member.running.died for member in self.members.values()}
        try:
            await asyncio.wait({working, *deaths}, return_when=asyncio.FIRST_COMPLETED)
            self.refuse_if_dead()
            return await working
        finally:
            working.cancel()

    def refuse_if_dead(self) -> None:
        """Raise the error that tells of a security server's end, if one has ended."""
        for member in self.members.values():
            if not member.running.alive:
                raise member.running.death()

    # ------------------------------------------------------------------ control plane

    @property
    def xds_socket(self) -> Path:
        """Where the control plane listens."""
        return self.folder / "xds" / "xds.sock"

    async def start_control_plane(self) -> None:
        """Start it, or start it again; it knows what it knew."""
        self.xds_socket.parent.mkdir(mode=0o755, exist_ok=True)
        await self.control_plane.start(UnixListen(self.xds_socket, uid=self.runtime.uid))

    async def stop_control_plane(self) -> None:
        """Stop it; the security servers go on with what they have."""
        await self.acknowledgements("", self._push(self.configuration.farewell()))
        await self.control_plane.stop()

    async def _close_control_plane(self) -> None:
        """The end of whichever control plane it is by then, without a farewell: the security servers are gone."""
        await self.control_plane.stop()

    async def replace_control_plane(self) -> None:
        """A new control plane takes over, with an empty memory but the same policies."""
        await self.stop_control_plane()
        self.control_plane = ControlPlane(behaviour=self._behaviour())
        self.configuration.forget()
        self._push(self.configuration.of_everything())
        await self.start_control_plane()

    async def reunion(self) -> Propagation:
        """Wait until every security server has found the control plane again and acknowledged what it has for it."""
        versions = {}
        for name, told in self.configuration.sent.items():
            types = self.control_plane.status(name).types
            names: dict[ResourceType, set[str]] = {}
            for kind, resource in told:
                names.setdefault(kind, set()).add(resource)
            current = {kind: types[kind].current for kind in names}
            versions[name] = AppliedVersion(name, current, {kind: frozenset(named) for kind, named in names.items()})
        return await self.acknowledgements("", versions, timeout=self.timeouts.reconnect)

    # ------------------------------------------------------------------ policies

    @property
    def policies(self) -> dict[str, ServicePolicy]:
        """What is in force for each service. Change it by `apply`."""
        return self.configuration.policies

    async def apply(self, *policies: ServicePolicy) -> Propagation:
        """Put changed policies in force, and wait until the servers concerned have acknowledged or rejected them."""
        propagation = await self.acknowledgements(*self.announce(*policies))
        for server in propagation.servers:
            if any(modifier.restarts(server) for modifier in self._modifiers):
                await self._restart(self.members[server])
        return propagation

    def announce(self, *policies: ServicePolicy) -> tuple[str, dict[str, AppliedVersion]]:
        """Tell the control plane about changed policies without waiting for anybody."""
        for policy in policies:
            self.policies[policy.service] = policy
        differences = self.configuration.of_services({policy.service for policy in policies} | self._unannounced)
        self._unannounced.clear()
        return policies[-1].version if policies else "", self._push(differences)

    async def acknowledgements(
        self, policy: str, versions: Mapping[str, AppliedVersion], *, timeout: float | None = None
    ) -> Propagation:
        """Wait until each server has acknowledged or rejected its version."""
        rejected: dict[str, str] = {}
        silent: dict[str, str] = {}

        async def one(server: str, version: AppliedVersion) -> None:
            try:
                await self.control_plane.acknowledged(server, version, timeout or self.timeouts.acknowledged)
            except Rejected as refusal:
                rejected[server] = str(refusal)
            except DeadlineExceeded as late:
                silent[server] = str(late)

        await asyncio.gather(*(one(server, version) for server, version in versions.items()))
        return Propagation(policy=policy, servers=tuple(versions), unacknowledged=silent, rejected=rejected)

    async def push_all(self) -> Propagation:
        """Render everything anew, as after a change of certificates, and wait for the acknowledgements."""
        return await self.acknowledgements("", self._push(self.configuration.of_everything()))

    async def restore(self) -> None:
        """Back to the policies of the beginning.

        Raises:
            EnvironmentFault: a server did not take them; the mesh cannot be used any more.

        """
        for service in [service for service in self.policies if service not in self._baseline]:
            self.withdraw(service)
        self.policies.update(self._baseline)
        propagation = await self.push_all()
        if not propagation.acknowledged:
            raise EnvironmentFault(
                "the mesh did not go back to its first policies",
                detail=str({**propagation.rejected, **propagation.unacknowledged}),
                next_step="report this as a defect of meshmark, with the record",
            )
        self.witness.forget()

    def register(self, policy: ServicePolicy, *, provider: str, peer: Endpoint | None = None) -> None:
        """Add a service that the caller may address. It counts from the next `apply` on.

        Args:
            policy: the service's policy.
            provider: whose security server stands before it, and proves its identity.
            peer: somebody else who claims to be that security server.

        """
        self.policies[policy.service] = policy
        self.members[CALLER].calls[policy.service] = None
        self.members[provider].services[policy.service] = None
        self.configuration.register(policy.service, peer)
        self._unannounced.add(policy.service)

    def withdraw(self, service: str) -> None:
        """Take an added service away again. It counts from the next `apply` on."""
        for member in self.members.values():
            member.services.pop(service, None)
            member.calls.pop(service, None)
        self.configuration.withdraw(service)
        self._unannounced.add(service)

    # ------------------------------------------------------------------ names

    @staticmethod
    def identity_path(member: str) -> str:
        """The path of a member's SPIFFE id."""
        return f"security-server/{member}"

    def identity(self, member: str) -> str:
        """A member's SPIFFE id."""
        return self.trust_domain.identity(self.identity_path(member))

    def provider_of(self, service: str) -> Member:
        """The security server that stands before a service."""
        return next(member for member in self.members.values() if member.provides(service))

    # ------------------------------------------------------------------ inside

    def _push(self, differences: Mapping[str, Difference]) -> dict[str, AppliedVersion]:
        """Tell the control plane; gives the version that each security server concerned has to acknowledge."""
        return {
            server: self.control_plane.update(server, difference.changed, difference.removed)
            for server, difference in differences.items()
        }

    async def _restart(self, member: Member) -> None:
        """Another one takes a security server's place; its peers are told the new address."""
        predecessor = member.running
        await self._start_server(member)
        await self.push_all()
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

    def _arguments(self, application: str, arguments: list[str]) -> list[str]:
        for modifier in self._modifiers:
            arguments = modifier.arguments(application, arguments)
        return arguments


def _first_cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the other tasks were only cancelled because of it."""
    first = several.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first
