"""What every group of API calls shares: the transport, paths in the namespace and decoded answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench.client.errors import ServerError

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint
    from workbench.client.transport import Transport

CHUNK = 256 * 1024
"""Bytes that are sent, received or written at a time."""

Params = list[tuple[str, str]]


class ApiCalls:
    """Base of the API groups. `action` names a call in errors: "can't {action}: …"."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.namespace = endpoint.namespace
        self._endpoint = endpoint
        self._open_transport: Transport | None = None

    @property
    def _transport(self) -> Transport:
        if self._open_transport is None:
            raise RuntimeError("use the client inside `async with`")
        return self._open_transport

    def _path(self, *parts: str) -> str:
        """A path in the namespace."""
        return "/".join(("/api/v1/namespaces", quote_part(self.namespace), *(quote_part(part) for part in parts)))

    async def _get_object(self, path: str, action: str, params: Params | None = None) -> Mapping[str, Any]:
        return self._as_object(await self._transport.call("GET", path, action, params=params or ()), action)

    async def _get_items(self, path: str, action: str, params: Params | None = None) -> list[Mapping[str, Any]]:
        items = (await self._get_object(path, action, params)).get("items")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    async def _post(
        self, path: str, action: str, document: object = None, *, idempotency_key: str | None = None
    ) -> Mapping[str, Any]:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else None
        answer = await self._transport.call("POST", path, action, document=document, headers=headers)
        return self._as_object(answer, action)

    def _as_object(self, answer: object, action: str) -> Mapping[str, Any]:
        if not isinstance(answer, dict):
            raise ServerError(f"can't {action}: {self._endpoint.url} sent an answer that is not part of the API")
        return answer


def quote_part(part: str) -> str:
    """One part of a path, percent-encoded."""
    return quote(part, safe=":")


def to_params(**fields: object) -> Params:
    """Query parameters; fields that are None are left out."""
    return [(name, str(value)) for name, value in fields.items() if value is not None]
