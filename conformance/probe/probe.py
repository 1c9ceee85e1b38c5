"""The probe: all that a check may touch. It calls through the mesh, knocks at doors, changes policies, and looks.

What a check sees is on the wire, in what reached the witness, in access logs and in statistics; never in the control
plane's own opinion of itself, except for acknowledgements, which are the proxies' words.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from conformance.mesh import (
    CALLER,
    WITNESS,
    Answer,
    Arrival,
    Imposter,
    Mesh,
    Propagation,
    WitnessEndpoint,
    refusing_address,
)
from conformance.model.errors import DeadlineExceeded, EnvironmentFault
from conformance.model.policy import AccessRule, Endpoint, ServicePolicy
from conformance.model.run_file import Bounds
from conformance.model.timeouts import Timeouts
from conformance.model.verdict import EvidenceKind
from conformance.openapi.contract import Contract
from conformance.openapi.examples import ExampleRequest
from conformance.openapi.fuzz_report import FuzzReport
from conformance.openapi.fuzzing import ClientTls, FuzzSettings, fuzz
from conformance.pki import anonymous_client_context
from conformance.probe.access_log import AccessLog, LogLine
from conformance.probe.administration import Administration
from conformance.probe.authentication import Authentication
from conformance.probe.contract_work import Exercised, exercise, merged_headers
from conformance.probe.credentials import STRANGER_PATH, CredentialKind, make_credential
from conformance.probe.crowd import Crowd
from conformance.probe.exchange import Exchange, KeptConnection, new_nonce
from conformance.probe.hosts import Hosts
from conformance.probe.introduction import Introduction, introduce, introduce_in_plaintext
from conformance.probe.joining import Joining
from conformance.probe.judgement import Recorder
from conformance.probe.redaction import Redaction
from conformance.probe.registry import Registry
from conformance.probe.tracing import Tracing
from conformance.probe.traffic import SteadyTraffic
from conformance.probe.updates import COUNTED_UPDATES, Updates
from conformance.system.deadlines import until

__all__ = ["Life", "Probe", "SubjectFacts"]

T = TypeVar("T")

FORWARDED_HEADER = "x-envoy-upstream-service-time"
"""Envoy adds it to every answer that it hands on, and to none of its own (its documentation: "HTTP router filter")."""


@dataclass(frozen=True)
class SubjectFacts:
    """What a check may know about the subject: how it is named and called, and what its contracts say."""

    name: str
    contracts: tuple[Contract, ...]
    ready_path: str
    headers: Mapping[str, str]
    generated_examples: int
    skipped_operations: tuple[str, ...]
    seed: int
    bounds: Bounds = field(default_factory=Bounds)
    redaction: Redaction = field(default_factory=lambda: Redaction(()))
    """What must not enter the record."""


@dataclass(frozen=True)
class Life:
    """One life of a security server. Two equal ones with a growing uptime mean that it was not restarted."""

    pid: int
    restart_epoch: int
    uptime_s: int

    def continues(self, earlier: Life) -> bool:
        """This is a later moment of the same life."""
        same = (self.pid, self.restart_epoch) == (earlier.pid, earlier.restart_epoch)
        return same and self.uptime_s >= earlier.uptime_s

    def to_json(self) -> dict[str, int]:
        """As evidence."""
        return {"pid": self.pid, "restart_epoch": self.restart_epoch, "uptime_s": self.uptime_s}


class Probe:
    """One for each check. `record` what was observed, then judge it with `require` and `expect`."""

    def __init__(self, mesh: Mesh, judgement: Recorder, subject: SubjectFacts, logs: dict[str, AccessLog]) -> None:
        self._mesh = mesh
        self._logs = logs
        self.subject = subject
        self.authentication = Authentication(mesh)
        self.record = judgement.record
        self.expect = judgement.expect
        self.require = judgement.require
        self.timeouts: Timeouts = mesh.timeouts
        self.administration = Administration(mesh)
        self.joining = Joining(mesh)
        self.crowd = Crowd(mesh)
        self.registry = Registry(mesh)
        self.tracing = Tracing(self, mesh)
        self.hosts = Hosts(mesh, self._log)

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
        async with KeptConnection(self._outbound(), timeout=limit, come_from=here) as kept:
            yield kept

    @asynccontextmanager
    async def peer_connection(self, identity: str = CALLER, *, http2: bool = False) -> AsyncIterator[KeptConnection]:
        """A connection straight to the subject's security server, over mTLS, as a member's security server."""
        credential = self._mesh.trust_domain.issue(self._mesh.identity_path(identity))
        alpn = ("h2",) if http2 else ("http/1.1",)
        context = credential.client_context(self._mesh.trust_domain.bundle_pem, alpn=alpn)
        here = self._mesh.sites.server(identity)
        async with KeptConnection(
            self._door(), timeout=self.timeouts.request, tls=context, http2=http2, come_from=here
        ) as kept:
            yield kept

    @asynccontextmanager
    async def steady_traffic(
        self, *connections: AbstractAsyncContextManager[KeptConnection]
    ) -> AsyncIterator[SteadyTraffic]:
        """One caller for each connection, calling the witness again and again until the end of the block."""
        async with AsyncExitStack() as opened:
            kept = [await opened.enter_async_context(each) for each in connections]
            log = self._log(self.subject.name)
            traffic = SteadyTraffic(kept, log=log, witness=self._mesh.witness, timeouts=self.timeouts)
            async with traffic.flowing():
                yield traffic

    # ------------------------------------------------------------------ at the door of the subject's security server

    async def introduce(
        self,
        kind: CredentialKind = CredentialKind.MEMBER,
        *,
        newest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> Introduction:
        """Knock with a certificate of some kind and, if let in, call the witness.

        A revoked certificate is shown only after the security servers have acknowledged the new revocation list.
        """
        trust = self._mesh.trust_domain.bundle_pem
        kind = CredentialKind(self._mesh.credential_kind(kind))
        if kind is CredentialKind.NONE:
            context = anonymous_client_context(trust, maximum_version=newest_tls)
        else:
            credential = make_credential(kind, self._mesh.trust_domain, self._mesh.identity_path(CALLER))
            if kind is CredentialKind.REVOKED:
                await self._mesh.governance.push_all()
            context = credential.client_context(trust, maximum_version=newest_tls)
        return await introduce(
            self._door(),
            context,
            target=f"/{WITNESS}/introduced",
            nonce=new_nonce(),
            log=self._log(self.subject.name),
            handshakes=self._handshakes,
            timeout=self.timeouts.handshake,
            come_from=self._mesh.sites.server(CALLER),
        )

    async def introduce_in_plaintext(self) -> Introduction:
        """Knock without TLS."""
        return await introduce_in_plaintext(
            self._door(),
            target=f"/{WITNESS}/introduced",
            nonce=new_nonce(),
            log=self._log(self.subject.name),
            timeout=self.timeouts.handshake,
            come_from=self._mesh.sites.server(CALLER),
        )

    @asynccontextmanager
    async def imposter(self, kind: CredentialKind, service: str = "imposter") -> AsyncIterator[Imposter]:
        """Somebody else stands where the security server of a service should stand, with a certificate of some kind.

        The caller's security server is sent there for `service`; it ought to insist on the subject's identity.
        """
        imposter = Imposter()
        kind = CredentialKind(self._mesh.credential_kind(kind))
        path = self._mesh.identity_path(self.subject.name)
        credential = make_credential(kind, self._mesh.trust_domain, path)
        peer = await imposter.start(credential, self._mesh.trust_domain.bundle_pem, self._mesh.sites.elsewhere)
        try:
            policy = ServicePolicy(service=service, retry=None)
            await self._mesh.register(policy, provider=self.subject.name, peer=peer)
            yield imposter
        finally:
            await imposter.close()

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

    # ------------------------------------------------------------------ the control plane

    @asynccontextmanager
    async def control_plane_down(self, *, successor: bool = False) -> AsyncIterator[None]:
        """Until the end of the block the control plane is down, and every security server has noticed.

        Afterwards it is back, or a successor with an empty memory has taken over; every security server has found it
        and has acknowledged whatever it was sent.
        """
        governance = self._mesh.governance
        await governance.stop_control_plane()
        try:
            what = "every security server has lost its control plane"
            await until(self._cut_off, what=what, timeout=self.timeouts.observed)
            yield
        finally:
            await (governance.replace_control_plane() if successor else governance.start_control_plane())
        await governance.reunion()

    async def updates(self, server: str) -> Updates:
        """The configuration that a security server was sent and has taken over so far."""
        admin = self._mesh.members[server].running.admin
        sent = self._mesh.control_plane.status(server).types
        return Updates(
            sent={f"sent {kind}": status.responses for kind, status in sent.items()},
            taken_over=await admin.stats(COUNTED_UPDATES),
            versions=await admin.text_readouts(r"\.version_text$"),
        )

    # ------------------------------------------------------------------ the subject by its contract

    async def exercise(self, contract: Contract) -> list[Exercised]:
        """Call every operation of a contract of the subject once, through the mesh, and judge each answer by it."""

        async def call(request: ExampleRequest) -> Exchange:
            return await self.call(
                request.path,
                method=request.method,
                service=self.subject.name,
                headers=merged_headers(self.subject.headers, request),
                body=request.body or b"",
                connection=kept,
            )

        async with self.connection() as kept:
            return [each async for each in exercise(contract, call=call, look_up=self.last_line)]

    # ------------------------------------------------------------------ the witness

    @asynccontextmanager
    async def extra_endpoint(self, name: str = "extra") -> AsyncIterator[WitnessEndpoint]:
        """One more endpoint of the witness; calls find it once a policy names its address. Set its `answer` at will."""
        endpoint = await self._mesh.witness.open_endpoint(name, self._mesh.sites.application(self.subject.name))
        try:
            yield endpoint
        finally:
            await self._mesh.witness.close_endpoint(endpoint)

    def refusing_address(self) -> AbstractContextManager[Endpoint]:
        """An address beside the witness that refuses every connection."""
        return refusing_address(self._mesh.sites.application(self.subject.name))

    @property
    def held(self) -> int:
        """How many calls the witness has received and holds, as told by `Answer.hold`."""
        return self._mesh.witness.holding

    def release(self) -> None:
        """The witness answers all calls that it holds."""
        self._mesh.witness.release()

    async def generate_input(self, contract: Contract) -> FuzzReport:
        """Send generated requests for every operation straight to the subject's security server, as the caller."""
        skipped = set(self.subject.skipped_operations)
        door, mesh = self._door(), self._mesh
        with tempfile.TemporaryDirectory(prefix="generated-", dir=mesh.folder) as folder:
            credential = mesh.trust_domain.issue(mesh.identity_path(CALLER)).written_to(Path(folder))
            authorities = Path(folder, "authorities.pem")
            await asyncio.to_thread(authorities.write_bytes, mesh.trust_domain.bundle_pem)
            return await fuzz(
                contract,
                f"https://{door.host}:{door.port}/{self.subject.name}",
                folder=Path(folder),
                guard=mesh.guard,
                settings=FuzzSettings(
                    seed=self.subject.seed,
                    max_examples=self.subject.generated_examples,
                    request_timeout_s=self.timeouts.request,
                    deadline_s=self.timeouts.generated_input,
                    headers=self.subject.headers,
                    tls=ClientTls(credential.certificate_chain, credential.private_key, authorities),
                    only=[each.key for each in contract.operations if each.key not in skipped] if skipped else None,
                    origin_header=FORWARDED_HEADER,
                    come_from=mesh.sites.server(CALLER).namespace,
                ),
            )

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
            return next(iter(self._log(self.subject.name).lines(kind="inbound", nonce=nonce)), None)

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
        return self._log(name).lines(kind=kind, nonce=exchange.nonce)

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

    # ------------------------------------------------------------------ inside

    def _outbound(self) -> Endpoint:
        return _there(self._mesh.members[CALLER].outbound, CALLER)

    def _door(self) -> Endpoint:
        return _there(self._mesh.members[self.subject.name].inbound, self.subject.name)

    def _log(self, server: str) -> AccessLog:
        if server not in self._logs:
            self._logs[server] = AccessLog(self._mesh.members[server].running.access_log)
        return self._logs[server]

    async def _cut_off(self) -> bool:
        states = [await self.statistics(r"^control_plane\.connected_state$", server) for server in self.mesh_members]
        return not any(connected for state in states for connected in state.values())

    async def _handshakes(self) -> int:
        return (await self.statistics(r"^listener\.inbound\.ssl\.handshake$")).get("listener.inbound.ssl.handshake", 0)


def _there(endpoint: Endpoint | None, server: str) -> Endpoint:
    if endpoint is None:
        raise EnvironmentFault(f"security server {server} has no listener", next_step="start the mesh first")
    return endpoint
