"""The status of connections: the last deliveries with what came of each, whether they can be verified, and the URL.

Deliveries are written a moment after they were answered, those of one connection together: the runs are what must not
be lost, and they exist by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.kube import REPOSITORY_CONNECTIONS, ConflictError, KubeClient, KubeError, NotFoundError
from controller.run_types.patterns import MAX_DELIVERIES
from controller.webhooks.connection import Connection

if TYPE_CHECKING:
    from controller.run_types.connections import Delivery

Json = dict[str, Any]

WRITE_SECONDS = 0.2
"""How long further deliveries are collected before they are written."""
_ATTEMPTS = 5
_MAX_PENDING = 1_000
_log = logging.getLogger("c8s.webhooks")


class DeliveryHistory:
    """Writes the statuses of connections.

    Args:
        now: the wall clock.
        webhook_url: returns the URL to give to the forge.
    """

    def __init__(
        self, client: KubeClient, now: Callable[[], datetime], webhook_url: Callable[[Connection], str]
    ) -> None:
        self._client = client
        self._now = now
        self._webhook_url = webhook_url
        self._deliveries: dict[tuple[str, str, str], list[Delivery]] = {}
        self._problems: dict[tuple[str, str, str], str] = {}
        self._changed = asyncio.Event()

    def record(self, connection: Connection, delivery: Delivery) -> None:
        """Add a delivery to those of the connection."""
        pending = self._deliveries.setdefault(_key(connection), [])
        pending.insert(0, delivery)
        del pending[MAX_DELIVERIES:]
        while len(self._deliveries) > _MAX_PENDING:
            del self._deliveries[next(iter(self._deliveries))]
        self._changed.set()

    def report(self, connection: Connection, problem: str) -> None:
        """Say whether deliveries of the connection can be verified; `problem` is empty if so."""
        self._problems[_key(connection)] = problem
        self._changed.set()

    async def run(self) -> None:
        """Write what is recorded until cancelled, and then what is left."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(WRITE_SECONDS)
                self._changed.clear()
                await self.flush()
        except asyncio.CancelledError:
            async with asyncio.timeout(2):
                await self.flush()
            raise

    async def flush(self) -> None:
        """Write everything that is recorded by now. What can't be written is logged and dropped."""
        deliveries, self._deliveries = self._deliveries, {}
        problems, self._problems = self._problems, {}
        for key in {**deliveries, **problems}:
            try:
                await self._write(key, deliveries.get(key, []), problems.get(key))
            except NotFoundError:
                continue
            except KubeError as error:
                _log.warning("the status of connection %s/%s was not written: %s", key[0], key[1], error)

    async def _write(self, key: tuple[str, str, str], deliveries: list[Delivery], problem: str | None) -> None:
        namespace, name, uid = key
        for _ in range(_ATTEMPTS):
            found = await self._client.get(REPOSITORY_CONNECTIONS, name, namespace)
            if found["metadata"]["uid"] != uid:
                return
            status = self._status(found, deliveries, problem)
            if status == (found.get("status") or {}):
                return
            patch = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "status": status}
            try:
                await self._client.patch(REPOSITORY_CONNECTIONS, name, patch, namespace=namespace, subresource="status")
            except ConflictError:
                # Another replica has written deliveries of its own.
                continue
            return
        raise ConflictError("it keeps being changed by others", status=409)

    def _status(self, obj: Json, deliveries: list[Delivery], problem: str | None) -> Json:
        status = dict(obj.get("status") or {})
        status["webhookUrl"] = self._webhook_url(Connection.of(obj))
        if deliveries:
            replaced = {(each["id"], each.get("replayed")) for each in deliveries}
            kept = [d for d in status.get("deliveries") or [] if (d["id"], d.get("replayed")) not in replaced]
            status["deliveries"] = [*deliveries, *kept][:MAX_DELIVERIES]
        if problem is not None:
            status["observedGeneration"] = obj["metadata"].get("generation", 1)
            status["conditions"] = [self._condition(obj, problem)]
        return status

    def _condition(self, obj: Json, problem: str) -> Json:
        value = "False" if problem else "True"
        before = next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == "Ready"), None)
        since = (
            before["lastTransitionTime"]
            if before and before.get("status") == value and before.get("lastTransitionTime")
            else self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        )
        return {
            "type": "Ready",
            "status": value,
            "reason": "SecretMissing" if problem else "Ready",
            "message": problem or "deliveries can be verified",
            "lastTransitionTime": since,
            "observedGeneration": obj["metadata"].get("generation", 1),
        }


def _key(connection: Connection) -> tuple[str, str, str]:
    return connection.namespace, connection.name, connection.uid
