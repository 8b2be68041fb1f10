"""Fills new namespaces with their default objects, and empties those that are being deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import EnqueueAfter
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]

_BATCH_SIZE = 100
_RETRY_DELAY = 1.0
"""Seconds."""
_FINALIZE_OPTIONS = WriteOptions("finalize")

_CA_BUNDLE = "kube-root-ca.crt"
"""The ConfigMap of the cluster's CA certificates in each namespace. Empty here, where nothing needs TLS."""


class NamespaceController:
    """Creates the default objects of namespaces and deletes the content of terminating ones."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._terminating: set[str] = set()

    def start(self) -> None:
        for namespace in self._registry.list(NAMESPACES):
            self._sync(namespace)

    def observe(self, event: StoreEvent) -> None:
        if event.key.resource == NAMESPACES.key and event.type != "DELETED":
            self._sync(event.object)
        elif event.type == "DELETED" and event.key.namespace in self._terminating:
            self._finalize(event.key.namespace)

    def _sync(self, namespace: Json) -> None:
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" in namespace["metadata"]:
            if name not in self._terminating:
                self._terminating.add(name)
                self._enqueue_after(self._delete_contents, ("", name), 0.0)
        elif self._registry.find(ObjectRef(SERVICE_ACCOUNTS, name, "default")) is None:
            self._registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, namespace=name)
            if self._registry.find(ObjectRef(CONFIG_MAPS, name, _CA_BUNDLE)) is None:
                bundle: Json = {"metadata": {"name": _CA_BUNDLE}, "data": {"ca.crt": ""}}
                self._registry.create(CONFIG_MAPS, bundle, namespace=name)

    def _delete_contents(self, key: tuple[str, str]) -> None:
        """Delete the namespace's objects, in batches, so that other controllers get to run in between."""
        namespace = key[1]
        batch = list(islice(self._remaining_objects(namespace), _BATCH_SIZE))
        for resource, name in batch:
            try:
                self._registry.delete(ObjectRef(resource, namespace, name))
            except ApiError as error:
                # The garbage collector may have deleted it already, after its owner.
                if error.code != 404:
                    self._enqueue_after(self._delete_contents, key, _RETRY_DELAY)
                    raise
        if len(batch) == _BATCH_SIZE:
            self._enqueue_after(self._delete_contents, key, 0.0)
        self._finalize(namespace)

    def _remaining_objects(self, namespace: str) -> Iterator[tuple[ResourceType, str]]:
        """The objects that are not being deleted yet."""
        for name in self._registry.store.resources_in(namespace):
            resource = self._registry.scheme.by_key(name)
            if resource is not None:
                for key, body in list(self._registry.store.scan(name, namespace)):
                    if b'"deletionTimestamp"' not in body or "deletionTimestamp" not in json.loads(body)["metadata"]:
                        yield resource, key.name

    def _finalize(self, namespace: str) -> None:
        """Remove the namespace's finalizer once it is empty."""
        if self._registry.store.resources_in(namespace):
            return
        self._terminating.discard(namespace)
        if self._registry.find(ObjectRef(NAMESPACES, None, namespace)) is not None:
            self._registry.patch(
                ObjectRef(NAMESPACES, None, namespace), {"spec": {"finalizers": []}}, options=_FINALIZE_OPTIONS
            )
