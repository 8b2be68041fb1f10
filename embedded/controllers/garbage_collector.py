"""Garbage collection: objects are deleted when their last owner is gone."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from embedded.api.scheme import ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StorageKey, StoreEvent

Json = dict[str, Any]

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


class GarbageCollector:
    """Follows ownerReferences by uid."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._live_objects: dict[str, StorageKey] = {}
        self._dependents: defaultdict[str, set[StorageKey]] = defaultdict(set)

    def start(self) -> None:
        objects = []
        for resource in {r.key for r in self._registry.scheme.all()}:
            for key, body in self._registry.store.scan(resource):
                obj = json.loads(body)
                self._live_objects[obj["metadata"]["uid"]] = key
                objects.append((key, obj))
        for key, obj in objects:
            self._index(key, obj)
        for key, obj in objects:
            self._sync(key, obj)

    def observe(self, event: StoreEvent) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._handle_deletion(uid, event)
            return
        self._live_objects[uid] = event.key
        if event.previous is None or _owner_references(event.previous) != _owner_references(event.object):
            self._index(event.key, event.object)
        if event.previous is None or "deletionTimestamp" in event.object["metadata"]:
            self._sync(event.key, event.object)

    def _index(self, key: StorageKey, obj: Json) -> None:
        for owner in _owner_references(obj):
            self._dependents[owner["uid"]].add(key)

    def _sync(self, key: StorageKey, obj: Json) -> None:
        owners = _owner_references(obj)
        if owners and not any(owner["uid"] in self._live_objects for owner in owners):
            self._delete(key, obj)
            return
        finalizers = obj["metadata"].get("finalizers") or []
        uid = obj["metadata"]["uid"]
        if "deletionTimestamp" not in obj["metadata"]:
            return
        if _ORPHAN in finalizers:
            for dependent in list(self._dependents.pop(uid, ())):
                self._remove_owner_reference(dependent, uid)
            self._remove_finalizer(key, obj, _ORPHAN)
        elif _FOREGROUND in finalizers:
            for dependent in list(self._dependents.get(uid, ())):
                self._delete_dependent(dependent, uid)
            if not self._dependents.get(uid):
                self._remove_finalizer(key, obj, _FOREGROUND)

    def _handle_deletion(self, uid: str, event: StoreEvent) -> None:
        self._live_objects.pop(uid, None)
        for owner in _owner_references(event.object):
            dependents = self._dependents.get(owner["uid"], set())
            dependents.discard(event.key)
            waiting = self._live_objects.get(owner["uid"])
            if waiting is not None and not dependents and (obj := self._read(waiting)) is not None:
                self._sync(waiting, obj)
        for dependent in list(self._dependents.pop(uid, ())):
            if (obj := self._read(dependent)) is not None:
                self._sync(dependent, obj)

    def _read(self, key: StorageKey) -> Json | None:
        body = self._registry.store.get(key)
        return json.loads(body) if body is not None else None

    def _delete(self, key: StorageKey, obj: Json | None, propagation: str = "Background") -> None:
        resource = self._registry.scheme.by_key(key.resource)
        if resource is None:
            return
        preconditions = {"uid": obj["metadata"]["uid"]} if obj else None
        try:
            self._registry.delete(
                ObjectRef(resource, key.namespace, key.name), propagation=propagation, preconditions=preconditions
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _delete_dependent(self, key: StorageKey, uid: str) -> None:
        """Delete a dependent of an owner in foreground deletion; if it has another owner, only remove the reference."""
        obj = self._read(key)
        owners = _owner_references(obj) if obj is not None else []
        if obj is None or all(owner["uid"] != uid for owner in owners):
            self._dependents[uid].discard(key)
        elif any(owner["uid"] != uid and owner["uid"] in self._live_objects for owner in owners):
            self._remove_owner_reference(key, uid)
            self._dependents[uid].discard(key)
        elif "deletionTimestamp" not in obj["metadata"]:
            self._delete(key, obj, propagation="Foreground")

    def _remove_owner_reference(self, key: StorageKey, uid: str) -> None:
        resource, obj = self._registry.scheme.by_key(key.resource), self._read(key)
        if resource is not None and obj is not None:
            left = [owner for owner in _owner_references(obj) if owner["uid"] != uid]
            if left == _owner_references(obj):
                return
            self._registry.patch(
                ObjectRef(resource, key.namespace, key.name), {"metadata": {"ownerReferences": left or None}}
            )

    def _remove_finalizer(self, key: StorageKey, obj: Json, finalizer: str) -> None:
        resource = self._registry.scheme.by_key(key.resource)
        if resource is not None:
            left = [name for name in obj["metadata"].get("finalizers") or [] if name != finalizer]
            self._registry.patch(
                ObjectRef(resource, key.namespace, key.name), {"metadata": {"finalizers": left or None}}
            )


def _owner_references(obj: Json) -> list[Json]:
    return obj["metadata"].get("ownerReferences") or []
