"""Applies manifests from files before the cluster is ready, as k3s does with its manifests folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from embedded.api.scheme import NAMESPACES, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry
from embedded.types import JsonObject

_WRITE_OPTIONS = WriteOptions(field_manager="manifests", force=True)
# Objects that others depend on come first.
_APPLY_ORDER = {"CustomResourceDefinition": 0, "Namespace": 1, "ServiceAccount": 2}


class ManifestError(Exception):
    """A manifest cannot be read or applied. The message names the file and the object."""


def load_manifests(paths: Iterable[Path]) -> list[tuple[Path, JsonObject]]:
    """All objects of files and folders (`*.json`, `*.yaml`, `*.yml`), in the order to apply them.

    Raises:
        ManifestError: a file cannot be read, or contains something other than objects.
    """
    found = [(file, obj) for path in paths for file in _manifest_files(path) for obj in _read_objects(file)]
    return sorted(found, key=lambda item: _APPLY_ORDER.get(item[1]["kind"], 9))


def _manifest_files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(p for p in path.iterdir() if p.suffix in (".json", ".yaml", ".yml"))
    else:
        yield path


def _read_objects(file: Path) -> Iterator[JsonObject]:
    try:
        text = file.read_text()
        values = [json.loads(text)] if file.suffix == ".json" else _parse_yaml(text)
    except (OSError, ValueError) as error:
        raise ManifestError(f"cannot read the manifest {file}: {error}") from error
    for value in values:
        if value is None:
            continue
        items = value.get("items", [value]) if isinstance(value, dict) else [value]
        for obj in items:
            if not isinstance(obj, dict) or not obj.get("kind") or not obj.get("metadata", {}).get("name"):
                raise ManifestError(f"{file} contains something other than an object with kind and metadata.name")
            yield obj


def _parse_yaml(text: str) -> list[Any]:
    import yaml

    try:
        return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def apply_manifests(registry: Registry, objects: Iterable[tuple[Path, JsonObject]]) -> None:
    """Apply each object server-side: fields that a manifest no longer sets are removed.

    Raises:
        ManifestError: an object is refused.
    """
    for file, obj in objects:
        kind, name = obj["kind"], obj["metadata"]["name"]
        resource = registry.scheme.by_kind(obj.get("apiVersion", ""), kind)
        if resource is None:
            raise ManifestError(f"{file}: {kind} {name}: {obj.get('apiVersion')} {kind} is not served here")
        namespace = obj["metadata"].get("namespace", "default") if resource.namespaced else None
        try:
            if namespace and registry.find(ObjectRef(NAMESPACES, None, namespace)) is None:
                raise ManifestError(f"{file}: {kind} {name}: namespace {namespace} does not exist")
            registry.patch(ObjectRef(resource, namespace, name), obj, patch_type="apply", options=_WRITE_OPTIONS)
        except ApiError as error:
            raise ManifestError(f"{file}: {kind} {name}: {error.message}") from error
