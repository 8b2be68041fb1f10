"""What every create asks about its namespace, remembered from change to change: the namespace and its quotas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from embedded.api.scheme import NAMESPACES, RESOURCE_QUOTAS
from embedded.storage.sqlite import Event, Key, Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Room:
    """Both are shared: they must not be changed."""

    namespace: Json
    quotas: tuple[Json, ...]


class Rooms:
    """The namespaces that were asked for, as they are now. There are never more than there are namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Room] = {}
        store.subscribe(self._changed)

    def find(self, namespace: str) -> Room | None:
        """None: there is no such namespace."""
        room = self._known.get(namespace)
        if room is None:
            body = self._store.get(Key(NAMESPACES.key, "", namespace))
            if body is None:
                return None
            quotas = tuple(json.loads(each) for _, each in self._store.scan(RESOURCE_QUOTAS.key, namespace))
            room = self._known[namespace] = Room(json.loads(body), quotas)
        return room

    def _changed(self, event: Event) -> None:
        if event.key.resource == NAMESPACES.key:
            self._known.pop(event.key.name, None)
        elif event.key.resource == RESOURCE_QUOTAS.key:
            self._known.pop(event.key.namespace, None)
