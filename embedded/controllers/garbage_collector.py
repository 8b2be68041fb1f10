"""Garbage collection: what is owned goes when its last owner has gone."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from embedded.api.status_errors import ApiError
from embedded.registry.registry import Registry
from embedded.storage.sqlite import Event, Key

Json = dict[str, Any]

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


class GarbageCollector:
    """Follows ownerReferences, by uid."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._alive: dict[str, Key] = {}
        self._owned: defaultdict[str, set[Key]] = defaultdict(set)

    def start(self) -> None:
        found = []
        for resource in {r.key for r in self._registry.catalogue.all()}:
            for key, body in self._registry.store.scan(resource):
                obj = json.loads(body)
                self._alive[obj["metadata"]["uid"]] = key
                found.append((key, obj))
        for key, obj in found:
            self._index(key, obj)
        for key, obj in found:
            self._judge(key, obj)

    def observe(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._gone(uid, event)
            return
        self._alive[uid] = event.key
        if event.previous is None or _owners(event.previous) != _owners(event.object):
            self._index(event.key, event.object)
        if event.previous is None or "deletionTimestamp" in event.object["metadata"]:
            self._judge(event.key, event.object)

    def _index(self, key: Key, obj: Json) -> None:
        for owner in _owners(obj):
            self._owned[owner["uid"]].add(key)

    def _judge(self, key: Key, obj: Json) -> None:
        owners = _owners(obj)
        if owners and not any(owner["uid"] in self._alive for owner in owners):
            self._delete(key, obj)
            return
        finalizers = obj["metadata"].get("finalizers") or []
        uid = obj["metadata"]["uid"]
        if "deletionTimestamp" not in obj["metadata"]:
            return
        if _ORPHAN in finalizers:
            for dependent in list(self._owned.pop(uid, ())):
                self._disown(dependent, uid)
            self._release(key, obj, _ORPHAN)
        elif _FOREGROUND in finalizers:
            for dependent in list(self._owned.get(uid, ())):
                self._take_along(dependent, uid)
            if not self._owned.get(uid):
                self._release(key, obj, _FOREGROUND)

    def _gone(self, uid: str, event: Event) -> None:
        self._alive.pop(uid, None)
        for owner in _owners(event.object):
            dependents = self._owned.get(owner["uid"], set())
            dependents.discard(event.key)
            waiting = self._alive.get(owner["uid"])
            if waiting is not None and not dependents and (obj := self._read(waiting)) is not None:
                self._judge(waiting, obj)
        for dependent in list(self._owned.pop(uid, ())):
            if (obj := self._read(dependent)) is not None:
                self._judge(dependent, obj)

    def _read(self, key: Key) -> Json | None:
        body = self._registry.store.get(key)
        return json.loads(body) if body is not None else None

    def _delete(self, key: Key, obj: Json | None, propagation: str = "Background") -> None:
        resource = self._registry.catalogue.by_key(key.resource)
        if resource is None:
            return
        preconditions = {"uid": obj["metadata"]["uid"]} if obj else None
        try:
            self._registry.delete(
                resource, key.namespace, key.name, propagation=propagation, preconditions=preconditions
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _take_along(self, key: Key, uid: str) -> None:
        """Delete a dependent of an owner that waits for it; one that has another owner only loses this one."""
        obj = self._read(key)
        owners = _owners(obj) if obj is not None else []
        if obj is None or all(owner["uid"] != uid for owner in owners):
            self._owned[uid].discard(key)
        elif any(owner["uid"] != uid and owner["uid"] in self._alive for owner in owners):
            self._disown(key, uid)
            self._owned[uid].discard(key)
        elif "deletionTimestamp" not in obj["metadata"]:
            self._delete(key, obj, propagation="Foreground")

    def _disown(self, key: Key, uid: str) -> None:
        resource, obj = self._registry.catalogue.by_key(key.resource), self._read(key)
        if resource is not None and obj is not None:
            left = [owner for owner in _owners(obj) if owner["uid"] != uid]
            if left == _owners(obj):
                return
            self._registry.patch(resource, key.namespace, key.name, {"metadata": {"ownerReferences": left or None}})

    def _release(self, key: Key, obj: Json, finalizer: str) -> None:
        resource = self._registry.catalogue.by_key(key.resource)
        if resource is not None:
            left = [name for name in obj["metadata"].get("finalizers") or [] if name != finalizer]
            self._registry.patch(resource, key.namespace, key.name, {"metadata": {"finalizers": left or None}})


def _owners(obj: Json) -> list[Json]:
    return obj["metadata"].get("ownerReferences") or []
