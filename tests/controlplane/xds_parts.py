"""A small world for the control plane's tests: one real proxy per node, real building blocks, every resource type."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from conformance.controlplane.resources import ResourceType
from conformance.controlplane.server import ControlPlane
from conformance.envoy.bootstrap import ApiType
from conformance.envoy.process import ProcessRuntime
from conformance.envoy.runtime import SecurityServer, SecurityServerSpec
from conformance.pki.credential import Credential
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
ADS = {"ads": {}, "resource_api_version": "V3"}

LISTENER, ROUTE, CLUSTER = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.CLUSTER
ENDPOINT, SECRET, EXTENSION_CONFIG = ResourceType.ENDPOINT, ResourceType.SECRET, ResourceType.EXTENSION_CONFIG
Resources = dict[ResourceType, dict[str, dict[str, Any]]]

WITHIN_S = 60.0
"""Far more than anything here takes: only a hang reaches it."""
SOON_S = 0.2


def listener(*, policy: bool = False, secret: str | None = None, route: str = "routes", **more: Any) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    if policy:
        filters.append({"name": "policy", "config_discovery": {"config_source": ADS, "type_urls": [RBAC]}})
    filters.append({"name": "router", "typed_config": {"@type": ROUTER}})
    manager = {
        "@type": HTTP,
        "stat_prefix": "inbound",
        "rds": {"config_source": ADS, "route_config_name": route},
        "http_filters": filters,
    }
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if secret is not None:
        common = {"tls_certificate_sds_secret_configs": [{"name": secret, "sds_config": ADS}]}
        chain["transport_socket"] = {"name": "tls", "typed_config": {"@type": TLS, "common_tls_context": common}}
    return {
        "name": "inbound",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "enable_reuse_port": False,
        "filter_chains": [chain],
        **more,
    }


def routes(cluster: str | None = None, *, body: str = "hello", name: str = "routes") -> dict[str, Any]:
    route: dict[str, Any] = {"match": {"prefix": "/"}}
    if cluster is None:
        route["direct_response"] = {"status": 200, "body": {"inline_string": body}}
    else:
        route["route"] = {"cluster": cluster, "timeout": "5s"}
    return {"name": name, "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]}


def cluster(name: str = "orders", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS}, "connect_timeout": "1s", **more}


def endpoints(*ports: int, name: str = "orders") -> dict[str, Any]:
    addresses = [{"socket_address": {"address": "127.0.0.1", "port_value": port}} for port in ports]
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}],
    }


def policy(action: str, name: str = "policy") -> dict[str, Any]:
    everybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    return {
        "name": name,
        "typed_config": {"@type": RBAC, "rules": {"action": action, "policies": {"everybody": everybody}}},
    }


def tls_secret(name: str, credential: Credential) -> dict[str, Any]:
    return {
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": credential.certificate_chain_pem.decode()},
            "private_key": {"inline_string": credential.private_key_pem.decode()},
        },
    }


PROBE = {EXTENSION_CONFIG: {"probe": policy("ALLOW", "probe")}}


def clusters(*names: str, **more: Any) -> Resources:
    return {CLUSTER: {name: cluster(name, **more) for name in names}}


def load_assignments(*names: str, port: int = 1) -> Resources:
    return {ENDPOINT: {name: endpoints(port, name=name) for name in names}}


def world(**named: Mapping[str, Any]) -> Resources:
    """Resources by type, each under the name it has in itself: `world(listener=..., route=...)`."""
    resources: Resources = {}
    for kind, content in named.items():
        type_ = ResourceType[kind.upper()]
        resources[type_] = {content[type_.name_field]: dict(content)}
    return resources


def merged(*worlds: Resources) -> Resources:
    result: Resources = {}
    for each in worlds:
        for kind, named in each.items():
            result.setdefault(kind, {}).update(named)
    return result


@dataclass
class BuildingBlock:
    """A building block that answers every request with its own name."""

    name: str
    port: int = 0
    requests: int = 0
    _server: asyncio.Server | None = field(default=None, repr=False)

    async def start(self) -> BuildingBlock:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = self.name.encode()
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class Traffic:
    """Requests without a pause until it is stopped; every answer that was not "200" is kept."""

    def __init__(self, mesh: Mesh, server: SecurityServer, tls: ssl.SSLContext | None = None) -> None:
        self._mesh = mesh
        self._tls = tls
        self._server = server
        self._over = False
        self.answers: list[str] = []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        url = await self._mesh.url(self._server, "https" if self._tls else "http")
        async with httpx.AsyncClient(verify=self._tls or True) as client:
            while not self._over:
                answer = await client.get(url)
                self.answers.append(answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}")

    async def grown(self, by: int = 20) -> None:
        wanted = len(self.answers) + by
        await until(lambda: len(self.answers) >= wanted or self._task.done(), what="more traffic", timeout=WITHIN_S)

    async def stop(self) -> list[str]:
        self._over = True
        await self._task
        return self.answers


class Mesh:
    def __init__(self, folder: Path, listen: UnixListen, control_plane: ControlPlane, runtime: ProcessRuntime) -> None:
        self.folder = folder
        self.listen = listen
        self.control_plane = control_plane
        self._runtime = runtime
        self._blocks: list[BuildingBlock] = []

    async def proxy(self, name: str, api_type: ApiType) -> SecurityServer:
        return await self.start(SecurityServerSpec(name, self.folder / name, self.listen.path, api_type=api_type))

    async def start(self, spec: SecurityServerSpec) -> SecurityServer:
        return await self._runtime.start(spec, WITHIN_S)

    async def building_block(self, name: str) -> BuildingBlock:
        block = await BuildingBlock(name).start()
        self._blocks.append(block)
        return block

    async def url(self, server: SecurityServer, scheme: str = "http") -> str:
        host, port = await server.listener_address("inbound", WITHIN_S)
        return f"{scheme}://{host}:{port}/"

    async def answers(self, server: SecurityServer, wanted: str, *, status: int = 200) -> None:
        """Wait until the proxy answers so."""
        url = await self.url(server)
        seen = "nothing"
        async with httpx.AsyncClient() as client:

            async def enforced() -> bool:
                nonlocal seen
                answer = await client.get(url)
                seen = f"{answer.status_code} {answer.text}"
                return answer.status_code == status and wanted in answer.text

            await until(enforced, what=f"{status} {wanted}", timeout=WITHIN_S, last_seen=lambda: seen)

    async def apply(self, node_id: str, resources: Resources) -> None:
        """Set, and wait for the acknowledgement."""
        version = self.control_plane.set_resources(node_id, resources)
        await self.control_plane.acknowledged(node_id, version, WITHIN_S)

    async def close(self) -> None:
        await self._runtime.close()
        for block in self._blocks:
            block.close()
