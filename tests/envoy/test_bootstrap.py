from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.controlplane.server import ControlPlane
from conformance.envoy.bootstrap import ApiType, MutualTlsAddress, bootstrap
from conformance.envoy.runtime import SecurityServer, SecurityServerSpec
from conformance.model.errors import SuiteFault
from conformance.pki.trust_domain import TrustDomain
from conformance.protobuf.listen import TlsListen, UnixListen
from conformance.system.deadlines import until

API_TYPES: list[ApiType] = ["GRPC", "DELTA_GRPC"]


@pytest.fixture
async def control_plane():
    control_plane = ControlPlane()
    yield control_plane
    await control_plane.stop()


async def connected(server: SecurityServer, state: int) -> None:
    name = "control_plane.connected_state"

    async def in_state() -> bool:
        return (await server.admin.stats(f"^{name}$")).get(name) == state

    await server.unless_dead(until(in_state, what=f"{name} is {state}", timeout=20, last_seen=server.log_tail))


@pytest.mark.parametrize("api_type", API_TYPES)
@pytest.mark.parametrize("way", ["unix socket", "127.0.0.1", "control-plane"])
def test_envoy_finds_nothing_wrong_with_a_bootstrap(binary, tmp_path, api_type, way):
    files = [tmp_path / name for name in ("authority.pem", "certificate.pem", "key.pem")]
    credential = TrustDomain().issue("security-server/one")
    for file, text in zip(
        files, (TrustDomain().bundle_pem, credential.certificate_chain_pem, credential.private_key_pem), strict=True
    ):
        file.write_bytes(text)
    rendered = bootstrap(
        node="one",
        cluster="mesh",
        xds=tmp_path / "ads.sock" if way == "unix socket" else MutualTlsAddress(way, 1, "cp.test", *files),
        admin_socket=tmp_path / "admin.sock",
        api_type=api_type,
        metadata={"role": "building block"},
        runtime_values={"envoy.features.something": 7},
    )
    (tmp_path / "bootstrap.json").write_text(json.dumps(rendered))
    arguments = [binary.path, "--mode", "validate", "--config-path", tmp_path / "bootstrap.json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def test_a_bootstrap_is_made_of_what_it_is_given_and_of_nothing_else(tmp_path):
    given = {"node": "one", "cluster": "mesh", "xds": tmp_path / "ads.sock", "admin_socket": tmp_path / "admin.sock"}
    assert bootstrap(**given) == bootstrap(**given)
    assert "key" not in json.dumps(bootstrap(**given)).replace("typed_extension", "")
    assert bootstrap(**given, runtime_values={"a": 1})["layered_runtime"]["layers"][0]["static_layer"]["a"] == 1
    assert "a" not in bootstrap(**given)["layered_runtime"]["layers"][0]["static_layer"]


@pytest.mark.parametrize("api_type", API_TYPES)
async def test_a_security_server_finds_its_control_plane_again_after_each_of_its_restarts(
    runtime, folder, xds, control_plane, api_type
):
    listen = UnixListen(xds, uid=runtime.uid)
    server = await runtime.start(SecurityServerSpec("one", folder / "one", xds, api_type=api_type), 20)
    for _ in range(3):
        await control_plane.start(listen)
        await connected(server, 1)
        await control_plane.stop()
        await connected(server, 0)
    assert (await server.admin.server_info()).epoch == 0


async def test_a_control_plane_by_tcp_demands_a_certificate_and_shows_one(runtime, folder, control_plane):
    trust_domain = TrustDomain()
    theirs = trust_domain.issue("control-plane", dns=["cp.test"])
    port = await control_plane.start(
        TlsListen("127.0.0.1", 0, theirs.certificate_chain_pem, theirs.private_key_pem, trust_domain.bundle_pem)
    )

    def described(name: str, server_name: str) -> SecurityServerSpec:
        files = trust_domain.issue(f"security-server/{name}").written_to(folder / name)
        authority = folder / name / "authority.pem"
        authority.write_bytes(trust_domain.bundle_pem)
        address = MutualTlsAddress(
            "127.0.0.1", port, server_name, authority, files.certificate_chain, files.private_key
        )
        return SecurityServerSpec(name, folder / name, address)

    trusting = await runtime.start(described("one", "cp.test"), 20)
    await connected(trusting, 1)
    doubting = await runtime.start(described("two", "another.test"), 20)
    stat = "cluster.xds_cluster.ssl.fail_verify_san"

    async def refused() -> bool:
        return (await doubting.admin.stats(stat)).get(stat, 0) > 0

    await doubting.unless_dead(until(refused, what="the wrong control plane is refused", timeout=20))
    # Envoy counts itself as connected while it tries; but it has told nothing.
    assert control_plane.history("one")
    assert not control_plane.history("two")


async def test_credentials_outside_of_the_servers_folder_are_refused(runtime, folder, xds):
    files = [Path("/elsewhere") / name for name in ("authority.pem", "certificate.pem", "key.pem")]
    spec = SecurityServerSpec("one", folder / "one", xds)
    with pytest.raises(SuiteFault, match="outside of its folder"):
        await runtime.start(replace(spec, xds=MutualTlsAddress("127.0.0.1", 1, "cp.test", *files)), 20)
