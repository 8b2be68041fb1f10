"""Objects from creation to deletion: the rules that every resource shares, over the store.

All calls are synchronous and done when they return: the change is on disk and
its event with the watchers. Dictionaries handed in belong to the registry
afterwards; those returned belong to the caller. The objects of events are
shared and must not be changed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from embedded.api import status_errors
from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, PODS, SERVICE_ACCOUNTS, ResourceType, Scheme
from embedded.api.selectors import parse_selectors
from embedded.crd import definition
from embedded.registry import deletion, object_meta, prepare
from embedded.registry.deletion import timestamp as timestamp
from embedded.registry.namespace_cache import NamespaceCache
from embedded.registry.options import PatchType, WriteOptions, WriteResult
from embedded.registry.watcher import Watcher
from embedded.storage.sqlite import SqliteStore, StorageKey, encode_json
from embedded.validation import quota

Json = dict[str, Any]

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Registry:
    """The objects of a cluster.

    Args:
        clock: the time now.
        pick: the five random characters behind a generateName.
    """

    def __init__(
        self,
        store: SqliteStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        name_suffix: Callable[[], str] = lambda: "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5)),
    ) -> None:
        self.store = store
        self.clock = clock
        self.name_suffix = name_suffix
        self._namespaces = NamespaceCache(store)
        self.scheme = Scheme()
        for _, body in store.scan(CUSTOM_RESOURCE_DEFINITIONS.key):
            for resource in definition.resource_types(json.loads(body)):
                self.scheme.add(resource)

    def now(self) -> str:
        return timestamp(self.clock())

    # -- reading

    def get(self, resource: ResourceType, namespace: str | None, name: str) -> Json:
        """One object.

        Raises:
            ApiError: 404.
        """
        return self._read(resource, namespace, name)

    def get_bytes(self, resource: ResourceType, namespace: str | None, name: str) -> bytes:
        """One object as JSON, in the version of `resource`."""
        return self.convert(resource, self.get_stored(resource, namespace, name))

    def get_stored(self, resource: ResourceType, namespace: str | None, name: str) -> bytes:
        """One object as it is stored: JSON bytes."""
        body = self.store.get(self.key(resource, namespace, name))
        if body is None:
            raise status_errors.not_found(resource.plural, name, resource.group)
        return body

    def convert(self, resource: ResourceType, body: bytes) -> bytes:
        """A stored object as the version of `resource` has it: the versions of a definition differ in name only."""
        if not resource.needs_conversion:
            return body
        return encode_json({**json.loads(body), "apiVersion": resource.api_version})

    def find(self, resource: ResourceType, namespace: str | None, name: str) -> Json | None:
        body = self.store.get(self.key(resource, namespace, name))
        return json.loads(body) if body is not None else None

    def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Json]:
        """All objects that match, by namespace and name."""
        matches = parse_selectors(label_selector, field_selector, resource.key, resource.selectable_fields)
        objects = (json.loads(body) for _, body in self.store.scan(resource.key, namespace))
        return [obj for obj in objects if matches is None or matches(obj)]

    def watch(self, resource: ResourceType | None = None, *, since: int | None = None) -> Watcher:
        """The changes after a revision, or from now on.

        Raises:
            CompactedError: the changes since that revision are no longer kept.
        """
        return Watcher(self.store, resource.key if resource else None, since)

    # -- writing

    def create(
        self, resource: ResourceType, obj: Json, *, namespace: str | None = None, options: WriteOptions | None = None
    ) -> Json:
        """A new object.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
        """
        return _decode(self.write_new(resource, obj, namespace, options or WriteOptions()))

    def update(
        self,
        resource: ResourceType,
        obj: Json,
        *,
        namespace: str | None,
        name: str,
        subresource: str | None = None,
    ) -> Json:
        """Replace an object, or with `subresource="status"` its status only.

        Raises:
            ApiError: 400, 404, 409 (it has changed since `resourceVersion`), 422.
        """
        return _decode(self.write_over(resource, obj, namespace, name, WriteOptions(subresource)))

    def patch(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        patch_type: PatchType = "merge",
        options: WriteOptions | None = None,
    ) -> Json:
        """Change part of an object; with `kind="apply"` make it when there is none.

        Raises:
            ApiError: as `update`; for an application also 409 when it disagrees with another manager.
        """
        return _decode(self.write_patch(resource, namespace, name, patch, patch_type, options or WriteOptions()))

    def write_new(self, resource: ResourceType, obj: Json, namespace: str | None, options: WriteOptions) -> WriteResult:
        """`create`, giving the stored bytes."""
        return self.commit(prepare.prepare_create(self, resource, obj, namespace, options))

    def write_over(
        self, resource: ResourceType, obj: Json, namespace: str | None, name: str, options: WriteOptions
    ) -> WriteResult:
        """`update`, giving the stored bytes."""
        return self.commit(prepare.prepare_update(self, resource, obj, namespace, name, options))

    def write_patch(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        patch: Any,
        patch_type: PatchType,
        options: WriteOptions,
    ) -> WriteResult:
        """`patch`, giving the stored bytes."""
        return self.commit(prepare.prepare_patch(self, resource, namespace, name, patch, patch_type, options))

    def commit(self, change: prepare.PreparedWrite) -> WriteResult:
        """Store a change that has been judged, or with dry run only say what it would be.

        Raises:
            ApiError: 403 (a quota is exceeded), 409 (another write has come in between).
        """
        resource, old, new, key = change.resource, change.old, change.new, change.key
        if change.base_revision != self.store.revision:
            self._require_unchanged(change)
        if old is None:
            self._require_service_account(resource, key, new)
            self._require_quota(resource, key.namespace, new)
            if self.store.get(key) is not None:
                raise status_errors.already_exists(resource.plural, key.name, resource.group)
        if change.options.dry_run or new == old:
            return WriteResult(encode_json(new), created=old is None, warnings=change.warnings)
        if old is not None:
            return WriteResult(self._store_change(resource, old, new), warnings=change.warnings)
        body = self._put(key, new, None)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            body = self._establish(key, new)
        return WriteResult(body, created=True, warnings=change.warnings)

    def _require_unchanged(self, change: prepare.PreparedWrite) -> None:
        body, resource, name = self.store.get(change.key), change.resource, change.key.name
        if change.old is None:
            self.require_namespace(resource, change.key.namespace, name)
        elif body is None:
            raise status_errors.not_found(resource.plural, name, resource.group)
        else:
            object_meta.check_identity(resource, json.loads(body), {"metadata": change.old["metadata"]})

    def bind_pod(self, namespace: str, name: str, node: str, status: Json) -> Json:
        """Give a pod to a node and set its first status, in one change: scheduler and kubelet are one here."""
        old = self._read(PODS, namespace, name)
        new = {
            **old,
            "metadata": dict(old["metadata"]),
            "spec": {**old["spec"], "nodeName": node},
            "status": status,
        }
        return _decode(WriteResult(self._put(self.key(PODS, namespace, name), new, old)))

    def _store_change(self, resource: ResourceType, old: Json, new: Json) -> bytes:
        metadata = new["metadata"]
        key = self.key(resource, metadata.get("namespace"), metadata["name"])
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
            if deletion.is_removable(resource, new):
                self._remove(resource, key, new)
                return encode_json(new)
        body = self._put(key, new, old)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self._register_resource_types(_decode(WriteResult(body)))
        return body

    def delete(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        *,
        propagation: str | None = None,
        preconditions: Json | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Remove the object, or mark it when finalizers, a running pod or a namespace's contents hold it.

        Returns its last state. `"deletionTimestamp" in metadata` tells a marked one.
        """
        body = self.get_bytes(resource, namespace, name)
        old: Json = json.loads(body)
        new: Json = json.loads(body)
        deletion.require_deletable(resource, name)
        object_meta.check_preconditions(resource, old, preconditions or {})
        if dry_run:
            return old
        key = self.key(resource, namespace, name)
        now = self.clock()
        if deletion.mark_for_deletion(resource, new, propagation=propagation, grace_period=grace_period, now=now):
            self._remove(resource, key, new)
            return new
        if new == old:
            return old
        marked = _decode(WriteResult(self._put(key, new, old)))
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self._register_resource_types(marked)
        return marked

    def delete_collection(
        self,
        resource: ResourceType,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        propagation: str | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Sequence[Json]:
        doomed = self.list(resource, namespace, label_selector, field_selector)
        return [
            self.delete(
                resource,
                obj["metadata"].get("namespace"),
                obj["metadata"]["name"],
                propagation=propagation,
                grace_period=grace_period,
                dry_run=dry_run,
            )
            for obj in doomed
        ]

    # -- rules

    def _read(self, resource: ResourceType, namespace: str | None, name: str) -> Json:
        obj: Json = json.loads(self.get_bytes(resource, namespace, name))
        return obj

    def key(self, resource: ResourceType, namespace: str | None, name: str) -> StorageKey:
        """Where an object is in the store."""
        return StorageKey(resource.key, (namespace or "") if resource.namespaced else "", name)

    def require_namespace(self, resource: ResourceType, namespace: str | None, name: str) -> None:
        """Raises:
        ApiError: 404, 403, no object can be made in that namespace.
        """
        if not resource.namespaced:
            return
        room = self._namespaces.find(namespace or "")
        if room is None:
            raise status_errors.not_found("namespaces", namespace or "")
        if "deletionTimestamp" in room.namespace["metadata"]:
            raise status_errors.namespace_terminating(resource.plural, name, resource.group, namespace or "")

    def _require_service_account(self, resource: ResourceType, key: StorageKey, pod: Json) -> None:
        """Raises:
        ApiError: 403, a pod is to act as an account that there is not. The default one may still be on its way.
        """
        if resource is not PODS:
            return
        name = pod["spec"]["serviceAccountName"]
        if name != "default" and self.find(SERVICE_ACCOUNTS, key.namespace, name) is None:
            missing = f'serviceaccount "{name}" not found'
            why = f"error looking up service account {key.namespace}/{name}: {missing}"
            raise status_errors.forbidden(PODS.plural, key.name, PODS.group, why)

    def _require_quota(self, resource: ResourceType, namespace: str | None, obj: Json) -> None:
        if namespace is None or not resource.namespaced:
            return
        room = self._namespaces.find(namespace)
        if room is not None and room.quotas:
            quota.check_quotas(
                room.quotas, resource.key, obj, usage_of=lambda names, q: self.quota_usage(namespace, names, q)
            )

    def quota_usage(self, namespace: str, names: Iterable[str], of: Json) -> dict[str, Decimal]:
        """How much of each named limit of a quota the namespace's objects use."""

        def pods() -> list[Json]:
            return [pod for pod in self.list(PODS, namespace) if quota.in_scope(of, PODS.key, pod)]

        return quota.total_usage(names, pods, lambda key: self.store.count(key, namespace))

    def _put(self, key: StorageKey, new: Json, old: Json | None) -> bytes:
        # What it is comes first, as in Kubernetes: lists of built-in kinds leave it out of the stored bytes.
        return self.store.put(key, {"kind": new["kind"], "apiVersion": new["apiVersion"], **new}, old)

    def _remove(self, resource: ResourceType, key: StorageKey, obj: Json) -> None:
        self.store.delete(key, obj)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self.scheme.remove(obj["metadata"]["name"])

    def _establish(self, key: StorageKey, crd: Json) -> bytes:
        finalizers = [*(crd["metadata"].get("finalizers") or []), definition.CLEANUP_FINALIZER]
        served = {**crd, "metadata": {**crd["metadata"], "finalizers": finalizers}}
        served["status"] = definition.initial_status(crd, self.now(), self._naming_conflict(crd))
        body = self._put(key, served, crd)
        self._register_resource_types(served)
        return body

    def _naming_conflict(self, crd: Json) -> str:
        """The name of a definition that some other one in its group has taken already; empty when there is none."""
        name, group, wanted = crd["metadata"]["name"], crd["spec"]["group"], definition.claimed_names(crd)
        for other in self.list(CUSTOM_RESOURCE_DEFINITIONS):
            neighbour = (
                other["metadata"]["name"] != name
                and other["spec"]["group"] == group
                and definition.is_established(other)
            )
            if neighbour and (taken := sorted(wanted & definition.claimed_names(other))):
                return taken[0]
        return ""

    def _register_resource_types(self, crd: Json) -> None:
        self.scheme.remove(crd["metadata"]["name"])
        if not definition.is_established(crd):
            return
        for resource in definition.resource_types(crd):
            self.scheme.add(resource)


def _decode(written: WriteResult) -> Json:
    obj: Json = json.loads(written.body)
    return obj
