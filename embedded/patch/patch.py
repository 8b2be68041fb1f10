"""Patches: JSON merge (RFC 7386), JSON patch (RFC 6902) and strategic merge. Pure: none changes its input."""

from __future__ import annotations

import copy
from typing import Any

from embedded.api.status_errors import ApiError, bad_request

Json = dict[str, Any]

# Lists that strategic merge takes as maps, by the name of the field that holds them; a real server reads this from
# its types' patchMergeKey tags.
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
_MERGED_PRIMITIVE_LISTS = ("finalizers",)


def merge_key(field: str) -> str:
    """The key that items of the list `field` are known by; empty for a list that is replaced as a whole."""
    return _MERGE_KEYS.get(field, "")


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge_patch(target: Any, patch: Any, field: str = "") -> Any:
    """Strategic merge: like `merge`, but the lists of Kubernetes that have a key are merged by it."""
    if isinstance(patch, dict):
        return _merge_object(target, patch)
    if isinstance(patch, list) and isinstance(target, list):
        key = merge_key(field)
        if key and all(isinstance(item, dict) and key in item for item in patch if "$patch" not in item):
            return _merge_list(target, patch, key)
        if field in _MERGED_PRIMITIVE_LISTS:
            return target + [item for item in patch if item not in target]
    return copy.deepcopy(patch)


def _merge_object(target: Any, patch: Json) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
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
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = list(target)
    for item in patch:
        at = next(
            (n for n, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item.get(key)),
            None,
        )
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(copy.deepcopy(item))
        else:
            result[at] = strategic_merge_patch(result[at], item)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902.

    Raises:
        ApiError: 422 when an operation does not apply, 400 when it is none.
    """
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    document = {"": copy.deepcopy(target)}
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("error decoding patch: an operation needs op and path")
        _apply(document, operation)
    return document[""]


def _apply(document: Json, operation: Json) -> None:
    kind, path = operation.get("op"), operation["path"]
    if kind in ("add", "replace", "test") and "value" not in operation:
        raise bad_request(f"error decoding patch: {kind} needs a value")
    if kind == "add":
        _add(document, path, copy.deepcopy(operation["value"]))
    elif kind == "replace":
        _remove(document, path)
        _add(document, path, copy.deepcopy(operation["value"]))
    elif kind == "remove":
        _remove(document, path)
    elif kind == "test":
        if _read(document, path) != operation["value"]:
            raise _unprocessable(f"testing value {path} failed")
    elif kind in ("move", "copy"):
        source = operation.get("from", "")
        value = copy.deepcopy(_read(document, source))
        if kind == "move":
            _remove(document, source)
        _add(document, path, value)
    else:
        raise _unprocessable(f"unexpected kind: {kind}")


def _unprocessable(_why: str) -> ApiError:
    # A real server says no more than this.
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _parts(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise bad_request(f"error decoding patch: {path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]


def _step(value: Any, part: str, path: str) -> Any:
    try:
        if isinstance(value, list):
            return value[int(part)]
        return value[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise _unprocessable(f"there is nothing at {path}") from None


def _read(document: Json, path: str) -> Any:
    value: Any = document
    for part in _parts(path):
        value = _step(value, part, path)
    return value


def _parent(document: Json, path: str) -> tuple[Any, str]:
    *parents, last = _parts(path)
    value: Any = document
    for part in parents:
        value = _step(value, part, path)
    return value, last


def _add(document: Json, path: str, value: Any) -> None:
    parent, last = _parent(document, path)
    if isinstance(parent, list):
        at = len(parent) if last == "-" else int(last) if last.isdigit() else -1
        if not 0 <= at <= len(parent):
            raise _unprocessable(f"there is no place {path}")
        parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _unprocessable(f"there is no place {path}")


def _remove(document: Json, path: str) -> None:
    parent, last = _parent(document, path)
    _step(parent, last, path)
    if isinstance(parent, list):
        del parent[int(last)]
    else:
        del parent[last]
