from __future__ import annotations

import ssl
from dataclasses import replace

import httpx
import pytest
from one_server import OneServer, births
from xds_parts import WITHIN_S

from conformance.model.policies import MeshPolicy
from conformance.system.deadlines import until


async def test_a_revocation_closes_open_connections(server: OneServer):
    block = await births(server)
    async with await server.peer() as client:
        assert (await client.get("/births/any")).status_code == 200
        server.trust_domain.revoke(server.credentials["health"])
        server.more["revoked"] = "one more"
        await births(server)

        async def closed() -> bool:
            # A new connection is refused in the handshake, so the first failure says that the old one is gone.
            try:
                return (await client.get("/births/any")).status_code != 200
            except (httpx.TransportError, ssl.SSLError):
                return True

        await until(closed, what="the open connection is closed", timeout=WITHIN_S)
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await server.call("/births/any")
    assert block.arrivals


@pytest.mark.parametrize("versions", [("1.2", 200), ("1.3", None)])
async def test_older_peers_are_borne_where_the_mesh_says_so(server: OneServer, versions):
    minimum, wanted = versions
    server.surroundings = replace(server.surroundings, mesh=MeshPolicy(minimum_tls=minimum))
    await births(server)
    host, port = await server.proxy.listener_address("inbound", WITHIN_S)
    context = server.credentials["health"].client_context(
        server.trust_domain.bundle_pem, maximum_version=ssl.TLSVersion.TLSv1_2
    )
    async with httpx.AsyncClient(base_url=f"https://{host}:{port}", verify=context) as client:
        if wanted:
            assert (await client.get("/births/any")).status_code == wanted
        else:
            with pytest.raises(httpx.TransportError):
                await client.get("/births/any")
