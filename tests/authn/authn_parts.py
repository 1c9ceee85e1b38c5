"""A small mesh of policies, questions in Envoy's words, and a real Envoy that asks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx

from conformance.envoy.binary import installed_binary
from conformance.model.policies import (
    ForeignDomain,
    MemberId,
    MemberPolicy,
    MeshPolicy,
    Policy,
    PolicyChange,
)
from conformance.model.policy import AccessRule, BearerTokens, Operation, PathMatch, PathMatchKind, ServicePolicy
from conformance.pki import Credential, TrustDomain
from conformance.pki.tokens import TokenAuthority
from conformance.protobuf.messages import message_class
from conformance.system.deadlines import until
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

WITHIN_S = 60.0
"""Far more than anything here takes: only a hang reaches it."""
TYPE = "type.googleapis.com/envoy"
FILTERS = f"{TYPE}.extensions.filters.http"

TRUST = TrustDomain()
TOKENS = TokenAuthority()
AUDIENCE = "births"


def identity(member: str) -> str:
    return TRUST.identity(member)


FOREIGNER = "spiffe://partner.example/hospital"
MESH = MeshPolicy(
    issuers=(TOKENS.policy,), federation=(ForeignDomain("partner.example", "no certificate", (FOREIGNER,)),)
)
REGISTRY = MemberPolicy("registry", identity("registry"), MemberId("MESH", "GOV", "100", "births"))
CLINIC = MemberPolicy("clinic", identity("clinic"), MemberId("MESH", "COM", "200"), calls=("births", "open"))
SCHOOL = MemberPolicy("school", identity("school"), calls=())
GATEWAY = MemberPolicy("gateway", identity("gateway"), gateway=True)

READ = Operation("GET", "/v1/births/{id}")
OWN = Operation("GET", "/v1/births/own")
RULES = (
    AccessRule(identity("clinic"), methods=("GET",), paths=(PathMatch(PathMatchKind.PREFIX, "/v1/public"),)),
    AccessRule(identity("clinic"), operations=(READ,)),
    AccessRule(FOREIGNER, methods=("GET",), paths=(PathMatch(PathMatchKind.EXACT, "/v1/report"),)),
)
BIRTHS = ServicePolicy("births", provider="registry", code="births", contract=(READ, OWN), access=RULES)
OPEN = ServicePolicy("open", provider="registry", access=(AccessRule(identity("clinic")),))
GUARDED = OPEN.changed(service="guarded", tokens=BearerTokens(AUDIENCE, ("tokens",)))

EVERYTHING: tuple[Policy, ...] = (MESH, REGISTRY, CLINIC, SCHOOL, GATEWAY, BIRTHS, OPEN, GUARDED)


def change(version: int, *policies: Policy, deleted: Sequence[Any] = ()) -> PolicyChange:
    return PolicyChange(version, policies, tuple(deleted))


class Feed:
    """A feed of policies in memory, which follows the promise of every store."""

    def __init__(self) -> None:
        self._changes: list[PolicyChange] = []
        self._news = asyncio.Event()

    def say(self, news: PolicyChange) -> None:
        self._changes.append(news)
        self._news.set()

    async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        while True:
            self._news.clear()
            for each in [each for each in self._changes if each.version > after]:
                after = each.version
                yield each
            await self._news.wait()


class Asking:
    """A gRPC client that asks as a security server does."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}")
        self._check = self._method("envoy.service.auth.v3.Authorization/Check", "envoy.service.auth.v3.Check")
        self._limit = self._method(
            "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "envoy.service.ratelimit.v3.RateLimit"
        )

    def _method(self, path: str, messages: str) -> Any:
        return self._channel.unary_unary(
            f"/{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(f"{messages}Response").FromString,
        )

    async def check(self, **said: Any) -> Any:
        return await self._check(question(**said), timeout=WITHIN_S, wait_for_ready=True)

    async def reason(self, **said: Any) -> str:
        answer = await self.check(**said)
        return answer.dynamic_metadata.fields["reason"].string_value

    async def limit(self, *descriptors: Mapping[str, str], domain: str = "meshmark", hits: int = 0) -> Any:
        request: Any = message_class("envoy.service.ratelimit.v3.RateLimitRequest")(domain=domain, hits_addend=hits)
        for descriptor in descriptors:
            entries = [{"key": key, "value": value} for key, value in descriptor.items()]
            request.descriptors.add(entries=entries)
        return await self._limit(request, timeout=WITHIN_S, wait_for_ready=True)

    async def close(self) -> None:
        await self._channel.close()


def question(
    *,
    direction: str = "inbound",
    service: str = "open",
    server: str = "registry",
    principal: str = CLINIC.identity,
    method: str = "GET",
    path: str = "/open/",
    headers: Mapping[str, str] | None = None,
) -> Any:
    request: Any = message_class("envoy.service.auth.v3.CheckRequest")()
    attributes = request.attributes
    attributes.source.principal = principal
    attributes.request.http.method = method
    attributes.request.http.path = path
    attributes.request.http.headers.update(headers or {})
    told = {"direction": direction, "service": service, "server": server}
    attributes.context_extensions.update({key: value for key, value in told.items() if value})
    return request


