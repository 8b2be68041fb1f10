"""Writes objects: creation, update, patch and deletion, with the rules that all resources share.

Every call is synchronous: when it returns, the change is on disk and its event is delivered to the watchers.
Dictionaries that are passed in belong to the registry afterwards.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from embedded.api import status_errors
from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, PODS, SERVICE_ACCOUNTS, ObjectRef, ResourceType
from embedded.crd import definition
from embedded.registry import deletion, object_meta
from embedded.registry.options import PatchType, WriteOptions, WriteResult
from embedded.registry.prepare import PreparedWrite, WritePreparer
from embedded.registry.reader import ObjectReader, storage_key
from embedded.storage.sqlite import ObjectTooLargeError, SqliteStore, StorageKey, encode_json
from embedded.types import JsonObject
from embedded.validation import quota

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""As in apimachinery's `util/rand`: without vowels and digits that could form words."""


class Registry(ObjectReader):
    """The objects of a cluster.

    Args:
        clock: returns the current time.
        name_suffix: returns the five random characters that complete a generateName.
    """

    def __init__(
        self,
        store: SqliteStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        name_suffix: Callable[[], str] = lambda: "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5)),
    ) -> None:
        super().__init__(store, clock)
        self._preparer = WritePreparer(self, name_suffix)

    # -- create, update, patch

    def create(
        self,
        resource: ResourceType,
        obj: JsonObject,
        *,
        namespace: str | None = None,
        options: WriteOptions | None = None,
    ) -> WriteResult:
        """Create an object.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
        """
        return self.commit(self.prepare_create(resource, obj, namespace, options or WriteOptions()))

    def update(self, ref: ObjectRef, obj: JsonObject, *, subresource: str | None = None) -> WriteResult:
        """Replace an object, or with `subresource="status"` only its status.

        Raises:
            ApiError: 400, 404, 409 (it has changed since its `resourceVersion`), 422.
        """
        return self.commit(self.prepare_update(ref, obj, WriteOptions(subresource)))

    def patch(
        self, ref: ObjectRef, patch: Any, *, patch_type: PatchType = "merge", options: WriteOptions | None = None
    ) -> WriteResult:
        """Change parts of an object; `patch_type="apply"` creates it when it does not exist.

        Raises:
            ApiError: as `update`; for apply also 409 on a conflict with another field manager.
        """
        return self.commit(self.prepare_patch(ref, patch, patch_type, options or WriteOptions()))

    def prepare_create(
        self, resource: ResourceType, obj: JsonObject, namespace: str | None, options: WriteOptions
    ) -> PreparedWrite:
        """Validate `create` without storing anything. Raises the same errors, except those of `commit`."""
        return self._preparer.create(resource, obj, namespace, options)

    def prepare_update(self, ref: ObjectRef, obj: JsonObject, options: WriteOptions) -> PreparedWrite:
        """Validate `update` without storing anything."""
        return self._preparer.update(ref, obj, options)

    def prepare_patch(self, ref: ObjectRef, patch: Any, patch_type: PatchType, options: WriteOptions) -> PreparedWrite:
        """Validate `patch` without storing anything."""
        return self._preparer.patch(ref, patch, patch_type, options)

    def commit(self, write: PreparedWrite) -> WriteResult:
        """Store a prepared write; a dry run only returns what would be stored.

        Raises:
            ApiError: 403 (a quota is exceeded, or the service account of a pod is missing), 409 (another write was
                stored in between).
        """
        resource, old, new, key = write.resource, write.old, write.new, write.key
        if write.base_revision != self.store.revision:
            self._require_unchanged(write)
        if old is None:
            self._require_service_account(resource, key, new)
            self._require_quota(resource, key.namespace, new)
            if self.store.get(key) is not None:
                raise status_errors.already_exists(resource.plural, key.name, resource.group)
        if write.options.dry_run or new == old:
            return WriteResult(encode_json(new), created=old is None, warnings=write.warnings)
        if old is not None:
            return WriteResult(self._store_update(resource, key, old, new), warnings=write.warnings)
        body = self._put(key, new, None)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            body = self._establish(key, new)
        return WriteResult(body, created=True, warnings=write.warnings)

    def store_events(self, events: Iterable[tuple[JsonObject, JsonObject | None]]) -> None:
        """Store complete Events of the cluster's own components, each with the state that it replaces, if any.

        They are not validated or defaulted again. Those that can't be stored are left out: their namespace is missing
        or being deleted, or its quota of Events is used up.
        """
        batch: list[tuple[StorageKey, JsonObject, JsonObject | None]] = []
        for new, old in events:
            key = StorageKey(EVENTS.key, new["metadata"]["namespace"], new["metadata"]["name"])
            entry = self.namespaces.find(key.namespace)
            if entry is None or (old is None and "deletionTimestamp" in entry.namespace["metadata"]):
                continue
            if not entry.quotas:
                batch.append((key, new, old))
                continue
            with suppress(status_errors.ApiError):
                if old is None:
                    self._require_quota(EVENTS, key.namespace, new)
                self._put(key, new, old)
        if batch:
            self.store.put_all(batch)

    def bind_pod(self, ref: ObjectRef, node: str, status: JsonObject) -> JsonObject:
        """Assign a pod to a node and set its first status, in one change: scheduler and kubelet are one here."""
        old = self.get(ref)
        new = {
            **old,
            "metadata": dict(old["metadata"]),
            "spec": {**old["spec"], "nodeName": node},
            "status": status,
        }
        return WriteResult(self._put(storage_key(ref), new, old)).object

    # -- delete

    def delete(
        self,
        ref: ObjectRef,
        *,
        propagation: str | None = None,
        preconditions: JsonObject | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Remove an object, or only mark it while finalizers, a running pod or a namespace's contents hold it.

        Returns its last state; `deletionTimestamp` in the metadata tells that it is only marked.

        Raises:
            ApiError: 403 (a namespace that every cluster has), 404, 409 (a precondition fails).
        """
        resource = ref.resource
        body = self.get_bytes(ref)
        old: JsonObject = json.loads(body)
        new: JsonObject = json.loads(body)
        deletion.require_deletable(resource, ref.name)
        object_meta.check_preconditions(resource, old, preconditions or {})
        if dry_run:
            return old
        key = storage_key(ref)
        now = self.clock()
        if deletion.mark_for_deletion(resource, new, propagation=propagation, grace_period=grace_period, now=now):
            self._remove(resource, key, new)
            return new
        if new == old:
            return old
        marked = WriteResult(self._put(key, new, old)).object
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
    ) -> Sequence[JsonObject]:
        """`delete` every object that matches; returns their last states."""
        return [
            self.delete(
                ObjectRef(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"]),
                propagation=propagation,
                grace_period=grace_period,
                dry_run=dry_run,
            )
            for obj in self.list(resource, namespace, label_selector, field_selector)
        ]

    # -- rules that only hold at the moment of the write

    def _require_unchanged(self, write: PreparedWrite) -> None:
        body, resource, name = self.store.get(write.key), write.resource, write.key.name
        if write.old is None:
            self.require_namespace(ObjectRef(resource, write.key.namespace, name))
        elif body is None:
            raise status_errors.not_found(resource.plural, name, resource.group)
        else:
            object_meta.check_identity(resource, json.loads(body), {"metadata": write.old["metadata"]})

    def _require_service_account(self, resource: ResourceType, key: StorageKey, pod: JsonObject) -> None:
        """Check that the service account of a pod exists. The default account may be created after the pod.

        Raises:
            ApiError: 403.
        """
        if resource is not PODS:
            return
        name = pod["spec"]["serviceAccountName"]
        if name != "default" and self.find(ObjectRef(SERVICE_ACCOUNTS, key.namespace, name)) is None:
            missing = f'serviceaccount "{name}" not found'
            detail = f"error looking up service account {key.namespace}/{name}: {missing}"
            raise status_errors.forbidden(PODS.plural, key.name, PODS.group, detail)

    def _require_quota(self, resource: ResourceType, namespace: str | None, obj: JsonObject) -> None:
        if namespace is None or not resource.namespaced:
            return
        entry = self.namespaces.find(namespace)
        if entry is not None and entry.quotas:
            quota.check_quotas(
                entry.quotas,
                resource.key,
                obj,
                usage_of=lambda names, of: self.quota_usage(namespace, names, of),
            )

    def quota_usage(self, namespace: str, names: Iterable[str], of: JsonObject) -> dict[str, Decimal]:
        """How much of each named limit of the quota `of` the objects of a namespace use."""

        def pods() -> list[JsonObject]:
            return [pod for pod in self.list(PODS, namespace) if quota.in_scope(of, PODS.key, pod)]

        return quota.total_usage(names, pods, lambda key: self.store.count(key, namespace))

    # -- storing

    def _store_update(self, resource: ResourceType, key: StorageKey, old: JsonObject, new: JsonObject) -> bytes:
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
            if deletion.is_removable(resource, new):
                self._remove(resource, key, new)
                return encode_json(new)
        body = self._put(key, new, old)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self._register_resource_types(WriteResult(body).object)
        return body

    def _put(self, key: StorageKey, new: JsonObject, old: JsonObject | None) -> bytes:
        # kind and apiVersion come first, as in Kubernetes: lists of built-in kinds cut them off the stored bytes.
        try:
            return self.store.put(key, {"kind": new["kind"], "apiVersion": new["apiVersion"], **new}, old)
        except ObjectTooLargeError:
            raise status_errors.too_large() from None

    def _remove(self, resource: ResourceType, key: StorageKey, obj: JsonObject) -> None:
        self.store.delete(key, obj)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self.scheme.remove(obj["metadata"]["name"])

    # -- custom resource definitions

    def _establish(self, key: StorageKey, crd: JsonObject) -> bytes:
        """Give a new definition its finalizer and status, and serve its resources unless a name conflicts."""
        finalizers = [*(crd["metadata"].get("finalizers") or []), definition.CLEANUP_FINALIZER]
        established = {**crd, "metadata": {**crd["metadata"], "finalizers": finalizers}}
        established["status"] = definition.initial_status(crd, self.now(), self._naming_conflict(crd))
        body = self._put(key, established, crd)
        self._register_resource_types(established)
        return body

    def _naming_conflict(self, crd: JsonObject) -> str:
        """A name of the definition that another definition of its group has already; empty when there is none."""
        name, group, claimed = crd["metadata"]["name"], crd["spec"]["group"], definition.claimed_names(crd)
        for other in self.list(CUSTOM_RESOURCE_DEFINITIONS):
            if other["metadata"]["name"] == name or other["spec"]["group"] != group:
                continue
            if definition.is_established(other) and (taken := sorted(claimed & definition.claimed_names(other))):
                return taken[0]
        return ""

    def _register_resource_types(self, crd: JsonObject) -> None:
        self.scheme.remove(crd["metadata"]["name"])
        if not definition.is_established(crd):
            return
        for resource in definition.resource_types(crd):
            self.scheme.add(resource)
