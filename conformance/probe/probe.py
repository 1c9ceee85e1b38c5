"""The probe: all that a check may touch. It calls through the mesh, changes policies, and looks; its parts do the rest.

What a check sees is on the wire, in what reached the witness, in access logs and in statistics; never in the control
plane's own opinion of itself, except for acknowledgements, which are the proxies' words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar, cast

from conformance.mesh import CALLER, WITNESS, Answer, Arrival, Mesh, Propagation
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import AccessRule, ServicePolicy
from conformance.model.timeouts import Timeouts
from conformance.model.verdict import EvidenceKind
from conformance.probe.access_log import AccessLogs, LogLine
from conformance.probe.administration import Administration
from conformance.probe.authentication import Authentication
from conformance.probe.contracts import Contracts
from conformance.probe.control_plane import ControlPlane
from conformance.probe.credentials import STRANGER_PATH
from conformance.probe.crowd import Crowd
from conformance.probe.door import Door
from conformance.probe.exchange import Exchange, KeptConnection, new_nonce
from conformance.probe.hosts import Hosts
from conformance.probe.joining import Joining
from conformance.probe.judgement import Recorder
from conformance.probe.life import Life
from conformance.probe.registry import Registry
from conformance.probe.subject import SubjectFacts
from conformance.probe.tracing import Tracing
from conformance.probe.traffic import SteadyTraffic
from conformance.probe.witness import Witness
from conformance.system.deadlines import until

__all__ = ["Probe"]

T = TypeVar("T")


class Probe:
    """One for each check. `record` what was observed, then judge it with `require` and `expect`."""

    def __init__(self, mesh: Mesh, judgement: Recorder, subject: SubjectFacts, logs: AccessLogs) -> None:
        self._mesh = mesh
        self._logs = logs
        self.subject = subject
        self.record = judgement.record
        self.expect = judgement.expect
        self.require = judgement.require
        self.timeouts: Timeouts = mesh.timeouts
        self.administration = Administration(mesh)
        self.authentication = Authentication(mesh)
        self.contracts = Contracts(self, mesh)
        self.control_plane = ControlPlane(mesh)
        self.crowd = Crowd(mesh)
        self.door = Door(mesh, logs)
        self.hosts = Hosts(mesh, logs)
        self.joining = Joining(mesh)
        self.registry = Registry(mesh)
        self.tracing = Tracing(self, mesh)
        self.witness = Witness(mesh)

    # ------------------------------------------------------------------ calls through the mesh

    async def call(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        service: str = WITNESS,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        answers: Sequence[Answer] = (),
        connection: KeptConnection | None = None,
    ) -> Exchange:
        """Call a service as the calling application does, through its own security server.

        Args:
            path: as the building block sees it, with its query; sent exactly as written.
            method: any HTTP method.
            service: the witness unless told otherwise.
            headers: sent along.
            body: sent along.
            answers: what the witness shall answer to this call, try by try; an echo by default.
            connection: an open connection to go over; a fresh one by default.

        """
        nonce = new_nonce()
        if answers:
            self._mesh.witness.script(nonce, *answers)
        if connection is not None:
            return await connection.call(f"/{service}{path}", method=method, headers=headers, body=body, nonce=nonce)
        async with self.connection() as fresh:
            return await fresh.call(f"/{service}{path}", method=method, headers=headers, body=body, nonce=nonce)

    @asynccontextmanager
    async def connection(self, *, patience: float = 0.0) -> AsyncIterator[KeptConnection]:
        """A connection to the caller's own security server that stays open until the end of the block.

        Each call over it may take so many seconds longer than others, because it waits for something else to happen.
        """
        here, limit = self._mesh.sites.application(CALLER), self.timeouts.request + patience
        async with KeptConnection(self._mesh.members[CALLER].for_applications, timeout=limit, come_from=here) as kept:
            yield kept

    @asynccontextmanager
    async def peer_connection(self, identity: str = CALLER, *, http2: bool = False) -> AsyncIterator[KeptConnection]:
        """A connection straight to the subject's security server, over mTLS, as a member's security server."""
        credential = self._mesh.trust_domain.issue(self._mesh.identity_path(identity))
        alpn = ("h2",) if http2 else ("http/1.1",)
        context = credential.client_context(self._mesh.trust_domain.bundle_pem, alpn=alpn)
        here = self._mesh.sites.server(identity)
        async with KeptConnection(
            self.door.endpoint, timeout=self.timeouts.request, tls=context, http2=http2, come_from=here
        ) as kept:
            yield kept

    @asynccontextmanager
    async def steady_traffic(
        self, *connections: AbstractAsyncContextManager[KeptConnection]
    ) -> AsyncIterator[SteadyTraffic]:
        """One caller for each connection, calling the witness again and again until the end of the block."""
        async with AsyncExitStack() as opened:
            kept = [await opened.enter_async_context(each) for each in connections]
            log = self._logs.of(self.subject.name)
            traffic = SteadyTraffic(kept, log=log, witness=self._mesh.witness, timeouts=self.timeouts)
            async with traffic.flowing():
                yield traffic

    # ------------------------------------------------------------------ policies

    def identity(self, member: str = CALLER) -> str:
        """The SPIFFE id of a member's security server."""
        return self._mesh.identity(member)

    @property
    def stranger(self) -> str:
        """The SPIFFE id in a stranger's certificate."""
        return self._mesh.trust_domain.identity(STRANGER_PATH)

    def everything_for(self, member: str = CALLER) -> AccessRule:
        """A rule that lets a member do everything."""
        return AccessRule(caller=self.identity(member))

    def policy(self, service: str = WITNESS) -> ServicePolicy:
        """What is in force for a service; change it with `policy.changed(...)`."""
        return self._mesh.policies[service]

    async def apply(self, policy: ServicePolicy) -> Propagation:
        """Put a changed policy in force and wait until the security servers concerned have acknowledged it."""
        return await self._mesh.apply(policy)

    async def announce(self, policy: ServicePolicy) -> None:
        """Change a policy and wait for nobody."""
        await self._mesh.announce(policy)

    async def put_in_force(self, policy: ServicePolicy) -> bool:
        """Apply a changed policy and wait until it decides about calls on both sides; false if it never does.

        The provider's part comes last, with the routes, so everything else of the policy is in force by then, too.
        """
        propagation = await self.apply(policy)
        wanted = [policy.caller_version, policy.version]

        async def known() -> list[object] | None:
            exchange = await self.call("/", service=policy.service)
            lines = [await self.line(exchange, CALLER), await self.line(exchange)]
            named = [(line or {}).get("policy") for line in lines]
            # Who does not say which policy decided will not say so later either.
            return named if named == wanted or None in named else None

        if not propagation.acknowledged:
            return False
        what = f"policy {policy.version} decides"
        decided: list[object] | None = await self.eventually(known, what=what, timeout=self.timeouts.enforced)
        return decided == wanted

    async def first_decided_by(
        self, policy: ServicePolicy, attempt: Callable[[], Awaitable[Exchange]], *, at: str | None = None
    ) -> tuple[Exchange, LogLine] | None:
        """Repeat a call until a security server (the subject's, or `at`) says that this version of the policy decided
        it.

        Gives that first call and its access-log line, or None if the policy never came in force within the time.
        """

        async def decided() -> tuple[Exchange, LogLine] | None:
            exchange = await attempt()
            line = await self.line(exchange, at)
            return (exchange, line) if line and line.get("policy") == policy.version else None

        return await self.eventually(decided, what=f"policy {policy.version} decides", timeout=self.timeouts.enforced)

    # ------------------------------------------------------------------ looking

    @property
    def mesh_members(self) -> tuple[str, ...]:
        """The names of all security servers."""
        return tuple(self._mesh.members)

    def arrivals(self, nonce: str) -> list[Arrival]:
        """What reached the witness under a nonce."""
        return self._mesh.witness.arrived(nonce)

    async def line(self, exchange: Exchange, server: str | None = None) -> LogLine | None:
        """The access-log line of a call at the subject's security server, or at another; None if there is none in
        time.
        """

        def written() -> LogLine | None:
            lines = self.lines(exchange, server)
            return lines[-1] if lines else None

        return await self.eventually(written, what="the call is in the access log", timeout=self.timeouts.observed)

    async def line_of(self, nonce: str) -> LogLine | None:
        """The access-log line at the subject's security server of a call that came in from abroad."""

        def written() -> LogLine | None:
            return next(iter(self._logs.of(self.subject.name).lines(kind="inbound", nonce=nonce)), None)

        return await self.eventually(written, what="the call is in the access log", timeout=self.timeouts.observed)

    async def last_line(self, exchange: Exchange) -> LogLine | None:
        """The line of a call's last try at the subject's security server, or that of the caller's if it never left
        there.
        """
        here = await self.line(exchange, CALLER)
        if here is None or not here.get("upstream_host"):
            return here
        tries = int(here.get("attempts") or 1)

        def all_written() -> bool:
            return len(self.lines(exchange)) >= tries

        await self.eventually(all_written, what="every try of the call is in the access log")
        # A try that got lost between the security servers has left no line.
        return next(reversed(self.lines(exchange)), None)

    def lines(self, exchange: Exchange, server: str | None = None) -> list[LogLine]:
        """What is in that access log about a call by now: one line for each try that came there."""
        name = server or self.subject.name
        kind = "outbound" if name == CALLER else "inbound"
        return self._logs.of(name).lines(kind=kind, nonce=exchange.nonce)

    async def statistics(self, pattern: str, server: str | None = None) -> dict[str, int]:
        """Counters and gauges of a security server whose names match a regular expression."""
        running = self._mesh.members[server or self.subject.name].running
        return dict(await running.admin.stats(pattern))

    async def life(self, server: str | None = None) -> Life:
        """Which life of a security server this is."""
        running = self._mesh.members[server or self.subject.name].running
        info = await running.admin.server_info()
        return Life(pid=running.pid, restart_epoch=info.epoch, uptime_s=info.uptime_s)

    def end_of_subject(self) -> str | None:
        """How the subject's own process ended, if it did."""
        return self._mesh.applications.end_of_subject()

    async def eventually(
        self, condition: Callable[[], T | Awaitable[T | None] | None], *, what: str, timeout: float | None = None
    ) -> T | None:
        """Wait for something; gives it, or None if it did not come in time, for the check to judge."""
        try:
            found: T | None = await until(cast(Any, condition), what=what, timeout=timeout or self.timeouts.observed)
        except DeadlineExceeded:
            return None
        return found

    def record_exchange(self, name: str, exchange: Exchange, line: LogLine | None = None) -> None:
        """Keep a call, its answer and, if looked up, what the security server wrote about it."""
        observed: dict[str, Any] = exchange.to_json()
        if line is not None:
            observed["access_log"] = dict(line)
        self.record(name, EvidenceKind.EXCHANGE, observed)
