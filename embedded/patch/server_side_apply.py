"""Server-side apply: ownership of fields, merging of apply patches, and conflicts between field managers.

Ownership is only recorded for objects that were applied at least once. The fields that such an object had before belong
to `before-first-apply`, as on a real server for objects without managedFields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from embedded.api.status_errors import ApiError
from embedded.patch.merge_patch import merge_key
from embedded.types import JsonObject, copy_json

FieldPath = tuple[str, ...]
"""Path elements of FieldsV1: `f:name`, `k:{"name":"x"}` for an item of a keyed list, `v:"x"` for a member of a set."""
ListKey = Callable[[FieldPath], str]
"""Returns the key of the list at a path of field names: `""` for an atomic list, `"*"` for a set."""

BEFORE_FIRST_APPLY = "before-first-apply"
_UNOWNED_FIELDS = ("apiVersion", "kind")
_SYSTEM_METADATA = frozenset(
    {
        *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"),
        *("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generateName"),
    }
)


@dataclass(frozen=True)
class ManagedFieldsEntry:
    """The fields that one manager owns. `operation` is Apply or Update."""

    manager: str
    operation: str
    subresource: str
    api_version: str
    time: str
    paths: frozenset[FieldPath]

    def is_same_manager(self, other: ManagedFieldsEntry) -> bool:
        return (self.manager, self.operation, self.subresource) == (other.manager, other.operation, other.subresource)


class _Missing:
    """The value of an absent field; equal only to itself."""


_MISSING = _Missing()


# -- fields


def built_in_list_key(names: FieldPath) -> str:
    """The `ListKey` of built-in kinds, by the name of the field."""
    return "*" if names[-1] == "finalizers" else merge_key(names[-1])


def schema_list_key(schema: JsonObject) -> ListKey:
    """The `ListKey` of a custom resource, by the `x-kubernetes-list-type` of its schema."""

    def key(names: FieldPath) -> str:
        if names[0] == "metadata":
            return built_in_list_key(names)
        node = schema
        for index, name in enumerate(names):
            more = node.get("additionalProperties")
            node = node.get("properties", {}).get(name) or (more if isinstance(more, dict) else {})
            if index < len(names) - 1 and node.get("type") == "array":
                node = node.get("items") or {}
        if node.get("x-kubernetes-list-type") == "set":
            return "*"
        keys = node.get("x-kubernetes-list-map-keys") or [""]
        return str(keys[0]) if node.get("x-kubernetes-list-type") == "map" else ""

    return key


def field_paths(obj: JsonObject, list_key: ListKey) -> frozenset[FieldPath]:
    """The paths of all fields of an object that can have an owner."""
    return frozenset(_iter_field_paths(obj, list_key, (), ()))


def _iter_field_paths(value: Any, list_key: ListKey, at: FieldPath, names: FieldPath) -> Iterator[FieldPath]:
    if isinstance(value, dict) and (value or not at):
        for name, item in value.items():
            if (not at and name in _UNOWNED_FIELDS) or (names == ("metadata",) and name in _SYSTEM_METADATA):
                continue
            yield from _iter_field_paths(item, list_key, (*at, f"f:{name}"), (*names, name))
    elif isinstance(value, list) and (key := list_key(names)) and _has_keys(value, key):
        for item in value:
            if key == "*":
                yield (*at, f"v:{json.dumps(item)}")
            else:
                step = (*at, "k:" + json.dumps({key: item[key]}, separators=(",", ":")))
                yield step
                yield from _iter_field_paths(item, list_key, step, names)
    elif names != ("metadata",):
        yield at


def _has_keys(items: list[Any], key: str) -> bool:
    return bool(items) and (key == "*" or all(isinstance(item, dict) and key in item for item in items))


def _value_at(obj: Any, path: FieldPath) -> Any:
    """The value at a path; for an item of a keyed list or a member of a set True. `_MISSING` when it is absent."""
    for index, step in enumerate(path):
        kind, _, text = step.partition(":")
        if kind == "f":
            obj = obj.get(text, _MISSING) if isinstance(obj, dict) else _MISSING
        elif (place := _item_index(obj, kind, text)) is None:
            return _MISSING
        else:
            obj = True if index == len(path) - 1 else obj[place]
        if obj is _MISSING:
            return _MISSING
    return obj


def _item_index(items: Any, kind: str, text: str) -> int | None:
    """The index of the item that a `k:` or `v:` element selects."""
    selector = json.loads(text)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if kind == "v" and item == selector:
            return index
        if kind == "k" and isinstance(item, dict) and all(item.get(k) == v for k, v in selector.items()):
            return index
    return None


def _remove_path(obj: JsonObject, path: FieldPath) -> None:
    """Remove a field, and the objects that become empty."""
    parents: list[tuple[Any, Any]] = []
    at: Any = obj
    for step in path:
        kind, _, text = step.partition(":")
        place: Any = text if kind == "f" else _item_index(at, kind, text)
        if place is None or (kind == "f" and (not isinstance(at, dict) or text not in at)):
            return
        parents.append((at, place))
        at = at[place]
    holder, place = parents.pop()
    del holder[place]
    while not holder and len(parents) > 1:
        holder, place = parents.pop()
        del holder[place]


# -- metadata.managedFields


def read_entries(obj: JsonObject) -> list[ManagedFieldsEntry]:
    return [
        ManagedFieldsEntry(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("subresource", ""),
            entry.get("apiVersion", ""),
            entry.get("time", ""),
            frozenset(_iter_tree_paths(entry.get("fieldsV1") or {}, ())),
        )
        for entry in obj["metadata"].get("managedFields") or []
    ]


def _iter_tree_paths(tree: JsonObject, at: FieldPath) -> Iterator[FieldPath]:
    if at and (not tree or "." in tree):
        yield at
    for step, below in tree.items():
        if step != ".":
            yield from _iter_tree_paths(below, (*at, step))


def write_entries(obj: JsonObject, entries: Iterable[ManagedFieldsEntry]) -> None:
    """Write `metadata.managedFields`, in place."""
    record = []
    for entry in entries:
        if not entry.paths:
            continue
        written: JsonObject = {
            "manager": entry.manager,
            "operation": entry.operation,
            "apiVersion": entry.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _paths_to_tree(entry.paths),
        }
        record.append({**written, "subresource": entry.subresource} if entry.subresource else written)
    if record:
        obj["metadata"]["managedFields"] = record


def _paths_to_tree(paths: Iterable[FieldPath]) -> JsonObject:
    tree: JsonObject = {}
    owned = set(paths)
    for path in sorted(owned):
        node = tree
        for index, step in enumerate(path, 1):
            node = node.setdefault(step, {})
            if index < len(path) and path[:index] in owned:
                node["."] = {}
    return tree


# -- applying


def apply_patch(
    live: JsonObject, patch: JsonObject, writer: ManagedFieldsEntry, list_key: ListKey, *, force: bool
) -> JsonObject:
    """The live object after `writer.manager` has applied `patch`; `writer.paths` is ignored.

    Raises:
        ApiError: 409, other managers own fields that the patch changes, and `force` is off.
    """
    entries = read_entries(live)
    if "managedFields" not in live["metadata"]:
        version = live["apiVersion"]
        entries = [
            ManagedFieldsEntry(
                BEFORE_FIRST_APPLY,
                "Update",
                "",
                version,
                live["metadata"]["creationTimestamp"],
                field_paths(live, list_key),
            )
        ]
    mine = replace(writer, paths=field_paths(patch, list_key))
    before = next((entry for entry in entries if entry.is_same_manager(mine)), None)
    others = [entry for entry in entries if entry is not before]
    disputed = {
        path for entry in others for path in entry.paths & mine.paths if _value_at(live, path) != _value_at(patch, path)
    }
    if disputed and not force:
        raise _conflict_error([(entry, path) for entry in others for path in sorted(entry.paths & disputed)])
    result: JsonObject = _merge(live, patch, list_key, ())
    others = [replace(entry, paths=entry.paths - disputed) for entry in others]
    if before is not None:
        still_owned = mine.paths.union(*(entry.paths for entry in others))
        # Longest first, so that the fields of an item are removed before the item.
        for path in sorted(before.paths - still_owned, key=len, reverse=True):
            if not any(owned[: len(path)] == path for owned in still_owned):
                _remove_path(result, path)
        if before.paths == mine.paths:
            mine = replace(mine, time=before.time)
    write_entries(result, [*others, mine])
    return result


def _merge(live: Any, patch: Any, list_key: ListKey, names: FieldPath) -> Any:
    if isinstance(live, dict) and isinstance(patch, dict):
        result = copy_json(live)
        for name, value in patch.items():
            if names == ("metadata",) and name in _SYSTEM_METADATA and name in live:
                continue
            result[name] = _merge(live.get(name), value, list_key, (*names, name))
        return result
    if isinstance(live, list) and isinstance(patch, list) and (key := list_key(names)):
        if key == "*":
            return live + [item for item in patch if item not in live]
        if _has_keys(patch, key) and _has_keys(live, key):
            items = {json.dumps(item[key]): item for item in copy_json(live)}
            for item in patch:
                at = json.dumps(item[key])
                items[at] = _merge(items.get(at), item, list_key, names)
            return list(items.values())
    return copy_json(patch)


def _conflict_error(disputes: list[tuple[ManagedFieldsEntry, FieldPath]]) -> ApiError:
    causes: list[JsonObject] = []
    paths_by_manager: dict[str, list[str]] = {}
    for entry, path in disputes:
        manager = _describe_manager(entry)
        causes.append(
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": _format_path(path)}
        )
        paths_by_manager.setdefault(manager, []).append(_format_path(path))
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        lines = [
            line
            for manager in sorted(paths_by_manager)
            for line in (f"conflicts with {manager}:", *(f"- {at}" for at in paths_by_manager[manager]))
        ]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, {"causes": causes})


def _describe_manager(entry: ManagedFieldsEntry) -> str:
    """A manager as conflict messages name it; one that updates may have written in several API versions."""
    name = f'"{entry.manager}"' + (f' with subresource "{entry.subresource}"' if entry.subresource else "")
    return name if entry.operation == "Apply" else f"{name} using {entry.api_version}"


def _format_path(path: FieldPath) -> str:
    """Format a path for messages: `.spec.containers[name="x"].image`."""
    parts = []
    for step in path:
        kind, _, text = step.partition(":")
        if kind == "k":
            text = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(text).items())
        parts.append({"f": f".{text}", "k": f"[{text}]", "v": f"[={text}]"}[kind])
    return "".join(parts)


def update_managed_fields(old: JsonObject, new: JsonObject, writer: ManagedFieldsEntry, list_key: ListKey) -> None:
    """Update `metadata.managedFields` after a write that is not an apply, in place."""
    entries = read_entries(old)
    owned = field_paths(new, list_key)
    changed = frozenset(path for path in owned if _value_at(old, path) != _value_at(new, path))
    lost = frozenset(path for entry in entries for path in entry.paths if _value_at(new, path) is _MISSING)
    if not changed and not lost:
        return
    mine = replace(writer, paths=changed)
    kept = []
    for entry in entries:
        if entry.is_same_manager(mine):
            mine = replace(mine, paths=mine.paths | (entry.paths - lost))
        else:
            kept.append(replace(entry, paths=entry.paths - changed - lost))
    write_entries(new, [*kept, mine])
