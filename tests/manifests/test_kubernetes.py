from __future__ import annotations

import json
import os
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from conformance.cli.main import meshmark
from conformance.envoy.binary import installed_binary
from conformance.mesh.installation import BORDER, INBOUND, OUTBOUND
from conformance.pki import TrustDomain

from .kustomization import Manifest, containers_of, pod_of, resolved
from .renew_bootstraps import BASE, CREDENTIALS, SECURITY_SERVERS, bootstrap_texts

OVERLAYS = sorted((BASE.parent / "overlays").iterdir())
KUBERNETES = kubernetes_validate.latest_version()
MTLS_PORTS = {"building-block": INBOUND, "external-gateway": BORDER}
KNOWN_IMAGES = {"meshmark/envoy", "meshmark/meshmark"}
COMPONENT = "app.kubernetes.io/component"
KUSTOMIZE = os.environ.get("MESHMARK_KUSTOMIZE") or shutil.which("kustomize")


@pytest.fixture(params=[BASE, *OVERLAYS], ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def manifests(folder: Path) -> list[Manifest]:
    return resolved(folder)


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def component(manifest: Manifest) -> str:
    return manifest["metadata"]["labels"][COMPONENT]


def key_of(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_every_manifest_keeps_the_schemas_of_kubernetes(manifests):
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_schemas_refuse_what_they_do_not_know(manifests):
    manifest = next(each for each in manifests if each["kind"] == "Deployment")
    pod_of(manifest)["hostNetwrok"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_no_manifest_is_there_twice_and_all_are_in_one_namespace(manifests):
    assert len({key_of(each) for each in manifests}) == len(manifests)
    [name] = of_kind(manifests, "Namespace")
    assert {each["metadata"].get("namespace", name) for each in manifests} == {name}


def test_the_namespace_enforces_restricted_pods(manifests):
    [namespace] = of_kind(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_restricted(manifests):
    """The Pod Security Standards, profile restricted, and more: no root file system that can be written."""
    for manifest in of_kind(manifests, "Deployment").values():
        pod = pod_of(manifest)
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in of_kind(manifests, "ServiceAccount")
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {kind for volume in pod["volumes"] for kind in volume} <= {"name", "configMap", "secret", "emptyDir"}
        for container in containers_of(manifest):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port or "hostIP" in port for port in container.get("ports", []))


def test_every_container_has_resources_and_probes(manifests):
    for manifest in of_kind(manifests, "Deployment").values():
        for container in containers_of(manifest):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert {"startupProbe", "readinessProbe"} <= container.keys()


def test_every_building_block_has_one_deployment_and_its_security_server_as_sidecar(manifests):
    found = of_kind(manifests, "Deployment")
    blocks = {name: each for name, each in found.items() if component(each) == "building-block"}
    assert blocks.keys() == {file.stem.replace("_", "-") for file in building_block_scripts()}
    for name, manifest in blocks.items():
        [sidecar] = pod_of(manifest)["initContainers"]
        [application] = pod_of(manifest)["containers"]
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["command"][0] == "/usr/local/bin/envoy"
        # Nobody but the sidecar: on loopback, and no port that anything could name.
        assert "ports" not in application
        command = application["command"]
        assert ip_address(command[command.index("--host") + 1]).is_loopback
        assert Path(command[1]).name == f"{name.replace('-', '_')}.py"


def building_block_scripts() -> list[Path]:
    scripts = (BASE.parent.parent / "building_blocks").glob("*.py")
    return [each for each in scripts if "launch(" in each.read_text() and each.stem != "launch"]


def test_services_lead_to_ports_of_security_servers_and_of_the_mesh_only(manifests):
    deployments = of_kind(manifests, "Deployment")
    for name, service in of_kind(manifests, "Service").items():
        [port] = service["spec"]["ports"]
        targets = [each for each in deployments.values() if service["spec"]["selector"].items() <= labels(each).items()]
        assert [each["metadata"]["name"] for each in targets] == [name]
        [(container, number)] = [
            (container, named["containerPort"])
            for container in containers_of(targets[0])
            for named in container.get("ports", [])
            if named["name"] == port["targetPort"]
        ]
        assert container["name"] != "application"
        assert MTLS_PORTS.get(component(service), number) == number
        exposed = "LoadBalancer" if component(service) == "external-gateway" else "ClusterIP"
        assert service["spec"]["type"] == exposed


def labels(deployment: Manifest) -> dict[str, str]:
    return deployment["spec"]["template"]["metadata"]["labels"]


def test_peers_find_a_security_server_where_the_control_plane_says(manifests):
    """A member's name and the port on which security servers listen: without another one in between."""
    for service in of_kind(manifests, "Service").values():
        if component(service) == "building-block":
            assert [port["port"] for port in service["spec"]["ports"]] == [INBOUND]


def test_every_command_of_meshmark_exists_and_its_options_can_be_read(manifests):
    commands = {
        name: container["command"]
        for name, manifest in of_kind(manifests, "Deployment").items()
        for container in containers_of(manifest)
        if container["command"][0] == "meshmark"
    }
    assert commands.keys() == {"control-plane", "policy-admin", "authentication"}
    for name, (_, *words) in commands.items():
        command, context = meshmark, click.Context(meshmark)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        assert command.name == name
        options = command.make_context(name, words).params
        assert options["listen"].host == "0.0.0.0"
        files = [value for value in options.values() if isinstance(value, Path) and str(value).startswith("/run/")]
        assert {file.parent for file in files} == {CREDENTIALS}


def test_applications_call_others_where_the_control_plane_lets_their_security_servers_listen(manifests):
    urls = [
        variable["value"]
        for manifest in of_kind(manifests, "Deployment").values()
        for container in containers_of(manifest)
        for variable in container.get("env", [])
        if variable.get("value", "").startswith("http://")
    ]
    assert urls
    assert all(url.startswith(f"http://127.0.0.1:{OUTBOUND}/") for url in urls)


def test_nothing_may_speak_but_for_what_is_written(manifests):
    policies = {name: each["spec"] for name, each in of_kind(manifests, "NetworkPolicy").items()}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    deployments = of_kind(manifests, "Deployment").values()
    # From where each may be called, and at which port.
    ways_in = {
        "building-block": ({"building-block", "external-gateway"}, 15443),
        "external-gateway": (None, 15444),
        "control-plane": ({"building-block", "external-gateway"}, 18000),
        "authentication": ({"building-block", "external-gateway"}, 9000),
        "policy-admin": ({"policy-client"}, 8443),
    }
    assert {component(each) for each in deployments} == ways_in.keys()
    for wanted, (callers, port) in ways_in.items():
        rules = [
            rule
            for policy in policies.values()
            if selects(policy["podSelector"], wanted)
            for rule in policy.get("ingress", [])
        ]
        [rule] = rules
        assert [each["port"] for each in rule["ports"]] == [port]
        if callers is None:
            assert "from" not in rule
        else:
            [peer] = rule["from"]
            assert peer.keys() == {"podSelector"}
            assert {each for each in (*ways_in, "policy-client") if selects(peer["podSelector"], each)} == callers


def selects(selector: Manifest, wanted: str) -> bool:
    if not selector:
        return True
    if "matchLabels" in selector:
        return selector["matchLabels"] == {COMPONENT: wanted}
    [expression] = selector["matchExpressions"]
    assert (expression["key"], expression["operator"]) == (COMPONENT, "In")
    return wanted in expression["values"]


def test_images_are_named_without_a_tag_and_get_it_from_the_kustomization(manifests):
    written = [
        container["image"]
        for file in BASE.glob("*.yaml")
        for manifest in yaml.safe_load_all(file.read_text())
        if manifest["kind"] == "Deployment"
        for container in containers_of(manifest)
    ]
    assert set(written) == KNOWN_IMAGES
    for manifest in of_kind(manifests, "Deployment").values():
        for container in containers_of(manifest):
            _, _, tag = container["image"].rpartition(":")
            assert tag not in ("", "latest")


def test_the_tags_of_the_base_are_those_of_this_version(manifests):
    images = {each["name"]: each["newTag"] for each in kustomization_of(BASE)["images"]}
    project = (BASE.parent.parent.parent / "pyproject.toml").read_text()
    assert f'version = "{images["meshmark/meshmark"]}"' in project
    assert images["meshmark/envoy"] == installed_binary().version


def kustomization_of(folder: Path) -> Manifest:
    return yaml.safe_load((folder / "kustomization.yaml").read_text())


def test_what_a_pod_mounts_is_there_or_is_a_secret_that_the_installation_brings(manifests):
    config_maps = of_kind(manifests, "ConfigMap")
    for name, manifest in of_kind(manifests, "Deployment").items():
        volumes = {volume["name"]: volume for volume in pod_of(manifest)["volumes"]}
        for container in containers_of(manifest):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in config_maps
            if "secret" in volume:
                assert volume["secret"]["secretName"] == f"{name}-credentials"


def test_no_secret_is_in_the_repository(manifests):
    assert not of_kind(manifests, "Secret")
    assert "PRIVATE KEY" not in "".join(file.read_text() for file in BASE.parent.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", SECURITY_SERVERS)
def test_each_bootstrap_is_what_the_product_renders(manifests, name):
    config_map = of_kind(manifests, "ConfigMap")[f"{name}-bootstrap"]
    assert config_map["data"] == {"bootstrap.json": bootstrap_texts()[name]}, (
        "python -m tests.manifests.renew_bootstraps"
    )


@pytest.mark.parametrize("name", SECURITY_SERVERS)
def test_envoy_finds_nothing_wrong_with_a_bootstrap(tmp_path, name):
    trust_domain = TrustDomain()
    credential = trust_domain.issue(f"security-server/{name}")
    for file, text in {
        "authority.pem": trust_domain.bundle_pem,
        "certificate.pem": credential.certificate_chain_pem,
        "key.pem": credential.private_key_pem,
    }.items():
        (tmp_path / file).write_bytes(text)
    written = (BASE / "bootstrap" / f"{name}.json").read_text()
    # Envoy reads them even to validate.
    (tmp_path / "bootstrap.json").write_text(written.replace(f"{CREDENTIALS}/", f"{tmp_path}/"))
    arguments = [installed_binary().path, "--mode", "validate", "--config-path", tmp_path / "bootstrap.json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_security_server_reaches_its_control_plane_by_the_service(manifests):
    service = of_kind(manifests, "Service")["control-plane"]
    rendered = json.loads(bootstrap_texts()["citizen-id"])
    [cluster] = rendered["static_resources"]["clusters"]
    [[endpoint]] = [each["lb_endpoints"] for each in cluster["load_assignment"]["endpoints"]]
    address = endpoint["endpoint"]["address"]["socket_address"]
    assert (address["address"], address["port_value"]) == ("control-plane", service["spec"]["ports"][0]["port"])


@pytest.mark.skipif(KUSTOMIZE is None, reason="kustomize is not installed")
def test_kustomize_itself_builds_the_same(folder, manifests):
    built = subprocess.run([str(KUSTOMIZE), "build", folder], capture_output=True, text=True, check=True).stdout
    by_kustomize: list[Any] = list(yaml.safe_load_all(built))
    assert sorted(by_kustomize, key=key_of) == sorted(manifests, key=key_of)
