"""Objects from creation to deletion: the rules that every resource shares, over the store.

All calls are synchronous and done when they return: the change is on disk and
its event with the watchers. Dictionaries handed in belong to the registry
afterwards; those returned belong to the caller, except that an event's objects
are shared and must not be changed.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from embedded.machinery import crds, errors
from embedded.machinery import patch as patches
from embedded.machinery.admission import admit, admit_update
from embedded.machinery.names import metadata_causes
from embedded.machinery.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    PODS,
    Catalogue,
    ResourceType,
)
from embedded.machinery.selectors import predicate
from embedded.machinery.subscription import Subscription
from embedded.storage.store import Key, Store

Json = dict[str, Any]
PatchKind = Literal["merge", "json", "strategic"]

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_TERMINAL = ("Succeeded", "Failed")
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


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
        self,
        resource: ResourceType,
        obj: Json,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        strict: bool = False,
    ) -> Json:
        """A new object. With `strict`, unknown fields of a custom resource are refused instead of dropped."""
        metadata = self._envelope(resource, obj, namespace)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"][:58] + self._pick()
        self._require_valid(resource, obj, metadata_causes(metadata, resource.key))
        key = self._key(resource, namespace, metadata["name"])
        self._require_namespace(resource, namespace)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(field, None)
        if _counts_generations(resource):
            metadata["generation"] = 1
        if resource.has_status:
            obj.pop("status", None)
        self._require_valid(resource, obj, admit(resource, obj, strict=strict))
        if self.store.get(key) is not None:
            raise errors.already_exists(resource.plural, metadata["name"], resource.group)
        if dry_run:
            return obj
        created = self.store.put(key, obj, None)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            created = self._establish(key, created)
        return _copy(created)

    def update(
        self,
        resource: ResourceType,
        obj: Json,
        *,
        namespace: str | None,
        name: str,
        subresource: str | None = None,
        dry_run: bool = False,
        strict: bool = False,
    ) -> Json:
        """Replace an object, or with `subresource="status"` its status only."""
        metadata = self._envelope(resource, obj, namespace)
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if resource.schema is not None and not metadata.get("resourceVersion"):
            cause = errors.Cause(
                "FieldValueInvalid",
                "metadata.resourceVersion",
                "Invalid value: 0: must be specified for an update",
            )
            self._read(resource, namespace, name)
            raise errors.invalid(resource.plural, name, resource.group, [cause])
        return self._change(resource, namespace, name, lambda _: obj, subresource, dry_run, strict)

    def patch(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        kind: PatchKind = "merge",
        subresource: str | None = None,
        dry_run: bool = False,
        strict: bool = False,
    ) -> Json:
        """Change part of an object."""
        apply = {"merge": patches.merge, "json": patches.json_patch, "strategic": patches.strategic}[kind]

        def patched(old: Json) -> Json:
            result = apply(old, patch)
            if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
                raise errors.bad_request("a patch must leave an object with metadata")
            return result

        return self._change(resource, namespace, name, patched, subresource, dry_run, strict)

    def bind_pod(self, namespace: str, name: str, node: str, status: Json) -> Json:
        """Give a pod to a node and set its first status, in one change: scheduler and kubelet are one here."""
        old = self._read(PODS, namespace, name)
        new = {**old, "spec": {**old["spec"], "nodeName": node}, "status": status}
        return _copy(self.store.put(self._key(PODS, namespace, name), new, old))

    def _change(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        change: Callable[[Json], Json],
        subresource: str | None,
        dry_run: bool,
        strict: bool,
    ) -> Json:
        old = self._read(resource, namespace, name)
        new = _copy(change(old))
        self._check_identity(resource, old, new)
        _keep_system_fields(old, new)
        if subresource == "status":
            new = {**old, "status": new.get("status", {}), "metadata": old["metadata"]}
        elif resource.has_status and "status" in old and resource is not PODS:
            new["status"] = old["status"]
        elif resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        causes = metadata_causes(new["metadata"], resource.key)
        causes += admit_update(resource, old, new, strict=strict)
        self._require_valid(resource, new, causes)
        if subresource is None and _counts_generations(resource) and _desired(old) != _desired(new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if dry_run or new == old:
            return new
        return self._store_change(resource, namespace, name, old, new)

    def _store_change(self, resource: ResourceType, namespace: str | None, name: str, old: Json, new: Json) -> Json:
        key = self._key(resource, namespace, name)
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            new["metadata"].pop("finalizers", None)
            if self._may_go(resource, new):
                self._remove(resource, key, new)
                return new
        stored = self.store.put(key, new, old)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            for served in crds.resources_of(stored):
                self.catalogue.add(served)
        return _copy(stored)

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
        old = self._read(resource, namespace, name)
        self._check_preconditions(resource, old, preconditions or {})
        if dry_run:
            return old
        new = _copy(old)
        metadata = new["metadata"]
        finalizers = [f for f in metadata.get("finalizers") or [] if f not in (_FOREGROUND, _ORPHAN)]
        finalizers += {"Foreground": [_FOREGROUND], "Orphan": [_ORPHAN]}.get(propagation or "", [])
        if resource is PODS:
            grace = new["spec"].get("terminationGracePeriodSeconds", 30) if grace_period is None else grace_period
            if not new["spec"].get("nodeName") or new["status"].get("phase") in _TERMINAL:
                grace = 0
            grace = min(grace, metadata.get("deletionGracePeriodSeconds", grace))
            metadata["deletionGracePeriodSeconds"] = grace
        else:
            grace = 0
        if not finalizers and grace == 0 and self._may_go(resource, new):
            self._remove(resource, self._key(resource, namespace, name), new)
            return new
        if finalizers:
            metadata["finalizers"] = finalizers
        metadata.setdefault("deletionTimestamp", self.now())
        if resource is not NAMESPACES:
            metadata["deletionGracePeriodSeconds"] = grace
        else:
            new.setdefault("status", {})["phase"] = "Terminating"
        if new == old:
            return old
        return _copy(self.store.put(self._key(resource, namespace, name), new, old))

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

    def _envelope(self, resource: ResourceType, obj: Json, namespace: str | None) -> Json:
        """Check and complete apiVersion, kind and namespace; returns the metadata."""
        metadata = obj.get("metadata")
        if metadata is None:
            metadata = obj["metadata"] = {}
        if not isinstance(metadata, dict):
            raise errors.bad_request(f"{resource.kind}.metadata must be an object")
        api_version, kind = (
            obj.setdefault("apiVersion", resource.api_version),
            obj.setdefault("kind", resource.kind),
        )
        if (api_version, kind) != (resource.api_version, resource.kind):
            short = kind if isinstance(kind, str) else "?"
            raise errors.bad_request(
                f'{short} in version "{resource.version}" cannot be handled as a {resource.kind}: converting '
                f"({resource.version}.{short}) to (core.{resource.kind}): unknown conversion"
            )
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise errors.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            metadata.pop("namespace", None)
        return metadata

    def _require_namespace(self, resource: ResourceType, namespace: str | None) -> None:
        if not resource.namespaced:
            return
        found = self.find(NAMESPACES, None, namespace or "")
        if found is None:
            raise errors.not_found("namespaces", namespace or "")
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise errors.forbidden(resource.plural, "", resource.group, why)

    def _require_valid(self, resource: ResourceType, obj: Json, causes: Iterable[errors.Cause]) -> None:
        found = list(causes)
        if found:
            name = obj["metadata"].get("name", "")
            error = errors.invalid(resource.kind, name, resource.group, found)
            if not name and error.details is not None:
                del error.details["name"]
            raise error

    def _check_identity(self, resource: ResourceType, old: Json, new: Json) -> None:
        version, uid = new["metadata"].get("resourceVersion"), new["metadata"].get("uid")
        name = old["metadata"]["name"]
        if version and version != old["metadata"]["resourceVersion"]:
            raise errors.conflict(resource.plural, name, resource.group)
        if uid and uid != old["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
            raise errors.conflict(resource.plural, name, resource.group, why)

    def _check_preconditions(self, resource: ResourceType, old: Json, wanted: Json) -> None:
        metadata = old["metadata"]
        for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(field) and wanted[field] != metadata[field]:
                why = (
                    f"the {word} in the precondition ({wanted[field]}) does not match the {word} in record "
                    f"({metadata[field]}). The object might have been deleted and then recreated"
                )
                raise errors.conflict(resource.kind, metadata["name"], resource.group, why)

    def _may_go(self, resource: ResourceType, obj: Json) -> bool:
        """Whether nothing but finalizers in metadata could hold the object."""
        if resource is NAMESPACES:
            return not obj.get("spec", {}).get("finalizers")
        return not (resource is PODS and obj["metadata"].get("deletionGracePeriodSeconds"))

    def _remove(self, resource: ResourceType, key: Key, obj: Json) -> None:
        self.store.delete(key, obj)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            self.catalogue.remove(obj["metadata"]["name"])

    def _establish(self, key: Key, crd: Json) -> Json:
        served = self.store.put(key, {**_copy(crd), "status": crds.accepted_status(crd, self.now())}, crd)
        for resource in crds.resources_of(served):
            self.catalogue.add(resource)
        return served


def _counts_generations(resource: ResourceType) -> bool:
    return resource.has_status and resource is not NAMESPACES


def _desired(obj: Json) -> Json:
    """The part of an object that is its owner's wish."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _keep_system_fields(old: Json, new: Json) -> None:
    """What a client can't change."""
    kept = ("name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp")
    for field in (*kept, "deletionGracePeriodSeconds", "generateName"):
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
        else:
            new["metadata"].pop(field, None)
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]


def _copy(obj: Json) -> Json:
    """A deep copy of JSON; faster than copy.deepcopy."""
    result: Json = json.loads(json.dumps(obj))
    return result
