"""Deletes the objects of a CustomResourceDefinition that is being deleted, then removes its finalizer.

The objects are deleted like any others: their own finalizers are respected.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.crd.definition import CLEANUP_FINALIZER
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]

_BATCH_SIZE = 100
_RETRY_DELAY = 1.0
"""Seconds."""


class CrdFinalizer:
    """Deletes the objects of definitions that are being deleted."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._terminating: set[str] = set()

    def start(self) -> None:
        for definition in self._registry.list(CUSTOM_RESOURCE_DEFINITIONS):
            self._sync(definition)

    def observe(self, event: StoreEvent) -> None:
        if event.key.resource == CUSTOM_RESOURCE_DEFINITIONS.key:
            if event.type == "DELETED":
                self._terminating.discard(event.key.name)
            else:
                self._sync(event.object)
        elif event.type == "DELETED" and event.key.resource in self._terminating:
            self._enqueue_after(self._delete_objects, ("", event.key.resource), 0.0)

    def _sync(self, definition: Json) -> None:
        metadata = definition["metadata"]
        if "deletionTimestamp" in metadata and CLEANUP_FINALIZER in (metadata.get("finalizers") or []):
            self._terminating.add(metadata["name"])
            self._enqueue_after(self._delete_objects, ("", metadata["name"]), 0.0)

    def _delete_objects(self, key: Key) -> None:
        """Delete the remaining objects, in batches, so that other controllers get to run in between."""
        name = key[1]
        resource = self._registry.scheme.by_key(name)
        objects = list(self._registry.store.scan(name))
        if resource is None or not objects:
            self._remove_finalizer(name)
            return
        remaining = (item for item, body in objects if "deletionTimestamp" not in json.loads(body)["metadata"])
        batch = list(islice(remaining, _BATCH_SIZE))
        if len(batch) == _BATCH_SIZE:
            self._enqueue_after(self._delete_objects, key, 0.0)
        for item in batch:
            try:
                self._registry.delete(ObjectRef(resource, item.namespace, item.name))
            except ApiError as error:
                if error.code != 404:
                    self._enqueue_after(self._delete_objects, key, _RETRY_DELAY)
                    raise

    def _remove_finalizer(self, name: str) -> None:
        definition = self._registry.find(ObjectRef(CUSTOM_RESOURCE_DEFINITIONS, None, name))
        if definition is not None:
            finalizers = [each for each in definition["metadata"].get("finalizers") or [] if each != CLEANUP_FINALIZER]
            self._registry.patch(
                ObjectRef(CUSTOM_RESOURCE_DEFINITIONS, None, name), {"metadata": {"finalizers": finalizers or None}}
            )
