"""The reference system as processes: what the tests of `meshmark serve` start, call and kill."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.envoy.binary import installed_binary
from conformance.envoy.bootstrap import MutualTlsAddress
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServer, SecurityServerSpec
from conformance.pki import TrustDomain
from conformance.policy.client import PolicyAdminClient
from conformance.system.deadlines import until
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

log = logging.getLogger(__name__)

MESHMARK = [sys.executable, "-m", "conformance.cli"]
PATIENCE_S = 60.0
EDITOR = "operator/editor"


@dataclass
class Served:
    """A service's process, and what it said about itself."""

    process: ChildProcess
    address: str
    metrics_url: str = ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def metrics(self) -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            return (await http.get(self.metrics_url)).text


def loopback_address() -> str:
    """An address of this machine that hardly anybody else uses: ports of an installation are fixed."""
    return f"127.{64 + secrets.randbelow(190)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


class ReferenceSystem:
    """Starts services and security servers; as an asynchronous context it ends them all."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self.domain = TrustDomain("mesh.test")
        self.machines = {name: loopback_address() for name in ("caller", "registry")}
        self.echo_port = 0
        self._guard = Guard()
        self._runtime = ProcessRuntime(installed_binary(), self._guard)
        self._exits = AsyncExitStack()
        self._started = 0
        self._access_log = folder / "access.log"

    async def __aenter__(self) -> ReferenceSystem:
        self._exits.callback(self._guard.close)
        self._exits.push_async_callback(self._runtime.close)
        self._roots = self.folder / "roots.pem"
        self._roots.write_bytes(self.domain.bundle_pem)
        echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
        self._exits.callback(echo.close)
        self.echo_port = echo.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()
        # For whoever has to find out why a test failed: pytest shows it then only.
        if self._access_log.exists():
            log.warning("%s", "\n".join(self._access_log.read_text().splitlines()[-20:]))

    # ------------------------------------------------------------------ credentials

    def tls(self, identity: str) -> list[str]:
        """Options with the files of a new credential."""
        self._started += 1
        files = self.domain.issue(identity).written_to(self.folder / f"credential-{self._started}")
        return [
            *("--certificate", str(files.certificate_chain)),
            *("--key", str(files.private_key)),
            *("--authorities", str(self._roots)),
        ]

    def authority(self) -> list[str]:
        """Options with the files of the authority that signs for security servers."""
        issuing = self.domain.issuing_authority
        certificate, key = self.folder / "issuing.pem", self.folder / "issuing-key.pem"
        certificate.write_bytes(issuing.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(issuing.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return ["--authority-certificate", str(certificate), "--authority-key", str(key)]

    # ------------------------------------------------------------------ services

    async def serve(self, service: str, *arguments: str, port: int = 0) -> Served:
        """Start a service and wait until it says that it serves."""
        command = [*MESHMARK, "serve", service, "--listen", f"127.0.0.1:{port}", *arguments]
        environment = {"PATH": os.environ["PATH"], "MESHMARK_STORE": self.store}
        process = await ChildProcess.start(command, name=service, guard=self._guard, environment=environment)
        self._exits.push_async_callback(process.stop, 10.0)
        said = await until(
            lambda: (
                re.search(r"serves on (\S+)(?:, metrics on (\S+))?\n", process.tail(200) + "\n") or not process.alive
            ),
            what=f"{service} serves",
            timeout=PATIENCE_S,
            last_seen=process.tail,
        )
        assert isinstance(said, re.Match), process.tail()
        return Served(process, said[1].removeprefix("https://"), said[2] or "")

    async def admin(self) -> Served:
        roles = ["--role", f"editor={self.domain.identity(EDITOR)}"]
        roles += ["--role", f"control-plane={self.domain.identity('authentication')}"]
        return await self.serve("policy-admin", *self.tls("policy-admin"), *roles)

    async def control_plane(self, name: str, authentication: Served, *, port: int = 0) -> Served:
        machines = [part for name, host in self.machines.items() for part in ("--machine", f"{name}={host}")]
        return await self.serve(
            "control-plane",
            *self.tls(f"control-plane/{name}"),
            *self.authority(),
            *machines,
            # By name and by address.
            *("--authentication", f"{'localhost' if name == 'one' else '127.0.0.1'}:{authentication.port}"),
            *("--access-log", str(self._access_log)),
            *("--name", name),
            port=port,
        )

    async def authentication(self, *arguments: str, port: int = 0) -> Served:
        return await self.serve("authentication", *self.tls("authentication"), *arguments, port=port)

    def client(self, admin: Served) -> PolicyAdminClient:
        """Who may change policies."""
        tls = self.domain.issue(EDITOR).client_context(self.domain.bundle_pem)
        return PolicyAdminClient(f"https://{admin.address}", tls=tls)

    # ------------------------------------------------------------------ security servers

    async def security_server(self, node: str, *control_planes: Served, identity: str = "") -> SecurityServer:
        """An Envoy, as an installation starts it: a bootstrap, and a credential towards the control plane."""
        self._started += 1
        # Short, because of its socket.
        folder = self.folder / f"s{self._started}"
        files = self.domain.issue(identity or f"security-server/{node}").written_to(folder)
        authority = folder / "authority.pem"
        authority.write_bytes(self.domain.bundle_pem)
        xds = MutualTlsAddress(
            host="127.0.0.1",
            port=control_planes[0].port,
            server_name="localhost",
            authority=authority,
            certificate=files.certificate_chain,
            key=files.private_key,
            others=tuple(("127.0.0.1", each.port) for each in control_planes[1:]),
        )
        spec = SecurityServerSpec(node, folder, xds, api_type="DELTA_GRPC")
        return await self._runtime.start(spec, PATIENCE_S)

    async def call(self, path: str = "/echo/") -> httpx.Response:
        """A call of the application behind the security server `caller`."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            return await http.get(f"http://{self.machines['caller']}:15001{path}")

    async def until_answered(self, status: int, path: str = "/echo/") -> httpx.Response:
        """Call until the answer has this status."""
        seen: list[httpx.Response] = []

        async def answered() -> httpx.Response | None:
            try:
                seen.append(await self.call(path))
            except httpx.TransportError:
                return None
            return seen[-1] if seen[-1].status_code == status else None

        found = await until(
            answered,
            what=f"{path} is answered with {status}",
            timeout=PATIENCE_S,
            last_seen=lambda: f"{seen[-1].status_code} {seen[-1].text}" if seen else "nothing",
        )
        assert isinstance(found, httpx.Response)
        return found

    # ------------------------------------------------------------------ policies

    def member(self, name: str, **more: Any) -> dict[str, Any]:
        return {"kind": "member", "name": name, "identity": self.domain.identity(f"security-server/{name}"), **more}

    def service(self, name: str = "echo", **more: Any) -> dict[str, Any]:
        return {
            "kind": "service",
            "name": name,
            "provider": "registry",
            "endpoints": [{"host": "127.0.0.1", "port": self.echo_port}],
            "access": [{"caller": "caller"}],
            **more,
        }

    def first_policies(self) -> list[Mapping[str, Any]]:
        # A busy machine must not look like a refusal.
        mesh = {"kind": "mesh", "name": "mesh", "authentication_timeout_s": PATIENCE_S}
        return [mesh, self.member("caller", calls=["echo"]), self.member("registry"), self.service()]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A building block that says what it was told."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(head) + head
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
