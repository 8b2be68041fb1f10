"""Objects from creation to deletion: the rules that every resource shares, over the store.

All calls are synchronous and done when they return: the change is on disk and
its event with the watchers. Dictionaries handed in belong to the registry
afterwards; those returned belong to the caller. The objects of events are
shared and must not be changed.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from embedded.machinery import apply, crds, deletion, envelope, errors, generations, quota, shapes
from embedded.machinery import patch as patches
from embedded.machinery.admission import admit, admit_update
from embedded.machinery.names import metadata_causes
from embedded.machinery.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    PODS,
    RESOURCE_QUOTAS,
    Catalogue,
    ResourceType,
)
from embedded.machinery.selectors import predicate
from embedded.machinery.subscription import Subscription
from embedded.machinery.write import PatchKind, Write, Written
from embedded.storage.store import Key, Store, encode

Json = dict[str, Any]

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_GIVEN_BY_SERVER = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields")


def timestamp(moment: datetime) -> str:
    """metav1.Time: RFC 3339 in seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Registry:
    """The objects of a cluster.

    Args:
        clock: the time now.
        pick: the five random characters behind a generateName.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pick: Callable[[], str] = lambda: "".join(secrets.choice(_SUFFIX) for _ in range(5)),
    ) -> None:
        self.store = store
        self.clock = clock
        self._pick = pick
        self.catalogue = Catalogue()
        for _, body in store.scan(CUSTOM_RESOURCE_DEFINITIONS.key):
            for resource in crds.resources_of(json.loads(body)):
                self.catalogue.add(resource)

    def now(self) -> str:
        return timestamp(self.clock())

    # -- reading

    def get(self, resource: ResourceType, namespace: str | None, name: str) -> Json:
        """One object.

        Raises:
            ApiError: 404.
        """
        return self._read(resource, namespace, name)

    def raw(self, resource: ResourceType, namespace: str | None, name: str) -> bytes:
        """One object as it is stored: JSON bytes."""
        body = self.store.get(self._key(resource, namespace, name))
        if body is None:
            raise errors.not_found(resource.plural, name, resource.group)
        return body

    def find(self, resource: ResourceType, namespace: str | None, name: str) -> Json | None:
        body = self.store.get(self._key(resource, namespace, name))
        return json.loads(body) if body is not None else None

    def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Json]:
        """All objects that match, by namespace and name."""
        matches = predicate(label_selector, field_selector, resource.key)
        objects = (json.loads(body) for _, body in self.store.scan(resource.key, namespace))
        return [obj for obj in objects if matches is None or matches(obj)]

    def watch(self, resource: ResourceType | None = None, *, since: int | None = None) -> Subscription:
        """The changes after a revision, or from now on.

        Raises:
            CompactedError: the changes since that revision are no longer kept.
        """
        return Subscription(self.store, resource.key if resource else None, since)

    # -- writing

    def create(
        self, resource: ResourceType, obj: Json, *, namespace: str | None = None, how: Write | None = None
    ) -> Json:
        """A new object.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
        """
        return _decode(self.write_new(resource, obj, namespace, how or Write()))

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
        return _decode(self.write_over(resource, obj, namespace, name, Write(subresource)))

    def patch(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        kind: PatchKind = "merge",
        how: Write | None = None,
    ) -> Json:
        """Change part of an object; with `kind="apply"` make it when there is none.

        Raises:
            ApiError: as `update`; for an application also 409 when it disagrees with another manager.
        """
        return _decode(self.write_patch(resource, namespace, name, patch, kind, how or Write()))

    def write_new(
        self, resource: ResourceType, obj: Json, namespace: str | None, how: Write, *, applied: bool = False
    ) -> Written:
        """`create`, giving the stored bytes. With `applied`, the manager is recorded as the owner of all it set."""
        metadata = envelope.complete(resource, obj, namespace)
        shapes.fit(resource, obj, strict=how.strict)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"][:58] + self._pick()
        envelope.require_valid(resource, obj, metadata_causes(metadata, resource.key))
        key = self._key(resource, namespace, metadata["name"])
        self._require_namespace(resource, namespace)
        for field in _GIVEN_BY_SERVER:
            metadata.pop(field, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        if generations.counted(resource):
            metadata["generation"] = 1
        if resource.has_status:
            obj.pop("status", None)
        if applied:
            claim = self._claim(resource, how, "Apply", apply.fields_of(obj, _list_key(resource)))
            apply.write_entries(obj, [claim])
        envelope.require_valid(resource, obj, admit(resource, obj, strict=how.strict))
        if self.store.get(key) is not None:
            raise errors.already_exists(resource.plural, metadata["name"], resource.group)
        self._require_quota(resource, namespace, obj)
        if how.dry_run:
            return Written(encode(obj), created=True)
        body = self.store.put(key, obj, None)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            body = self._establish(key, obj)
        return Written(body, created=True)

    def write_over(self, resource: ResourceType, obj: Json, namespace: str | None, name: str, how: Write) -> Written:
        """`update`, giving the stored bytes."""
        metadata = envelope.complete(resource, obj, namespace)
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        old = self._read(resource, namespace, name)
        if resource.schema is not None and not metadata.get("resourceVersion"):
            cause = errors.Cause(
                "FieldValueInvalid",
                "metadata.resourceVersion",
                "Invalid value: 0: must be specified for an update",
            )
            raise errors.invalid(resource.plural, name, resource.group, [cause])
        return self._replace(resource, old, obj, how)

    def write_patch(
        self, resource: ResourceType, namespace: str | None, name: str, patch: Any, kind: PatchKind, how: Write
    ) -> Written:
        """`patch`, giving the stored bytes."""
        if kind == "apply":
            return self._apply(resource, namespace, name, patch, how)
        body = self.raw(resource, namespace, name)
        change = {"merge": patches.merge, "json": patches.json_patch, "strategic": patches.strategic}[kind]
        # Decoded twice, so that the old object and the new share nothing.
        new = change(json.loads(body), patch)
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise errors.bad_request("a patch must leave an object with metadata")
        return self._replace(resource, json.loads(body), new, how)

    def _apply(self, resource: ResourceType, namespace: str | None, name: str, wanted: Any, how: Write) -> Written:
        if not isinstance(wanted, dict):
            raise errors.bad_request(f"an apply patch must be an object of kind {resource.kind}")
        metadata = envelope.complete(resource, wanted, namespace)
        if metadata.setdefault("name", name) != name:
            raise errors.bad_request(f"name must be {name}, as in the URL, not {metadata['name']}")
        body = self.store.get(self._key(resource, namespace, name))
        if body is None:
            if how.subresource:
                raise errors.not_found(resource.plural, name, resource.group)
            return self.write_new(resource, wanted, namespace, how, applied=True)
        if resource.has_status and how.subresource is None:
            wanted.pop("status", None)
        if how.subresource == "status":
            wanted = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": metadata} | (
                {"status": wanted["status"]} if "status" in wanted else {}
            )
        live = json.loads(body)
        envelope.check_identity(resource, live, wanted)
        claim = self._claim(resource, how, "Apply", frozenset())
        new = apply.applied(json.loads(body), wanted, claim, _list_key(resource), force=how.force)
        return self._replace(resource, live, new, how, record=new["metadata"].get("managedFields"))

    def bind_pod(self, namespace: str, name: str, node: str, status: Json) -> Json:
        """Give a pod to a node and set its first status, in one change: scheduler and kubelet are one here."""
        old = self._read(PODS, namespace, name)
        new = {
            **old,
            "metadata": dict(old["metadata"]),
            "spec": {**old["spec"], "nodeName": node},
            "status": status,
        }
        return _decode(Written(self.store.put(self._key(PODS, namespace, name), new, old)))

    def _replace(
        self, resource: ResourceType, old: Json, new: Json, how: Write, record: Sequence[Json] | None = None
    ) -> Written:
        """Store `new` where `old` is, as far as rules allow. `record` replaces the one of field owners."""
        shapes.fit(resource, new, strict=how.strict)
        envelope.check_identity(resource, old, new)
        envelope.keep_system_fields(old, new)
        new = envelope.narrowed(resource, old, new, how.subresource)
        metadata = new["metadata"]
        causes = metadata_causes(metadata, resource.key)
        causes += admit_update(resource, old, new, strict=how.strict)
        envelope.require_valid(resource, new, causes)
        if how.subresource is None:
            generations.advance(resource, old, new)
        if record is not None:
            metadata["managedFields"] = record
        elif "managedFields" in old["metadata"]:
            apply.after_write(old, new, self._claim(resource, how, "Update", frozenset()), _list_key(resource))
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        if how.dry_run or new == old:
            return Written(encode(new))
        return Written(self._store_change(resource, old, new))

    def _store_change(self, resource: ResourceType, old: Json, new: Json) -> bytes:
        metadata = new["metadata"]
        key = self._key(resource, metadata.get("namespace"), metadata["name"])
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
            if deletion.may_go(resource, new):
                self._remove(resource, key, new)
                return encode(new)
        body = self.store.put(key, new, old)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self._serve(new)
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
        body = self.raw(resource, namespace, name)
        old: Json = json.loads(body)
        new: Json = json.loads(body)
        deletion.check_allowed(resource, name)
        envelope.check_preconditions(resource, old, preconditions or {})
        if dry_run:
            return old
        key = self._key(resource, namespace, name)
        now = self.now()
        if deletion.mark(resource, new, propagation=propagation, grace_period=grace_period, now=now):
            self._remove(resource, key, new)
            return new
        return old if new == old else _decode(Written(self.store.put(key, new, old)))

    def delete_collection(
        self,
        resource: ResourceType,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        propagation: str | None = None,
    ) -> Sequence[Json]:
        doomed = self.list(resource, namespace, label_selector, field_selector)
        return [
            self.delete(
                resource,
                obj["metadata"].get("namespace"),
                obj["metadata"]["name"],
                propagation=propagation,
            )
            for obj in doomed
        ]

    # -- rules

    def _read(self, resource: ResourceType, namespace: str | None, name: str) -> Json:
        obj: Json = json.loads(self.raw(resource, namespace, name))
        return obj

    def _key(self, resource: ResourceType, namespace: str | None, name: str) -> Key:
        return Key(resource.key, (namespace or "") if resource.namespaced else "", name)

    def _require_namespace(self, resource: ResourceType, namespace: str | None) -> None:
        if not resource.namespaced:
            return
        found = self.find(NAMESPACES, None, namespace or "")
        if found is None:
            raise errors.not_found("namespaces", namespace or "")
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise errors.forbidden(resource.plural, "", resource.group, why)

    def _require_quota(self, resource: ResourceType, namespace: str | None, obj: Json) -> None:
        if namespace is None or not resource.namespaced:
            return
        quotas = [json.loads(body) for _, body in self.store.scan(RESOURCE_QUOTAS.key, namespace)]
        if quotas:
            quota.check(quotas, resource.key, obj, used_of=lambda names: self.quota_use(namespace, names))

    def quota_use(self, namespace: str, names: Iterable[str]) -> dict[str, Decimal]:
        """How much of each named limit of a quota the namespace's objects use."""
        return quota.used(names, lambda: self.list(PODS, namespace), lambda key: self.store.count(key, namespace))

    def _claim(self, resource: ResourceType, how: Write, operation: str, paths: frozenset[apply.Path]) -> apply.Entry:
        return apply.Entry(how.manager, operation, how.subresource or "", resource.api_version, self.now(), paths)

    def _remove(self, resource: ResourceType, key: Key, obj: Json) -> None:
        self.store.delete(key, obj)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self.catalogue.remove(obj["metadata"]["name"])

    def _establish(self, key: Key, crd: Json) -> bytes:
        served = {**crd, "metadata": dict(crd["metadata"]), "status": crds.accepted_status(crd, self.now())}
        body = self.store.put(key, served, crd)
        self._serve(served)
        return body

    def _serve(self, crd: Json) -> None:
        self.catalogue.remove(crd["metadata"]["name"])
        for resource in crds.resources_of(crd):
            self.catalogue.add(resource)


def _list_key(resource: ResourceType) -> apply.ListKey:
    return apply.built_in_list_key if resource.schema is None else apply.schema_list_key(resource.schema)


def _decode(written: Written) -> Json:
    obj: Json = json.loads(written.body)
    return obj
