"""The verbs that change something: proposed, judged by whoever has a say, then stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from embedded.access.escalation import EscalationGuard
from embedded.machinery import proposals
from embedded.machinery.errors import ApiError
from embedded.machinery.registry import Registry
from embedded.machinery.resources import PODS
from embedded.server import body, options, patience, responses
from embedded.server.calls import Call
from embedded.server.webhooks import Webhooks

Json = dict[str, Any]

_ATTEMPTS = 5
"""A write without a version of its own is made again when another one came in while webhooks were asked."""


class Writing:
    """Answers create, update, patch, delete and deletecollection."""

    def __init__(self, registry: Registry, guard: EscalationGuard, webhooks: Webhooks) -> None:
        self._registry = registry
        self._guard = guard
        self._webhooks = webhooks

    async def create(self, call: Call) -> web.StreamResponse:
        t, form = call.target, call.request.content_type
        options.check_write("create", call.query, call.dry_runs)
        data = await patience.body_of(call.request)

        def propose() -> proposals.Change:
            obj = body.read_object(data, form, t.resource.kind)
            return proposals.new(self._registry, t.resource, obj, t.namespace, call.how)

        return await self._write(call, propose)

    async def update(self, call: Call) -> web.StreamResponse:
        t, form = call.target, call.request.content_type
        options.check_write("update", call.query, call.dry_runs)
        data = await patience.body_of(call.request)

        def propose() -> proposals.Change:
            obj = body.read_object(data, form, t.resource.kind)
            return proposals.replacement(self._registry, t.resource, obj, t.namespace, t.name, call.how)

        return await self._write(call, propose)

    async def patch(self, call: Call) -> web.StreamResponse:
        t, form = call.target, call.request.headers.get("Content-Type", "")
        custom = t.resource.schema is not None
        data = await patience.body_of(call.request)
        kind = body.patch_kind(form, custom=custom)
        options.check_write("patch", call.query, call.dry_runs, applies=kind == "apply")

        def propose() -> proposals.Change:
            patch = body.read_patch(data, kind)
            return proposals.patched(self._registry, t.resource, t.namespace, t.name, patch, kind, call.how)

        return await self._write(call, propose)

    async def _write(self, call: Call, propose: Callable[[], proposals.Change]) -> web.StreamResponse:
        left = _ATTEMPTS
        while True:
            left -= 1
            change = propose()
            self._guard.check(call.user, change)
            told = await self._webhooks.review(change, call.user)
            try:
                return responses.written(self._registry.commit(change), told, warn=call.warn)
            except ApiError as error:
                if error.code != 409 or change.old is None or not left:
                    raise

    async def delete(self, call: Call) -> web.StreamResponse:
        t, registry = call.target, self._registry
        wish = await call.delete_options()
        dry_run = bool(wish["dryRun"])
        await self._webhooks.review_removal(
            t.resource, registry.get(t.resource, t.namespace, t.name), call.user, dry_run
        )
        gone = registry.delete(
            t.resource,
            t.namespace,
            t.name,
            propagation=wish.get("propagationPolicy"),
            preconditions=wish.get("preconditions"),
            grace_period=wish.get("gracePeriodSeconds"),
            dry_run=dry_run,
        )
        if t.resource is PODS or (not dry_run and registry.find(t.resource, t.namespace, t.name) is not None):
            return responses.of(200, gone)
        details: Json = {"name": t.name, "kind": t.resource.plural, "uid": gone["metadata"]["uid"]}
        if t.resource.group:
            details["group"] = t.resource.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return responses.of(200, status)

    async def delete_collection(self, call: Call) -> web.StreamResponse:
        t, registry = call.target, self._registry
        wish = await call.delete_options()
        dry_run = bool(wish["dryRun"])
        labels, fields = call.query.get("labelSelector", ""), call.query.get("fieldSelector", "")
        for doomed in registry.list(t.resource, t.namespace, labels, fields):
            await self._webhooks.review_removal(t.resource, doomed, call.user, dry_run)
        gone = registry.delete_collection(
            t.resource, t.namespace, labels, fields, propagation=wish.get("propagationPolicy"), dry_run=dry_run
        )
        metadata = {"resourceVersion": str(registry.store.revision)}
        head = {"kind": t.resource.listed_as, "apiVersion": t.resource.api_version, "metadata": metadata}
        return responses.of(200, {**head, "items": gone})
