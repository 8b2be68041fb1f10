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

from embedded.api.scheme import NAMESPACES, VALIDATING_WEBHOOKS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import User
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry
from embedded.validation import webhooks

Json = dict[str, Any]

_MAX_RESPONSE_BYTES = 3 << 20


class _WebhookCallError(Exception):
    """A webhook could not be called, or its response can't be read; the message says why."""


class WebhookAdmission:
    """Reviews writes with the webhooks that are configured at the time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._configured: list[Json] | None = None
        registry.store.subscribe(
            lambda event: self._invalidate() if event.key.resource == VALIDATING_WEBHOOKS.key else None
        )

    def _invalidate(self) -> None:
        self._configured = None

    def is_configured(self) -> bool:
        """Whether there is any webhook."""
        return bool(self._webhooks())

    async def review(self, change: PreparedWrite, user: User) -> list[str]:
        """Review a create or update.

        Returns:
            The warnings of the webhooks.

        Raises:
            ApiError: a webhook denies it, or one with failurePolicy Fail can't be called.
        """
        if not self._webhooks() or (change.old is not None and change.old == change.new):
            return []
        operation, how = "UPDATE" if change.old else "CREATE", change.options
        return await self._call_webhooks(
            self._attributes(operation, change.resource, change.new, change.old, user, how.dry_run, how.subresource)
        )

    async def review_deletion(self, resource: ResourceType, obj: Json, user: User, dry_run: bool) -> list[str]:
        """Review a deletion; see `review`."""
        if not self._webhooks():
            return []
        return await self._call_webhooks(self._attributes("DELETE", resource, None, obj, user, dry_run, None))

    def _webhooks(self) -> list[Json]:
        if self._configured is None:
            found = self._registry.list(VALIDATING_WEBHOOKS)
            self._configured = [webhook for each in found for webhook in each.get("webhooks") or []]
        return self._configured

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

    async def _call_webhooks(self, request: webhooks.AdmissionAttributes) -> list[str]:
        if request.resource is VALIDATING_WEBHOOKS:
            # Otherwise a webhook that denies everything could never be removed.
            return []
        matching = [webhook for webhook in self._webhooks() if webhooks.matches_request(webhook, request)]
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
