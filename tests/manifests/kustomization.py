"""Resolves the kustomizations of this repository as kustomize does, as far as they go.

Whatever it does not know it refuses, so that nothing is silently left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

__all__ = ["Manifest", "containers_of", "pod_of", "resolved"]

Manifest = dict[str, Any]

HEADER = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
CLUSTER_WIDE = {"Namespace"}
PLAIN_NAMES = {"disableNameSuffixHash": True}


def resolved(folder: Path) -> list[Manifest]:
    """Every manifest that `kustomize build FOLDER` would print, in the order of its kustomization."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert kustomization | HEADER == kustomization
    assert kustomization.get("generatorOptions", PLAIN_NAMES) == PLAIN_NAMES
    manifests = [each for name in kustomization.pop("resources") for each in _resources(folder / name)]
    assert kustomization.keys() <= {*HEADER, "generatorOptions", *STEPS}
    for key, step in STEPS.items():
        if key in kustomization:
            manifests = step(folder, manifests, kustomization[key])
    return manifests


def pod_of(manifest: Manifest) -> Manifest:
    """The specification of a workload's pod."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def containers_of(manifest: Manifest) -> list[Manifest]:
    """All containers of a workload's pod, sidecars first."""
    return [*pod_of(manifest).get("initContainers", []), *pod_of(manifest)["containers"]]


def _resources(path: Path) -> list[Manifest]:
    return resolved(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))


def _in_namespace(_: Path, manifests: list[Manifest], namespace: str) -> list[Manifest]:
    for each in manifests:
        if each["kind"] not in CLUSTER_WIDE:
            each["metadata"]["namespace"] = namespace
    return manifests


def _with_generated(folder: Path, manifests: list[Manifest], generators: list[Manifest]) -> list[Manifest]:
    made = []
    for generator in generators:
        assert generator.keys() == {"name", "files"}
        pairs = (entry.split("=", 1) for entry in generator["files"])
        data = {key: (folder / file).read_text() for key, file in pairs}
        made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    return manifests + made


def _with_images(_: Path, manifests: list[Manifest], images: list[Mapping[str, str]]) -> list[Manifest]:
    by_name = {each["name"]: each for each in images}
    for manifest in manifests:
        for container in containers_of(manifest) if "template" in manifest.get("spec", {}) else []:
            name, _, tag = container["image"].partition(":")
            image = by_name.get(name, {})
            assert image.keys() <= {"name", "newName", "newTag"}
            container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"
    return manifests


def _patched(_: Path, manifests: list[Manifest], patches: list[Manifest]) -> list[Manifest]:
    for each in patches:
        assert each.keys() == {"target", "patch"}
        [index] = [number for number, manifest in enumerate(manifests) if _is(manifest, each["target"])]
        manifests[index] = jsonpatch.apply_patch(copy.deepcopy(manifests[index]), yaml.safe_load(each["patch"]))
    return manifests


def _is(manifest: Manifest, target: Mapping[str, str]) -> bool:
    assert target.keys() == {"kind", "name"}
    return (manifest["kind"], manifest["metadata"]["name"]) == (target["kind"], target["name"])


# In the order in which kustomize takes them: patches see the names of the base, tags come last.
STEPS: dict[str, Callable[[Path, list[Manifest], Any], list[Manifest]]] = {
    "configMapGenerator": _with_generated,
    "namespace": _in_namespace,
    "patches": _patched,
    "images": _with_images,
}
