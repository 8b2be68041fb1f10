"""Calls validating webhooks for writes of clients and for the pods of Jobs.

Other writes of the built-in controllers are not sent to them. Only `clientConfig.url` is called: there are no Services
here, so a webhook behind one can't be reached.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import aiohttp

from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, VALIDATING_WEBHOOKS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import User
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent
from embedded.validation import webhooks

Json = dict[str, Any]

_MAX_RESPONSE_BYTES = 3 << 20


class _WebhookCallError(Exception):
    """A webhook could not be called, or its response can't be read; the message says why."""


class WebhookAdmission:
    """Reviews writes with the webhooks that are configured at the time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_request_kind: dict[tuple[str, ResourceType, str], Sequence[Json]] = {}
        """The webhooks whose rules match, by operation, resource and subresource."""
        registry.store.subscribe(self._on_change)

    def _on_change(self, event: StoreEvent) -> None:
        if event.key.resource in (VALIDATING_WEBHOOKS.key, CUSTOM_RESOURCE_DEFINITIONS.key):
            self._by_request_kind.clear()

    def reviews(self, operation: str, resource: ResourceType) -> bool:
        """Whether the rules of any webhook match writes of this kind."""
        return bool(self._webhooks(operation, resource, ""))

    async def review(self, change: PreparedWrite, user: User) -> list[str]:
        """Review a create or update.

        Returns:
            The warnings of the webhooks.

        Raises:
            ApiError: a webhook denies it, or one with failurePolicy Fail can't be called.
        """
        operation, how = "UPDATE" if change.old else "CREATE", change.options
        found = self._webhooks(operation, change.resource, how.subresource or "")
        if not found or (change.old is not None and change.old == change.new):
            return []
        return await _call_webhooks(
            found,
            self._attributes(operation, change.resource, change.new, change.old, user, how.dry_run, how.subresource),
        )

    async def review_deletion(self, resource: ResourceType, obj: Json, user: User, dry_run: bool) -> list[str]:
        """Review a deletion; see `review`."""
        found = self._webhooks("DELETE", resource, "")
        if not found:
            return []
        return await _call_webhooks(found, self._attributes("DELETE", resource, None, obj, user, dry_run, None))

    def _webhooks(self, operation: str, resource: ResourceType, subresource: str) -> Sequence[Json]:
        """The webhooks whose rules match requests of this kind. Every write asks, and few are reviewed."""
        if resource is VALIDATING_WEBHOOKS:
            # Otherwise a webhook that denies everything could never be removed.
            return ()
        kind = (operation, resource, subresource)
        found = self._by_request_kind.get(kind)
        if found is None:
            configurations = self._registry.list(VALIDATING_WEBHOOKS)
            configured = [webhook for each in configurations for webhook in each.get("webhooks") or []]
            found = [webhook for webhook in configured if webhooks.rules_match(webhook, *kind)]
            self._by_request_kind[kind] = found
        return found

    def _attributes(
        self,
        operation: str,
        resource: ResourceType,
        new: Json | None,
        old: Json | None,
        user: User,
        dry_run: bool,
        subresource: str | None,
    ) -> webhooks.AdmissionAttributes:
        metadata = (new or old or {})["metadata"]
        namespace = metadata.get("namespace", "")
        namespace_object = self._registry.find(ObjectRef(NAMESPACES, None, namespace)) if namespace else None
        if resource is NAMESPACES:
            namespace_object = new or old
        labels = ((namespace_object or {}).get("metadata") or {}).get("labels") or {}
        where = (subresource or "", namespace, metadata["name"])
        return webhooks.AdmissionAttributes(operation, resource, *where, new, old, user.to_json(), dry_run, labels)


async def _call_webhooks(found: Sequence[Json], request: webhooks.AdmissionAttributes) -> list[str]:
    """Call those of the webhooks that match the request; returns their warnings. Raises ApiError: one denies it."""
    matching = [webhook for webhook in found if webhooks.selectors_match(webhook, request)]
    matching = [webhook for webhook in matching if webhooks.conditions_match(webhook, request)]
    if not matching:
        return []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_review_with(webhook, request)) for webhook in matching]
    warnings: list[str] = []
    for task in tasks:
        if isinstance(answer := task.result(), ApiError):
            raise answer
        warnings += answer
    return warnings


async def _review_with(webhook: Json, request: webhooks.AdmissionAttributes) -> Sequence[str] | ApiError:
    """Call one webhook: its warnings, or the error that ends the request."""
    uid, name = str(uuid.uuid4()), webhook["name"]
    try:
        answer = await _post_review(webhook, webhooks.build_review(request, uid))
        return webhooks.parse_response(name, uid, answer)
    except ApiError as error:
        return error
    except (_WebhookCallError, webhooks.InvalidResponseError, ValueError) as error:
        return [] if webhook["failurePolicy"] == "Ignore" else webhooks.call_failed_error(name, str(error))


async def _post_review(webhook: Json, review: Json) -> Any:
    client, seconds = webhook["clientConfig"], webhook["timeoutSeconds"]
    if "url" not in client:
        service = client["service"]
        raise _WebhookCallError(
            f'failed to call webhook: service "{service.get("namespace")}/{service.get("name")}" not found: this '
            "cluster has no Services, give the webhook a url"
        )
    url = client["url"]
    try:
        trust = _ssl_context(client.get("caBundle", ""))
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession() as session,
            session.post(
                url, params={"timeout": f"{seconds}s"}, json=review, ssl=trust, allow_redirects=False
            ) as answer,
        ):
            if answer.status != 200:
                raise _WebhookCallError(f"failed to call webhook: the server answered {answer.status} to Post {url}")
            data = await answer.content.read(_MAX_RESPONSE_BYTES + 1)
            while len(data) <= _MAX_RESPONSE_BYTES and (more := await answer.content.read(_MAX_RESPONSE_BYTES)):
                data += more
    except TimeoutError:
        raise _WebhookCallError(
            f'failed to call webhook: Post "{url}?timeout={seconds}s": context deadline exceeded'
        ) from None
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        why = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else error
        raise _WebhookCallError(f'failed to call webhook: Post "{url}?timeout={seconds}s": {why}') from None
    if len(data) > _MAX_RESPONSE_BYTES:
        raise _WebhookCallError(f"failed to call webhook: the answer is larger than {_MAX_RESPONSE_BYTES} bytes")
    return json.loads(data)


@lru_cache(maxsize=64)
def _ssl_context(bundle: str) -> ssl.SSLContext:
    """Verifies the webhook's certificate by its CA bundle, or without one by the machine's authorities."""
    if not bundle:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode("ascii", "replace"))
