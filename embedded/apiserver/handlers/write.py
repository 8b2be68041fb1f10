"""The verbs that write: prepare a change, check it for escalation, review it by webhooks, commit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from embedded.api.scheme import (
    EVENTS,
    EVENTS_V1,
    JOBS,
    PODS,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    ObjectRef,
    ResourceType,
)
from embedded.api.status_errors import ApiError, bad_request
from embedded.apiserver import negotiation, query_options, responses, timeouts
from embedded.apiserver.codec import decode
from embedded.apiserver.request import ApiRequest
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.auth.escalation import EscalationGuard
from embedded.registry import event_versions
from embedded.registry.options import WriteOptions
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]

_MAX_ATTEMPTS = 5
"""How often a write without a resourceVersion is prepared when another write interferes with its review."""
_RETURNED_ON_DELETE = (PODS, SERVICE_ACCOUNTS, RESOURCE_QUOTAS)
"""Resources of which a deletion returns the object instead of a Status."""
_DEFAULT_PROPAGATION = {JOBS.key: "Orphan"}
"""The propagation policy of deletions that name none, where it is not Background: that of batch/v1 keeps the pods."""


class WriteHandlers:
    """Answers create, update, patch, delete and deletecollection."""

    def __init__(self, registry: Registry, guard: EscalationGuard, webhooks: WebhookAdmission) -> None:
        self._registry = registry
        self._guard = guard
        self._webhooks = webhooks

    async def create(self, request: ApiRequest) -> web.StreamResponse:
        info, media_type = request.info, negotiation.content_type(request.http)
        query_options.validate_write_options("create", request.query, request.dry_runs)
        data = await timeouts.read_body(request.http)

        def prepare() -> PreparedWrite:
            obj, options = _read_object(request, data, media_type)
            if info.resource is EVENTS_V1:
                return self._registry.prepare_create(EVENTS, event_versions.to_core(obj), info.namespace, options)
            return self._registry.prepare_create(info.resource, obj, info.namespace, options)

        return await self._write(request, prepare)

    async def update(self, request: ApiRequest) -> web.StreamResponse:
        info, media_type = request.info, negotiation.content_type(request.http)
        query_options.validate_write_options("update", request.query, request.dry_runs)
        data = await timeouts.read_body(request.http)

        def prepare() -> PreparedWrite:
            obj, options = _read_object(request, data, media_type)
            metadata = obj.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                why = "was undeterminable: name must be provided"
                raise bad_request(f"the name of the object ({info.name} based on URL) {why}")
            if info.resource is EVENTS_V1:
                obj = event_versions.to_core(obj)
            return self._registry.prepare_update(_stored_ref(info.ref), obj, options)

        return await self._write(request, prepare)

    async def patch(self, request: ApiRequest) -> web.StreamResponse:
        info, media_type = request.info, negotiation.content_type(request.http)
        custom = info.resource.schema is not None
        data = await timeouts.read_body(request.http)
        kind = decode.patch_kind(media_type, custom=custom)
        query_options.validate_write_options("patch", request.query, request.dry_runs, is_apply=kind == "apply")

        def prepare() -> PreparedWrite:
            duplicates: list[str] = []
            patch = decode.read_patch(data, kind, duplicates)
            options = replace(request.write_options, duplicate_fields=tuple(duplicates))
            if info.resource is EVENTS_V1:
                patch = event_versions.to_core(patch)
            return self._registry.prepare_patch(_stored_ref(info.ref), patch, kind, options)

        return await self._write(request, prepare)

    async def _write(self, request: ApiRequest, prepare_change: Callable[[], PreparedWrite]) -> web.StreamResponse:
        left, info = _MAX_ATTEMPTS, request.info
        while True:
            left -= 1
            change = prepare_change()
            self._guard.check(request.user, change)
            warnings = await self._webhooks.review(change, request.user)
            try:
                written = self._registry.commit(change)
            except ApiError as error:
                if error.code != 409 or change.old is None or not left:
                    raise
                continue
            if negotiation.negotiate(request.accept).shape != "object":
                rendered = request.render(written.object, self._registry.clock())
                written = replace(written, body=encode_json(rendered))
            elif info.resource is EVENTS_V1:
                written = replace(written, body=self._registry.convert(info.resource, written.body))
            return responses.write_response(written, warnings, warn=request.wants_warnings)

    async def delete(self, request: ApiRequest) -> web.StreamResponse:
        info, registry = request.info, self._registry
        delete_options = await request.delete_options()
        dry_run = bool(delete_options["dryRun"])
        await self._webhooks.review_deletion(info.resource, registry.get(info.ref), request.user, dry_run)
        gone = registry.delete(
            _stored_ref(info.ref),
            propagation=delete_options.get("propagationPolicy") or _DEFAULT_PROPAGATION.get(info.resource.key),
            preconditions=delete_options.get("preconditions"),
            grace_period=delete_options.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        if info.resource in _RETURNED_ON_DELETE or (not dry_run and registry.find(info.ref) is not None):
            return responses.json_response(200, request.render(gone, registry.clock()))
        details: Json = {"name": info.name, "kind": info.resource.plural, "uid": gone["metadata"]["uid"]}
        if info.resource.group:
            details["group"] = info.resource.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return responses.json_response(200, status)

    async def evict(self, request: ApiRequest) -> web.StreamResponse:
        """Delete a pod by an Eviction. There are no disruption budgets here."""
        info, registry = request.info, self._registry
        data = await timeouts.read_body(request.http)
        eviction = decode.read_object(data, negotiation.content_type(request.http), "Eviction")
        metadata = eviction.get("metadata") or {}
        if not isinstance(metadata, dict) or metadata.get("name", info.name) != info.name:
            raise bad_request("name in URL does not match name in Eviction object")
        delete_options = eviction.get("deleteOptions") or {}
        if not isinstance(delete_options, dict):
            raise bad_request("Eviction.deleteOptions must be an object")
        query_options.validate_delete_option_types(delete_options)
        delete_options["dryRun"] = [*(delete_options.get("dryRun") or []), *request.dry_runs]
        query_options.validate_delete_options(delete_options)
        dry_run = bool(delete_options["dryRun"])
        await self._webhooks.review_deletion(info.resource, registry.get(info.ref), request.user, dry_run)
        registry.delete(
            info.ref,
            preconditions=delete_options.get("preconditions"),
            grace_period=delete_options.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        return responses.json_response(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def delete_collection(self, request: ApiRequest) -> web.StreamResponse:
        info, registry = request.info, self._registry
        delete_options = await request.delete_options()
        dry_run = bool(delete_options["dryRun"])
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        for obj in registry.list(info.resource, info.namespace, labels, fields):
            await self._webhooks.review_deletion(info.resource, obj, request.user, dry_run)
        gone = registry.delete_collection(
            info.resource,
            info.namespace,
            labels,
            fields,
            propagation=delete_options.get("propagationPolicy") or _DEFAULT_PROPAGATION.get(info.resource.key),
            grace_period=delete_options.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        if info.resource is EVENTS_V1:
            gone = [event_versions.from_core(event) for event in gone]
        metadata = {"resourceVersion": str(registry.store.revision)}
        head = {
            "kind": info.resource.effective_list_kind,
            "apiVersion": info.resource.api_version,
            "metadata": metadata,
        }
        if info.resource.schema is None:
            gone = [
                {name: value for name, value in each.items() if name not in ("kind", "apiVersion")} for each in gone
            ]
        return responses.json_response(200, {**head, "items": gone})


def _stored_ref(ref: ObjectRef) -> ObjectRef:
    """The object as it is stored: events in the core group."""
    return replace(ref, resource=EVENTS) if ref.resource is EVENTS_V1 else ref


def _read_object(request: ApiRequest, data: bytes, media_type: str) -> tuple[Json, WriteOptions]:
    """The object in the body, and the options of its write, which name fields that it has twice."""
    duplicates: list[str] = []
    obj = decode.read_object(data, media_type, request.info.resource.kind, duplicates)
    _require_kind(request.info.resource, obj, data)
    return obj, replace(request.write_options, duplicate_fields=tuple(duplicates))


def _require_kind(resource: ResourceType, obj: Json, data: bytes) -> None:
    """Require kind and apiVersion of a custom resource.

    Raises:
        ApiError: 400, one is missing.
    """
    if resource.schema is None:
        return
    if not obj.get("kind"):
        raise bad_request(f"Object 'Kind' is missing in '{data[:200].decode('utf-8', 'replace')}'")
    if not obj.get("apiVersion"):
        expected = resource.api_version
        raise bad_request(f"the API version in the data () does not match the expected API version ({expected})")
