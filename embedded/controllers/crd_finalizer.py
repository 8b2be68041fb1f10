"""Removes the objects of a custom resource definition that goes, and then lets it go.

Its objects are deleted like any others: their own finalizers are waited for.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import Key, Remind
from embedded.crd.definition import CLEANUP
from embedded.registry.registry import Registry
from embedded.storage.sqlite import Event

Json = dict[str, Any]

_AT_A_TIME = 100
_RETRY = 1.0


class DefinitionController:
    """Empties definitions that are being deleted."""

    def __init__(self, registry: Registry, remind: Remind) -> None:
        self._registry = registry
        self._remind = remind
        self._going: set[str] = set()

    def start(self) -> None:
        for definition in self._registry.list(CUSTOM_RESOURCE_DEFINITIONS):
            self._look(definition)

    def observe(self, event: Event) -> None:
        if event.key.resource == CUSTOM_RESOURCE_DEFINITIONS.key:
            if event.type == "DELETED":
                self._going.discard(event.key.name)
            else:
                self._look(event.object)
        elif event.type == "DELETED" and event.key.resource in self._going:
            self._remind(self._empty, ("", event.key.resource), 0.0)

    def _look(self, definition: Json) -> None:
        metadata = definition["metadata"]
        if "deletionTimestamp" in metadata and CLEANUP in (metadata.get("finalizers") or []):
            self._going.add(metadata["name"])
            self._remind(self._empty, ("", metadata["name"]), 0.0)

    def _empty(self, key: Key) -> None:
        """Delete what is left, so much at a time that others get their turn in between."""
        name = key[1]
        resource = self._registry.catalogue.by_key(name)
        objects = list(self._registry.store.scan(name))
        if resource is None or not objects:
            self._release(name)
            return
        here = (at for at, body in objects if "deletionTimestamp" not in json.loads(body)["metadata"])
        doomed = list(islice(here, _AT_A_TIME))
        if len(doomed) == _AT_A_TIME:
            self._remind(self._empty, key, 0.0)
        for at in doomed:
            try:
                self._registry.delete(resource, at.namespace, at.name)
            except ApiError as error:
                if error.code != 404:
                    self._remind(self._empty, key, _RETRY)
                    raise

    def _release(self, name: str) -> None:
        definition = self._registry.find(CUSTOM_RESOURCE_DEFINITIONS, None, name)
        if definition is not None:
            kept = [each for each in definition["metadata"].get("finalizers") or [] if each != CLEANUP]
            self._registry.patch(CUSTOM_RESOURCE_DEFINITIONS, None, name, {"metadata": {"finalizers": kept or None}})
