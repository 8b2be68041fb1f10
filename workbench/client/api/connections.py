"""Connections to forges: set, list, delete, and deliveries that are handled again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.client.api.base import ApiCalls
from workbench.client.connections import Connection, DeliveryOutcome, decode_connection, decode_outcome


class ConnectionCalls(ApiCalls):
    """The calls below `/connections`."""

    async def connections(self) -> tuple[Connection, ...]:
        """The connections of the namespace, by name, with their last deliveries."""
        items = await self._get_items(self._path("connections"), "list the connections")
        return tuple(decode_connection(each) for each in items)

    async def connection(self, name: str) -> Connection:
        """One connection."""
        path = self._path("connections", name)
        return decode_connection(await self._get_object(path, f"find connection {name}"))

    async def put_connection(self, name: str, document: Mapping[str, Any]) -> Connection:
        """Create or replace a connection. Raises InvalidError."""
        action = f"set connection {name}"
        answer = await self._transport.call("PUT", self._path("connections", name), action, document=dict(document))
        return decode_connection(self._as_object(answer, action))

    async def delete_connection(self, name: str) -> None:
        """Delete a connection and its secrets; its runs remain."""
        await self._transport.call("DELETE", self._path("connections", name), f"delete connection {name}")

    async def deliver(self, name: str, headers: Mapping[str, str], body: str) -> DeliveryOutcome:
        """Have a payload handled as if the forge had sent it to the connection."""
        path = self._path("connections", name, "deliveries")
        answer = await self._post(path, f"deliver to {name}", {"headers": dict(headers), "body": body})
        return decode_outcome(answer)

    async def replay(self, name: str, delivery: str) -> DeliveryOutcome:
        """Have a delivery of the connection's list handled again."""
        path = self._path("connections", name, "deliveries", delivery, "replay")
        return decode_outcome(await self._post(path, f"replay delivery {delivery}"))