class Proxy:
    """A real Envoy, seen from outside."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self.folder = folder
        self.ports = ports

    def client(self, credential: Credential | None = None) -> httpx.AsyncClient:
        verify = credential.client_context(TRUST.bundle_pem) if credential else True
        return httpx.AsyncClient(verify=verify, timeout=WITHIN_S)

    def url(self, listener: str, path: str) -> str:
        scheme = "http" if listener == "outbound" else "https"
        return f"{scheme}://127.0.0.1:{self.ports[listener]}{path}"

    async def logged(self, nonce: str) -> dict[str, Any]:
        """The line of the access log about the call with this request id."""

        def line() -> dict[str, Any] | None:
            lines = (json.loads(text) for text in (self.folder / "calls.log").read_text().splitlines())
            return next((each for each in lines if each["request_id"] == nonce), None)

        return await until(line, what="the call is in the access log", timeout=WITHIN_S)


LOGGED = {
    "request_id": "%REQ(X-REQUEST-ID)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "caller": "%REQ(X-MESHMARK-CALLER)%",
    "subject": "%REQ(X-MESHMARK-SUBJECT)%",
    "client": "%REQ(X-ROAD-CLIENT)%",
    "reason": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:reason)%",
    "decision": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision)%",
    "policy": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:policy)%",
    "store_version": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:store_version)%",
    "operation": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:operation)%",
}


def asking(timeout: str = "1s") -> dict[str, Any]:
    """The filter that asks."""
    return {
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": f"{FILTERS}.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "authn"}, "timeout": timeout},
            "status_on_error": {"code": "Forbidden"},
            "include_peer_certificate": True,
        },
    }


def told(direction: str, service: str, server: str) -> dict[str, Any]:
    """What the filter tells about a route."""
    context = {"direction": direction, "service": service, "server": server}
    return {
        "envoy.filters.http.ext_authz": {
            "@type": f"{FILTERS}.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {"context_extensions": context},
        }
    }


def route(service: str, per_route: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "match": {"prefix": f"/{service}/"},
        "direct_response": {"status": 200},
        "typed_per_filter_config": dict(per_route),
    }


def listener(
    name: str,
    folder: Path,
    filters: Sequence[Mapping[str, Any]],
    routes: Sequence[Mapping[str, Any]],
    *,
    tls: Mapping[str, Any] | None,
    host: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    router = {"name": "router", "typed_config": {"@type": f"{FILTERS}.router.v3.Router"}}
    log = {
        "@type": f"{TYPE}.extensions.access_loggers.file.v3.FileAccessLog",
        "path": str(folder / "calls.log"),
        "log_format": {"json_format": LOGGED},
    }
    manager = {
        "@type": f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes), **(host or {})}]},
        "http_filters": [*filters, router],
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "192.0.2.0", "prefix_len": 32}]},
        "preserve_external_request_id": True,
        "access_log": [{"name": "calls", "typed_config": log}],
    }
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if tls:
        chain["transport_socket"] = {"name": "tls", "typed_config": dict(tls)}
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [chain],
    }


def mutual_tls(folder: Path) -> dict[str, Any]:
    own = TRUST.issue("security-server")
    inline = {"certificate_chain": own.certificate_chain_pem, "private_key": own.private_key_pem}
    return {
        "@type": f"{TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [{name: {"inline_string": pem.decode()} for name, pem in inline.items()}],
            "validation_context": {"trusted_ca": {"inline_string": TRUST.bundle_pem.decode()}},
        },
    }


def cluster(name: str, socket: Path, protocol: str) -> dict[str, Any]:
    options = {
        "@type": f"{TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {f"{protocol}_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


@asynccontextmanager
async def envoy(
    folder: Path, guard: Guard, listeners: Sequence[Mapping[str, Any]], socket: Path
) -> AsyncIterator[Proxy]:
    """A running Envoy whose cluster `authn` is at `socket`, and whose cluster `application` answers 200."""
    application = folder / "application.sock"
    answering = [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]
    inner = listener("application", folder, [], answering, tls=None) | {"address": {"pipe": {"path": str(application)}}}
    clusters = [cluster("authn", socket, "http2"), cluster("application", application, "http")]
    configuration = folder / "envoy.json"
    configuration.write_text(
        json.dumps(
            {
                "admin": {"address": {"pipe": {"path": str(folder / "admin.sock"), "mode": 0o600}}},
                "static_resources": {"listeners": [*listeners, inner], "clusters": clusters},
            }
        )
    )
    binary = installed_binary()
    options = ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "10"]
    program = await ChildProcess.start(
        [str(binary.path), "-c", str(configuration), *options], name="envoy", guard=guard
    )
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "admin.sock"))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as admin:

            async def bound() -> dict[str, int] | None:
                assert program.alive, program.tail()
                try:
                    found = (await admin.get("/listeners", params={"format": "json"})).json()
                except httpx.TransportError:
                    return None
                statuses = found.get("listener_statuses", [])
                addresses = {each["name"]: each["local_address"] for each in statuses}
                ports = {
                    name: address["socket_address"]["port_value"]
                    for name, address in addresses.items()
                    if "socket_address" in address
                }
                return ports if len(ports) == len(listeners) else None

            ports = await until(bound, what="Envoy listens", timeout=WITHIN_S, last_seen=program.tail)
        yield Proxy(folder, ports)
    finally:
        await program.stop()


@asynccontextmanager
async def private_folder() -> AsyncIterator[tuple[Path, Guard]]:
    guard = Guard()
    folder = PrivateFolder(guard)
    try:
        yield folder.path, guard
    finally:
        folder.remove()
        guard.close()
