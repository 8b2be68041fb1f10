"""Renders the kustomizations of this package without kubectl, and sets images and settings.

It supports what these manifests use (resources, components, JSON patches) and rejects other fields by name; a test
compares the result with that of kubectl.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kind.errors import ManifestError

Json = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MANIFESTS_FOLDER = Path(__file__).with_name("manifests")
SYSTEM_NAMESPACE = "c8s-system"
CONTROLLER_IMAGE = "c8s-controller"
MINIO_TAG = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
MINIO_IMAGE = f"{MINIO_TAG}@sha256:14cea493d9a34af32f524e538b8346cf79f3321eff8e708c1e2960462bd8936e"
"""As in the manifests: nodes pull exactly this image, of any platform. Loading an image onto a node loses digests."""
STORE_SECRET, KEY_SECRET, WEBHOOK_KEY_SECRET = "c8s-store", "c8s-agent-key", "c8s-webhook-key"
AUTH_PROXY_SECRET, AUTH_PROXY_KEY = "c8s-auth-proxy", "secret"
AUTH_PROXY_FOLDER = "/var/run/c8s-auth-proxy"
"""Where the pod of the API has that Secret."""
_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_SUPPORTED_FIELDS = {"apiVersion", "kind", "resources", "components", "patches"}
_ORDER = {"Namespace": 0, "CustomResourceDefinition": 1, "ServiceAccount": 2, "ClusterRole": 3, "Role": 3, "Secret": 5}
_LAST = {"Deployment": 9}


@dataclass(frozen=True)
class ManifestValues:
    """The values of an installation; the defaults are those of the manifests."""

    image: str = CONTROLLER_IMAGE
    minio_image: str = MINIO_IMAGE
    settings: Mapping[str, str] = field(default_factory=dict)
    """Keys of the ConfigMap c8s-settings."""


def render(folder: Path) -> list[Json]:
    """The objects of a kustomization in its order. Raises ManifestError."""
    document = _kustomization(folder)
    objects = [each for entry in document.get("resources") or () for each in _resources(folder / entry)]
    for entry in document.get("components") or ():
        component = folder / entry
        inner = _kustomization(component)
        objects += [each for name in inner.get("resources") or () for each in _resources(component / name)]
        _patch_all(objects, inner, component)
    _patch_all(objects, document, folder)
    return objects


def render_values(objects: Iterable[Json], values: ManifestValues) -> list[Json]:
    """The objects with their images and settings, in the order to apply them."""
    found = copy.deepcopy(list(objects))
    settings: Json = {}
    for each in found:
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "c8s-settings":
            each["data"] |= {"C8S_AGENT_IMAGE": values.image, **values.settings}
            settings = each["data"]
    # Pods read their settings at the start: the annotation replaces them when the settings change.
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    for each in found:
        if each["kind"] == "Deployment":
            _set_images(each["spec"]["template"], values, digest)
    return sorted(found, key=lambda each: _ORDER.get(each["kind"], _LAST.get(each["kind"], 6)))


def to_yaml(objects: Iterable[Json]) -> str:
    """The objects as YAML documents."""
    return yaml.safe_dump_all(objects, sort_keys=False, explicit_start=True)


def build_secret(name: str, data: Mapping[str, str]) -> Json:
    """A Secret in the namespace of the controller."""
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "c8s"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": dict(data)}


def build_workbench_binding(namespace: str) -> Json:
    """A RoleBinding that allows the workbench to use the API in one namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {
            "name": "c8s-workbench",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "c8s"},
        },
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "c8s-developer"},
        "subjects": [{"kind": "ServiceAccount", "name": "c8s-workbench", "namespace": SYSTEM_NAMESPACE}],
    }


def _set_images(template: Json, values: ManifestValues, digest: str) -> None:
    is_controller = False
    spec = template["spec"]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        if container["image"] == CONTROLLER_IMAGE:
            container["image"], is_controller = values.image, True
        elif container["image"] == MINIO_IMAGE:
            container["image"] = values.minio_image
    if is_controller:
        template["metadata"].setdefault("annotations", {})["c8s.dev/settings"] = digest


def _kustomization(folder: Path) -> Json:
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None:
        raise ManifestError(f"there is no kustomization in {folder}", "Install c8s again.")
    document = _documents(file)[0]
    if unknown := sorted(set(document) - _SUPPORTED_FIELDS):
        raise ManifestError(
            f"{file} uses {unknown[0]!r}, which is not supported here", "Use `kubectl apply -k` for it."
        )
    return document


def _resources(path: Path) -> list[Json]:
    if path.is_dir():
        return render(path.resolve())
    return [each for document in _documents(path) for each in document.get("items", [document])]


def _documents(file: Path) -> list[Json]:
    try:
        return [each for each in yaml.load_all(file.read_text(), Loader=_LOADER) if each]
    except (OSError, yaml.YAMLError) as error:
        raise ManifestError(f"can't read the manifest {file}: {error}", "Install c8s again.") from error


def _patch_all(objects: list[Json], document: Json, folder: Path) -> None:
    # Only `c8s up --kind` and `c8s install` pay for the import.
    import jsonpatch

    for patch in document.get("patches") or ():
        target = patch["target"]
        chosen = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (target["kind"], target["name"])]
        if not chosen:
            raise ManifestError(
                f"a patch in {folder} has no target {target['kind']} {target['name']}", "Install c8s again."
            )
        operations = yaml.safe_load(patch["patch"])
        for each in chosen:
            try:
                jsonpatch.apply_patch(each, operations, in_place=True)
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
                target_name = f"{target['kind']} {target['name']}"
                message = f"a patch in {folder} can't be applied to {target_name}: {error}"
                raise ManifestError(message, "Install c8s again.") from error
