"""Reads objects: one by its reference, many by selectors, and changes as a watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from embedded.api import status_errors
from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, EVENTS_V1, ObjectRef, ResourceType, Scheme
from embedded.api.selectors import parse_selectors
from embedded.crd import definition
from embedded.registry import event_versions
from embedded.registry.namespace_cache import NamespaceCache
from embedded.registry.object_meta import format_time
from embedded.registry.watcher import Watcher
from embedded.storage.sqlite import SqliteStore, StorageKey, encode_json
from embedded.types import JsonObject


class ObjectReader:
    """The read half of a `Registry`.

    Every call is synchronous. Dictionaries that it returns belong to the caller; the objects of watch events are shared
    and must not be changed.

    Args:
        clock: returns the current time.
    """

    def __init__(self, store: SqliteStore, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock
        self.namespaces = NamespaceCache(store)
        self.scheme = Scheme()
        for _, body in store.scan(CUSTOM_RESOURCE_DEFINITIONS.key):
            for resource in definition.resource_types(json.loads(body)):
                self.scheme.add(resource)

    def now(self) -> str:
        """The current time as metav1.Time."""
        return format_time(self.clock())

    def get(self, ref: ObjectRef) -> JsonObject:
        """One object.

        Raises:
            ApiError: 404.
        """
        obj: JsonObject = json.loads(self.get_bytes(ref))
        return obj

    def find(self, ref: ObjectRef) -> JsonObject | None:
        """One object in its stored version, or None when it does not exist."""
        body = self.store.get(storage_key(ref))
        return json.loads(body) if body is not None else None

    def get_bytes(self, ref: ObjectRef) -> bytes:
        """One object as JSON, in the version of `ref.resource`.

        Raises:
            ApiError: 404.
        """
        return self.convert(ref.resource, self.get_stored(ref))

    def get_stored(self, ref: ObjectRef) -> bytes:
        """One object as JSON, in the version that it is stored in.

        Raises:
            ApiError: 404.
        """
        body = self.store.get(storage_key(ref))
        if body is None:
            raise status_errors.not_found(ref.resource.plural, ref.name, ref.resource.group)
        return body

    def convert(self, resource: ResourceType, body: bytes) -> bytes:
        """A stored object in the version of `resource`. Conversion strategy None: only `apiVersion` differs."""
        if not resource.needs_conversion:
            return body
        if resource is EVENTS_V1:
            return encode_json(event_versions.from_core(json.loads(body)))
        return encode_json({**json.loads(body), "apiVersion": resource.api_version})

    def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[JsonObject]:
        """All objects that match, ordered by namespace and name.

        Raises:
            ApiError: 400, a selector is invalid.
        """
        matches = parse_selectors(label_selector, field_selector, resource.key, resource.selectable_fields)
        objects = (json.loads(body) for _, body in self.store.scan(resource.key, namespace))
        return [obj for obj in objects if matches is None or matches(obj)]

    def watch(self, resource: ResourceType | None = None, *, since: int | None = None) -> Watcher:
        """The changes of one resource (None: of all) after a revision (None: from now on).

        Raises:
            CompactedError: the changes since that revision are no longer kept.
        """
        return Watcher(self.store, resource.key if resource else None, since)

    def require_namespace(self, ref: ObjectRef) -> None:
        """Check that objects can be created in the namespace of `ref`.

        Raises:
            ApiError: 404, the namespace does not exist; 403, it is being deleted.
        """
        if not ref.resource.namespaced:
            return
        namespace = ref.namespace or ""
        entry = self.namespaces.find(namespace)
        if entry is None:
            raise status_errors.not_found("namespaces", namespace)
        if "deletionTimestamp" in entry.namespace["metadata"]:
            raise status_errors.namespace_terminating(ref.resource.plural, ref.name, ref.resource.group, namespace)


def storage_key(ref: ObjectRef) -> StorageKey:
    """The key of an object in the store."""
    return StorageKey(ref.resource.key, (ref.namespace or "") if ref.resource.namespaced else "", ref.name)
