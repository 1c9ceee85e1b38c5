from __future__ import annotations

import json
import subprocess

import pytest
from envoys import ALL_ENVOYS, OTHERS
from rendering_cases import CASES, GOLDEN, Material, golden_text
from static_bootstrap import static_bootstrap

from conformance.controlplane.rendering import Identity
from conformance.controlplane.resources import encode
from conformance.envoy.binary import EnvoyBinary, binary_of_version, installed_binary
from conformance.pki import TrustDomain

VALIDATED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def material() -> Material:
    mesh, partner = TrustDomain(), TrustDomain("partner.example")
    credential = mesh.issue("security-server/births")
    identity = Identity(credential.certificate_chain_pem, credential.private_key_pem)
    return Material(identity, mesh.bundle_pem, mesh.crl_pem, partner.bundle_pem.decode())


@pytest.fixture(scope="module", params=["installed", *OTHERS])
def envoy(request: pytest.FixtureRequest) -> EnvoyBinary:
    if request.param == "installed":
        return installed_binary()
    if not ALL_ENVOYS:
        pytest.skip("other versions of Envoy are asked with MESHMARK_ALL_ENVOYS=1")
    return binary_of_version(request.param)


@pytest.mark.parametrize("name", CASES)
def test_what_is_rendered_is_what_the_golden_file_says(name):
    expected = (GOLDEN / f"{name}.json").read_text("utf-8")
    assert golden_text(CASES[name](Material())) == expected, (
        "renew it with `python -m tests.controlplane.rendering.renew_golden`, and read the difference"
    )


def test_every_golden_file_belongs_to_a_case():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_field_of_what_is_rendered_is_one_of_its_type(name):
    for (kind, resource), fields in CASES[name](Material()).items():
        assert encode(kind, resource, fields).name == resource


@pytest.mark.parametrize("name", CASES)
def test_envoy_accepts_what_is_rendered(name, envoy, material, tmp_path):
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(static_bootstrap(CASES[name](material))), "utf-8")
    done = subprocess.run(
        [str(envoy.path), "--mode", "validate", "--config-path", str(file), "--log-level", "error"],
        capture_output=True,
        text=True,
        timeout=VALIDATED_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
