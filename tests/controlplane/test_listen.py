from __future__ import annotations

import os
import stat
from pathlib import Path

import grpc
import grpc.aio
import pytest
from raw_client import RawClient, names_in
from xds_parts import CLUSTER, WITHIN_S, Mesh, clusters, listener, merged, routes, world

from conformance.controlplane.server import ControlPlane
from conformance.envoy.bootstrap import MutualTlsAddress
from conformance.envoy.runtime import SecurityServerSpec
from conformance.model.errors import EnvironmentFault, SuiteFault
from conformance.pki.trust_domain import TrustDomain
from conformance.protobuf.listen import TlsListen, UnixListen

OTHER_UID = 101


def tls(trust: TrustDomain, port: int = 0) -> TlsListen:
    own = trust.issue("control-plane")
    return TlsListen("127.0.0.1", port, own.certificate_chain_pem, own.private_key_pem, trust.bundle_pem)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_unix_socket_is_for_the_own_user_only(control_plane: ControlPlane, listen: UnixListen):
    assert mode(listen.path) == 0o600
    assert listen.path.stat().st_uid == os.geteuid()


async def test_a_unix_socket_can_be_for_another_user(folder: Path):
    control_plane = ControlPlane()
    await control_plane.start(UnixListen(folder / "other.sock", OTHER_UID))
    if os.geteuid() == 0:
        assert (mode(folder / "other.sock"), (folder / "other.sock").stat().st_uid) == (0o600, OTHER_UID)
    else:
        assert mode(folder / "other.sock") == 0o666
    await control_plane.stop()


async def test_it_cannot_be_started_twice_but_again_after_a_stop(control_plane: ControlPlane, listen: UnixListen):
    with pytest.raises(SuiteFault, match="runs already"):
        await control_plane.start(listen)
    await control_plane.stop()
    await control_plane.stop()
    assert not control_plane.running
    await control_plane.start(listen)
    assert control_plane.running


async def test_an_address_that_cannot_be_used_is_named(folder: Path):
    with pytest.raises(EnvironmentFault) as caught:
        await ControlPlane().start(UnixListen(folder / ("long" * 40)))
    assert "longlong" in str(caught.value.where)
    first = ControlPlane()
    port = await first.start(tls(TrustDomain()))
    assert port
    with pytest.raises(EnvironmentFault, match="cannot listen"):
        await ControlPlane().start(tls(TrustDomain(), port))
    await first.stop()


async def test_over_tcp_only_a_certificate_of_the_authority_lets_a_proxy_in():
    trust, stranger = TrustDomain(), TrustDomain()
    control_plane = ControlPlane()
    listen = tls(trust)
    assert "PRIVATE" not in repr(listen)
    port = await control_plane.start(listen)
    control_plane.set_resources("node", clusters("a"))

    def client(credential) -> RawClient:
        key = credential.private_key_pem if credential else None
        chain = credential.certificate_chain_pem if credential else None
        credentials = grpc.ssl_channel_credentials(trust.bundle_pem, key, chain)
        return RawClient(grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials))

    async def served(credential) -> list[str]:
        raw = client(credential)
        try:
            stream = raw.whole()
            await stream.ask(CLUSTER)
            return names_in(await stream.receive())
        finally:
            await raw.close()

    assert await served(trust.issue("proxy")) == ["a"]
    for refused in (None, stranger.issue("proxy")):
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await served(refused)
    assert control_plane.status("node").types[CLUSTER].responses == 1
    await control_plane.stop()


@pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])
async def test_a_real_proxy_is_served_over_mutual_tls(mesh: Mesh, folder: Path, api_type):
    trust = TrustDomain()
    control_plane = ControlPlane()
    port = await control_plane.start(tls(trust))
    assert port
    (folder / "node").mkdir()
    files = trust.issue("proxy").written_to(folder / "node" / "pki")
    authority = folder / "node" / "pki" / "authority.pem"
    authority.write_bytes(trust.bundle_pem)
    address = MutualTlsAddress("127.0.0.1", port, "localhost", authority, files.certificate_chain, files.private_key)
    proxy = await mesh.start(SecurityServerSpec("node", folder / "node", address, api_type=api_type))
    version = control_plane.set_resources("node", merged(world(listener=listener(), route=routes(body="by tls"))))
    await control_plane.acknowledged("node", version, WITHIN_S)
    await mesh.answers(proxy, "by tls")
    await control_plane.stop()
