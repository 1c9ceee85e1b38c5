"""What decides in a mesh: policies with their admin service, control plane with its loop, authentication service.

Invariants: once the mesh runs, policies change by the policy admin service and in no other way; what it begins with is
judged as they are; a control plane that stops keeps what it knew, and one that takes over knows only what the store
holds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from conformance.authn.decision_log import Line
from conformance.authn.server import AuthenticationService
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane, Rejected
from conformance.controlplane.snapshot import AppliedVersion
from conformance.mesh.administration import Administration, PolicyAdmin
from conformance.mesh.configuration import Configuration
from conformance.mesh.controller import Controller
from conformance.mesh.modifiers import Modifiers
from conformance.model.errors import DeadlineExceeded
from conformance.model.policies import Policy, PolicyKey, key_of
from conformance.model.timeouts import Timeouts
from conformance.pki import TrustDomain
from conformance.policy.client import PolicyAdminClient
from conformance.policy.documents import IncrementalJudge, to_document
from conformance.policy.store import Document, ProxyReport, ProxyState, Store, Write
from conformance.policy.store.opening import open_store
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import time_limit, until

__all__ = ["Governance", "Propagation", "documents_of"]

AUTHENTICATION_SERVICE = "authentication-service"
MOST_AT_ONCE = 100
"""Documents that the policy admin service takes in one change."""
FEW = 10
DECISIONS_KEPT = 2000


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


class Governance:
    """Starts and stops it all. Belongs to the event loop that `start` was called on."""

    def __init__(
        self,
        *,
        folder: Path,
        xds: UnixListen,
        trust_domain: TrustDomain,
        timeouts: Timeouts,
        configure: Callable[[], Configuration],
        decisions: UnixListen,
        modifiers: Modifiers,
        administration: Administration,
    ) -> None:
        self._folder = folder
        self._xds = xds
        self._timeouts = timeouts
        self._configure = configure
        self._modifiers = modifiers
        self.decision_log = folder / "decisions.log"
        self.decided: deque[tuple[float, Line]] = deque(maxlen=DECISIONS_KEPT)
        """The last decisions of the authentication service, each with its monotonic time."""
        self.authentication_address = decisions
        self.authentication = AuthenticationService(
            behaviour=modifiers.decisions(),
            decision_log=self.decision_log,
            on_decision=lambda line: self.decided.append((time.monotonic(), line)),
        )
        self._trust_domain = trust_domain
        self._administration = administration
        self._judge = IncrementalJudge()
        self._exits = AsyncExitStack()
        self.store: Store
        self.policy_admin: PolicyAdmin
        self.control_plane: ControlPlane
        self.configuration: Configuration
        self._controller: Controller

    # ------------------------------------------------------------------ life

    async def start(self, first: Mapping[PolicyKey, Document | None]) -> int:
        """Start everything, and put the first policies in force beside those of the store; gives their version."""
        given = self._administration.store
        store = await open_store(given or f"sqlite:{self._folder / 'policies.db'}", lasting=bool(given))
        self._exits.push_async_callback(store.close)
        self.store = self._modifiers.keep(store)
        self.policy_admin = PolicyAdmin(
            self.store, self._administration, trust_domain=self._trust_domain, folder=self._folder
        )
        self._exits.push_async_callback(self.policy_admin.close)
        if self._administration.operators:
            await self.policy_admin.client()
        version = await self.establish(first, note="the mesh begins")
        self._exits.push_async_callback(self.authentication.close)
        self.authentication.follow(self.store)
        await self.authentication.start(self.authentication_address)
        self._begin()
        self._exits.push_async_callback(self._end)
        await self._listen()
        await self._controller.start()
        return version

    async def close(self) -> None:
        """Stop everything, without a farewell: the security servers are gone."""
        await self._exits.aclose()

    # ------------------------------------------------------------------ control plane

    async def start_control_plane(self) -> None:
        """Start it again; it knows what it knew, and takes what has been changed meanwhile before anybody can ask."""
        await self._controller.start()
        await self._listen()

    async def stop_control_plane(self) -> None:
        """Stop it; the security servers go on with what they have."""
        await self._controller.stop()
        await self.acknowledgements(self._controller.push(self.configuration.farewell()))
        await self.control_plane.stop()

    async def replace_control_plane(self) -> None:
        """A new control plane takes over from one that was stopped. It knows what the store holds and nothing else."""
        self._begin()
        await self.start_control_plane()

    async def reunion(self) -> Propagation:
        """Wait until every security server has found the control plane again and acknowledged what it has for it."""
        versions = {name: self._everything_of(name) for name in self.configuration.sent}
        return await self.acknowledgements(versions, timeout=self._timeouts.reconnect)

    def _everything_of(self, name: str) -> AppliedVersion:
        """All that a security server has been told."""
        types = self.control_plane.status(name).types
        names: dict[ResourceType, set[str]] = {}
        for kind, resource in self.configuration.sent[name]:
            names.setdefault(kind, set()).add(resource)
        current = {kind: types[kind].current for kind in names}
        return AppliedVersion(name, current, {kind: frozenset(named) for kind, named in names.items()})

    def _awaited_from(self, name: str) -> str:
        missing = self.control_plane.missing(name, self._everything_of(name)) if name in self.configuration.sent else []
        return "; ".join(["pending", *missing])

    def _begin(self) -> None:
        self.control_plane = ControlPlane(behaviour=self._modifiers.behaviour())
        self.configuration = self._configure()
        self._controller = Controller(
            self.store, self.configuration, self.control_plane, name="control-plane", say=self._modifiers.report
        )

    async def _listen(self) -> None:
        await self.control_plane.start(self._xds)

    async def _end(self) -> None:
        await self._controller.stop()
        await self.control_plane.stop()

    # ------------------------------------------------------------------ policies

    @property
    def version(self) -> int:
        """The newest version of the store that the control plane has made into configuration."""
        return self._controller.taken

    async def establish(self, written: Mapping[PolicyKey, Document | None], *, note: str) -> int:
        """Write what the mesh cannot begin without, before anybody else can; gives the version that holds it."""
        if not written:
            return await self.store.version()
        writes = [Write(key, document) for key, document in written.items()]
        return await self.store.commit(writes, author=self.policy_admin.author, note=note, judge=self._judge)

    async def commit(self, *policies: Policy, deleted: tuple[PolicyKey, ...] = (), note: str) -> int:
        """Change policies, a hundred at once, all of them or none; gives the version that holds the change."""
        return await self.write(documents_of(policies) | dict.fromkeys(deleted), note=note)

    async def write(self, written: Mapping[PolicyKey, Document | None], *, note: str) -> int:
        """Change policies by their documents, else as `commit` does."""
        client = await self.policy_admin.client()
        known = await self._versions(client, written)
        writes = [Write(key, document, known.get(key)) for key, document in written.items()]
        for first in range(0, len(writes), MOST_AT_ONCE):
            committed = await client.commit(writes[first : first + MOST_AT_ONCE], note=note)
        return committed.version

    @staticmethod
    async def _versions(client: PolicyAdminClient, keys: Collection[PolicyKey]) -> dict[PolicyKey, int]:
        """In which version each of these was changed last, as an editor has to know who changes it again."""
        if len(keys) > FEW:
            return {key: stored.changed_in for key, stored in (await client.documents()).items()}
        found = await asyncio.gather(*(client.document(key) for key in keys))
        return {key: stored.changed_in for key, stored in zip(keys, found, strict=True) if stored}

    async def roll_back(self, version: int) -> int:
        """Back to the policies of a version; gives the version that holds the change."""
        if version == await self.store.version():
            return version
        return (await (await self.policy_admin.client()).roll_back(version)).version

    async def settled(self, version: int, *, policy: str = "", timeout: float | None = None) -> Propagation:
        """Wait until each security server that a version concerns has acknowledged or rejected it, and the
        authentication service decides by it.
        """
        limit = timeout or self._timeouts.acknowledged
        await self._controller.has_taken(version, timeout=limit)
        reports: list[ProxyReport] = []

        async def answered() -> bool:
            reports[:] = await self.store.reports(version)
            return all(each.state is not ProxyState.PENDING for each in reports)

        with suppress(DeadlineExceeded):
            await until(answered, what="every security server concerned has answered", timeout=limit)
        silent = {each.proxy: self._awaited_from(each.proxy) for each in reports if each.state is ProxyState.PENDING}
        try:
            async with time_limit(limit):
                await self.authentication.at_version(version)
        except TimeoutError:
            silent[AUTHENTICATION_SERVICE] = f"decides by version {self.authentication.version}"
        return Propagation(
            policy=policy,
            servers=tuple(each.proxy for each in reports),
            unacknowledged=silent,
            rejected={each.proxy: each.reason for each in reports if each.state is ProxyState.REJECTED},
        )

    async def push_all(self) -> Propagation:
        """Render everything anew, as after a change of certificates, and wait for the acknowledgements."""
        return await self.acknowledgements(self._controller.push(self.configuration.of_everything()))

    async def acknowledgements(
        self, versions: Mapping[str, AppliedVersion], *, timeout: float | None = None
    ) -> Propagation:
        """Wait until each server has acknowledged or rejected its version, of something that is no policy."""
        rejected: dict[str, str] = {}
        silent: dict[str, str] = {}

        async def one(server: str, version: AppliedVersion) -> None:
            try:
                await self.control_plane.acknowledged(server, version, timeout or self._timeouts.acknowledged)
            except Rejected as refusal:
                rejected[server] = str(refusal)
            except DeadlineExceeded as late:
                silent[server] = str(late)

        await asyncio.gather(*(one(server, version) for server, version in versions.items()))
        return Propagation(policy="", servers=tuple(versions), unacknowledged=silent, rejected=rejected)


def documents_of(policies: Iterable[Policy]) -> dict[PolicyKey, Document | None]:
    """What to write to put these in force."""
    return {key_of(policy): to_document(policy) for policy in policies}
