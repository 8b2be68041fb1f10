"""JSON merge patch (RFC 7386) and strategic merge patch. Neither changes its input."""

from __future__ import annotations

import json
from typing import Any

from embedded.types import JsonObject, copy_json

# The merge keys of lists, by field name; a real server has them as patchMergeKey tags of its types.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "ownerReferences": "uid",
    "conditions": "type",
    "imagePullSecrets": "name",
    "secrets": "name",
    "webhooks": "name",
    "addresses": "type",
    "hostAliases": "ip",
    "schedulingGates": "name",
    "ephemeralContainers": "name",
    "volumeDevices": "devicePath",
    "topologySpreadConstraints": "topologyKey",
}
_DELETED = object()
_MERGED_PRIMITIVE_LISTS = ("finalizers",)


def merge_key(field: str) -> str:
    """The merge key of the list `field`; empty for a list that is replaced as a whole."""
    return _MERGE_KEYS.get(field, "")


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: null removes, objects are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge_patch(target: Any, patch: Any, field: str = "") -> Any:
    """Apply a strategic merge patch: as `merge_patch`, but lists with a merge key are merged by item."""
    if isinstance(patch, dict):
        return _merge_object(target, patch)
    if isinstance(patch, list) and isinstance(target, list):
        key = merge_key(field)
        if key and all(isinstance(item, dict) and key in item for item in patch if "$patch" not in item):
            return _merge_list(target, patch, key)
        if field in _MERGED_PRIMITIVE_LISTS:
            return target + [item for item in patch if item not in target]
    return copy_json(patch)


def _merge_object(target: Any, patch: JsonObject) -> JsonObject:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_merge_patch(result.get(key), value, key)
    return result


def _merge_list(target: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy_json(item) for item in patch if "$patch" not in item]
    merged: list[Any] = list(target)
    # Where the first item of each key is: to search the list for each item of a patch would be quadratic.
    positions: dict[str, int] = {}
    for at, old in enumerate(merged):
        if isinstance(old, dict):
            positions.setdefault(_key_text(old.get(key)), at)
    for item in patch:
        known = positions.get(_key_text(item.get(key)))
        if item.get("$patch") == "delete":
            if known is not None:
                merged[known] = _DELETED
                del positions[_key_text(item.get(key))]
        elif known is None:
            positions[_key_text(item.get(key))] = len(merged)
            merged.append(copy_json(item))
        else:
            merged[known] = strategic_merge_patch(merged[known], item)
    return [item for item in merged if item is not _DELETED]


def _key_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
