"""The verbs that change something: proposed, judged by whoever has a say, then stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from embedded.api.scheme import PODS, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError, bad_request
from embedded.apiserver import negotiation, query_options, responses, timeouts
from embedded.apiserver.codec import decode
from embedded.apiserver.request import ApiRequest
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.auth.escalation import EscalationGuard
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]

_MAX_ATTEMPTS = 5
"""A write without a version of its own is made again when another one came in while webhooks were asked."""
_RETURNED_ON_DELETE = (PODS, SERVICE_ACCOUNTS, RESOURCE_QUOTAS)
"""Who deletes one of these is given the object, not only told of the success."""


class WriteHandlers:
    """Answers create, update, patch, delete and deletecollection."""

    def __init__(self, registry: Registry, guard: EscalationGuard, webhooks: WebhookAdmission) -> None:
        self._registry = registry
        self._guard = guard
        self._webhooks = webhooks

    async def create(self, call: ApiRequest) -> web.StreamResponse:
        t, form = call.info, call.http.content_type
        query_options.validate_write_options("create", call.query, call.dry_runs)
        data = await timeouts.read_body(call.http)

        def propose() -> PreparedWrite:
            repeated: list[str] = []
            obj = decode.read_object(data, form, t.resource.kind, repeated)
            _require_kind(t.resource, obj, data)
            how = replace(call.write_options, duplicate_fields=tuple(repeated))
            return self._registry.prepare_create(t.resource, obj, t.namespace, how)

        return await self._write(call, propose)

    async def update(self, call: ApiRequest) -> web.StreamResponse:
        t, form = call.info, call.http.content_type
        query_options.validate_write_options("update", call.query, call.dry_runs)
        data = await timeouts.read_body(call.http)

        def propose() -> PreparedWrite:
            repeated: list[str] = []
            obj = decode.read_object(data, form, t.resource.kind, repeated)
            _require_kind(t.resource, obj, data)
            metadata = obj.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                why = "was undeterminable: name must be provided"
                raise bad_request(f"the name of the object ({t.name} based on URL) {why}")
            how = replace(call.write_options, duplicate_fields=tuple(repeated))
            return self._registry.prepare_update(ObjectRef(t.resource, t.namespace, t.name), obj, how)

        return await self._write(call, propose)

    async def patch(self, call: ApiRequest) -> web.StreamResponse:
        t, form = call.info, call.http.headers.get("Content-Type", "")
        custom = t.resource.schema is not None
        data = await timeouts.read_body(call.http)
        kind = decode.patch_kind(form, custom=custom)
        query_options.validate_write_options("patch", call.query, call.dry_runs, is_apply=kind == "apply")

        def propose() -> PreparedWrite:
            repeated: list[str] = []
            patch = decode.read_patch(data, kind, repeated)
            how = replace(call.write_options, duplicate_fields=tuple(repeated))
            return self._registry.prepare_patch(ObjectRef(t.resource, t.namespace, t.name), patch, kind, how)

        return await self._write(call, propose)

    async def _write(self, call: ApiRequest, prepare_change: Callable[[], PreparedWrite]) -> web.StreamResponse:
        left = _MAX_ATTEMPTS
        while True:
            left -= 1
            change = prepare_change()
            self._guard.check(call.user, change)
            told = await self._webhooks.review(change, call.user)
            try:
                written = self._registry.commit(change)
            except ApiError as error:
                if error.code != 409 or change.old is None or not left:
                    raise
                continue
            if negotiation.negotiate(call.accept).shape != "object":
                shown = call.render(written.object, self._registry.clock())
                written = replace(written, body=encode_json(shown))
            return responses.write_response(written, told, warn=call.wants_warnings)

    async def delete(self, call: ApiRequest) -> web.StreamResponse:
        t, registry = call.info, self._registry
        wish = await call.delete_options()
        dry_run = bool(wish["dryRun"])
        await self._webhooks.review_deletion(
            t.resource, registry.get(ObjectRef(t.resource, t.namespace, t.name)), call.user, dry_run
        )
        gone = registry.delete(
            ObjectRef(t.resource, t.namespace, t.name),
            propagation=wish.get("propagationPolicy"),
            preconditions=wish.get("preconditions"),
            grace_period=wish.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        if t.resource in _RETURNED_ON_DELETE or (
            not dry_run and registry.find(ObjectRef(t.resource, t.namespace, t.name)) is not None
        ):
            return responses.json_response(200, call.render(gone, registry.clock()))
        details: Json = {"name": t.name, "kind": t.resource.plural, "uid": gone["metadata"]["uid"]}
        if t.resource.group:
            details["group"] = t.resource.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return responses.json_response(200, status)

    async def evict(self, call: ApiRequest) -> web.StreamResponse:
        """Delete a pod as an Eviction asks for it. There are no disruption budgets here that could forbid it."""
        t, registry = call.info, self._registry
        data = await timeouts.read_body(call.http)
        asked = decode.read_object(data, call.http.content_type, "Eviction")
        metadata = asked.get("metadata") or {}
        if not isinstance(metadata, dict) or metadata.get("name", t.name) != t.name:
            raise bad_request("name in URL does not match name in Eviction object")
        wish = asked.get("deleteOptions") or {}
        if not isinstance(wish, dict):
            raise bad_request("Eviction.deleteOptions must be an object")
        query_options.validate_delete_option_types(wish)
        wish["dryRun"] = [*(wish.get("dryRun") or []), *call.dry_runs]
        query_options.validate_delete_options(wish)
        dry_run = bool(wish["dryRun"])
        await self._webhooks.review_deletion(
            t.resource, registry.get(ObjectRef(t.resource, t.namespace, t.name)), call.user, dry_run
        )
        registry.delete(
            ObjectRef(t.resource, t.namespace, t.name),
            preconditions=wish.get("preconditions"),
            grace_period=wish.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        return responses.json_response(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def delete_collection(self, call: ApiRequest) -> web.StreamResponse:
        t, registry = call.info, self._registry
        wish = await call.delete_options()
        dry_run = bool(wish["dryRun"])
        labels, fields = call.query.get("labelSelector", ""), call.query.get("fieldSelector", "")
        for doomed in registry.list(t.resource, t.namespace, labels, fields):
            await self._webhooks.review_deletion(t.resource, doomed, call.user, dry_run)
        gone = registry.delete_collection(
            t.resource,
            t.namespace,
            labels,
            fields,
            propagation=wish.get("propagationPolicy"),
            grace_period=wish.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        metadata = {"resourceVersion": str(registry.store.revision)}
        head = {"kind": t.resource.effective_list_kind, "apiVersion": t.resource.api_version, "metadata": metadata}
        if t.resource.schema is None:
            gone = [
                {name: value for name, value in each.items() if name not in ("kind", "apiVersion")} for each in gone
            ]
        return responses.json_response(200, {**head, "items": gone})


def _require_kind(resource: ResourceType, obj: Json, data: bytes) -> None:
    """A custom resource has to say what it is.

    Raises:
        ApiError: 400.
    """
    if resource.schema is None:
        return
    if not obj.get("kind"):
        raise bad_request(f"Object 'Kind' is missing in '{data[:200].decode('utf-8', 'replace')}'")
    if not obj.get("apiVersion"):
        expected = resource.api_version
        raise bad_request(f"the API version in the data () does not match the expected API version ({expected})")
