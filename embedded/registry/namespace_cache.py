"""Caches what every create needs of its namespace: the Namespace object and its quotas."""

from __future__ import annotations

import json
from dataclasses import dataclass

from embedded.api.scheme import NAMESPACES, RESOURCE_QUOTAS
from embedded.storage.sqlite import SqliteStore, StorageKey, StoreEvent
from embedded.types import JsonObject


@dataclass(frozen=True)
class NamespaceEntry:
    """A namespace and its quotas. Both are shared and must not be changed."""

    namespace: JsonObject
    quotas: tuple[JsonObject, ...]


class NamespaceCache:
    """The namespaces that were looked up, kept current by store events."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._entries: dict[str, NamespaceEntry] = {}
        store.subscribe(self._on_event)

    def find(self, namespace: str) -> NamespaceEntry | None:
        """The entry of a namespace, None when it does not exist."""
        entry = self._entries.get(namespace)
        if entry is None:
            body = self._store.get(StorageKey(NAMESPACES.key, "", namespace))
            if body is None:
                return None
            quotas = tuple(json.loads(each) for _, each in self._store.scan(RESOURCE_QUOTAS.key, namespace))
            entry = self._entries[namespace] = NamespaceEntry(json.loads(body), quotas)
        return entry

    def _on_event(self, event: StoreEvent) -> None:
        if event.key.resource == NAMESPACES.key:
            self._entries.pop(event.key.name, None)
        elif event.key.resource == RESOURCE_QUOTAS.key:
            self._entries.pop(event.key.namespace, None)
