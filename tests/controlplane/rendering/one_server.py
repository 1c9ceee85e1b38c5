"""One real security server under a real control plane, with building blocks behind it, and callers who hold real
certificates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx
from echo import Echo
from rendering_cases import BIRTHS, policy
from xds_parts import WITHIN_S, Mesh

from conformance.controlplane.rendering import (
    Identity,
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
from conformance.controlplane.resources import ResourceType
from conformance.envoy.runtime import SecurityServer
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.pki import Credential, TrustDomain
from conformance.system.deadlines import until

NAME = "births"


class Closable(Protocol):
    def close(self) -> None: ...


class OneServer:
    """Its own applications call its own services, too: its outbound side then has its inbound side as peer."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.trust_domain = TrustDomain()
        self.credentials = {
            name: self.trust_domain.issue(f"security-server/{name}") for name in ("health", "births", "gateway")
        }
        self.surroundings = Surroundings(server=NAME)
        self.running: list[Closable] = []
        self.proxy: SecurityServer
        self.more: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        return self.mesh.folder

    async def start(self) -> OneServer:
        self.proxy = await self.mesh.proxy(NAME, "DELTA_GRPC")
        return self

    async def block(self, name: str = "echo", **more: Any) -> Echo:
        block = await Echo(name).start(**more)
        self.running.append(block)
        return block

    def view(self) -> SecurityServerView:
        own = self.credentials["births"]
        return SecurityServerView(
            name=NAME,
            identity=Identity(own.certificate_chain_pem, own.private_key_pem),
            trust=self.trust_domain.bundle_pem,
            revocations=self.trust_domain.crl_pem,
            members=tuple(str(credential.identity) for credential in self.credentials.values()),
            access_log=self.proxy.access_log,
            surroundings=self.surroundings,
            **self.more,
        )

    async def told(self, *policies: ServicePolicy, xroad: bool = False, border: bool = False) -> None:
        """Give it exactly these services, behind it and before it, and wait until it has agreed."""
        await self._apply(self._rendered(policies, (), xroad=xroad, border=border))
        host, port = await self.proxy.listener_address("inbound", WITHIN_S)
        await self._apply(self._rendered(policies, (Endpoint(host, port),), xroad=xroad, border=border))

    def _rendered(
        self, policies: Iterable[ServicePolicy], peers: tuple[Endpoint, ...], *, xroad: bool, border: bool
    ) -> Rendered:
        policies = tuple(policies)
        outbound = [OutboundService(each, peers, BIRTHS, self.surroundings.member) for each in policies]
        rendered = render_foundation(self.view())
        for each in policies:
            rendered |= render_inbound(each, self.surroundings)
        for service in outbound:
            rendered |= render_outbound(service, self.surroundings)
            rendered |= render_border(service, self.surroundings) if border else {}
        return rendered | (render_xroad(policies, outbound, self.surroundings) if xroad else {})

    async def _apply(self, rendered: Rendered) -> None:
        resources: dict[ResourceType, dict[str, Any]] = {}
        for (kind, name), fields in rendered.items():
            resources.setdefault(kind, {})[name] = fields
        await self.mesh.apply(NAME, resources)

    async def peer(self, caller: str = "health", listener: str = "inbound") -> httpx.AsyncClient:
        """A client that shows the certificate of a member."""
        credential = self.credentials[caller]
        return await self.client(listener, credential, self.trust_domain.bundle_pem)

    async def client(self, listener: str, credential: Credential, trust: bytes) -> httpx.AsyncClient:
        host, port = await self.proxy.listener_address(listener, WITHIN_S)
        context = credential.client_context(trust)
        return httpx.AsyncClient(base_url=f"https://{host}:{port}", verify=context, timeout=WITHIN_S)

    async def application(self) -> httpx.AsyncClient:
        """A client beside the security server, as its own applications are."""
        host, port = await self.proxy.listener_address("outbound", WITHIN_S)
        return httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=WITHIN_S)

    async def call(self, path: str, method: str = "GET", *, caller: str = "health", **more: Any) -> httpx.Response:
        """One call of a peer, on a connection of its own."""
        async with await self.peer(caller) as client:
            return await client.request(method, path, **more)

    async def ask(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        """One call of an own application."""
        async with await self.application() as client:
            return await client.request(method, path, **more)

    async def answers(self, condition: Callable[[httpx.Response], bool], path: str = "/births/any") -> httpx.Response:
        """The first answer that fits; an acknowledged change is in force a little later."""
        seen = "nothing"

        async def fits() -> httpx.Response | None:
            nonlocal seen
            answer = await self.call(path)
            seen = f"{answer.status_code} {answer.text[:100]}"
            return answer if condition(answer) else None

        return await until(fits, what="the answer that is waited for", timeout=WITHIN_S, last_seen=lambda: seen)

    async def line(self, kind: str = "inbound", **fields: Any) -> dict[str, Any]:
        """The newest line of the access log with these values."""

        def found() -> dict[str, Any] | None:
            text = self.proxy.access_log.read_text() if self.proxy.access_log.exists() else ""
            lines = [json.loads(each) for each in text.splitlines()]
            wanted = {"kind": kind, **fields}
            fitting = [each for each in lines if wanted.items() <= each.items()]
            return fitting[-1] if fitting else None

        return await until(found, what=f"a line {kind} {fields}", timeout=WITHIN_S)

    def close(self) -> None:
        for each in self.running:
            each.close()


async def births(server: OneServer, **changes: Any) -> Echo:
    """Tell it of the service `births` with one building block, which is returned."""
    block = await server.block()
    await server.told(replace(policy(endpoints=(block.endpoint(),)), **changes))
    return block
