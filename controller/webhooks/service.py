"""The role `webhook`: what it knows of the cluster, and the application that takes deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from controller.kube import PIPELINE_CONFIGS, REPOSITORY_CONNECTIONS, Informer, KubeClient, KubeError
from controller.provenance import DeliveryProofs
from controller.webhooks.admission import Admission
from controller.webhooks.app import PREFIX, WebhookApp
from controller.webhooks.connection import Connection
from controller.webhooks.history import DeliveryHistory
from controller.webhooks.providers import PROVIDERS
from controller.webhooks.receiver import Receiver
from controller.webhooks.run_creator import RunCreator
from controller.webhooks.secrets import SecretCache

CHECK_SECONDS = 60.0
"""How often the secrets of all connections are checked; one that changes is checked at once."""

Json = dict[str, Any]


def webhook_url(base: str, connection: Connection) -> str:
    """The URL to give to the forge. `base`: where the receiver is reached from outside."""
    path = PROVIDERS[connection.provider].path
    return f"{base.rstrip('/')}{PREFIX}{path}/{connection.namespace}/{connection.name}"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class WebhookService:
    """Any number of them may run. What they share is in the cluster.

    Args:
        key: the receiver's key, which signs the runs of deliveries.
        base_url: where forges reach the receiver.
    """

    def __init__(
        self,
        client: KubeClient,
        key: bytes,
        base_url: str,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = Informer(client, REPOSITORY_CONNECTIONS)
        self._pipelines = Informer(client, PIPELINE_CONFIGS)
        self._secrets = SecretCache(client, clock)
        self._history = DeliveryHistory(client, now, lambda connection: webhook_url(base_url, connection))
        self._synced = asyncio.Event()
        self._changed: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        creator = RunCreator(client, self._pipelines, DeliveryProofs(key))
        self._receiver = Receiver(self._connections, self._secrets, creator, self._history, now)
        self.app = WebhookApp(self._receiver, Admission(clock), self._synced)

    def not_ready_reason(self) -> str | None:
        """Why deliveries are not taken; None if they are."""
        if not self._synced.is_set():
            return "the connections have not been listed yet"
        return None if self._connections.healthy else "the watch of the connections is not up to date"

    def deliveries(self) -> Mapping[str, float]:
        """Deliveries since the start, by `provider/outcome`."""
        return {f"{provider}/{outcome}": float(count) for (provider, outcome), count in self._receiver.counts.items()}

    async def run(self) -> None:
        """Run until cancelled."""
        self._connections.on_change(self._on_connection)
        async with asyncio.TaskGroup() as group:
            for informer in (self._connections, self._pipelines):
                group.create_task(informer.run())
            group.create_task(self._history.run())
            await self._connections.wait_for_sync()
            await self._pipelines.wait_for_sync()
            self._synced.set()
            await self._check_secrets()

    def _on_connection(self, kind: str, old: Json | None, new: Json | None) -> None:
        if new is None or (old is not None and _generation(old) == _generation(new)):
            return
        self._changed.add((new["metadata"]["namespace"], new["metadata"]["name"]))
        self._wake.set()

    async def _check_secrets(self) -> None:
        """Keep the conditions of the connections up to date."""
        while True:
            changed, self._changed = self._changed, set()
            keys = changed or {
                (obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in self._connections.list()
            }
            for key in keys:
                await self._check_secret(key, is_changed=bool(changed))
            self._wake.clear()
            if self._changed:
                continue
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _check_secret(self, key: tuple[str, str], *, is_changed: bool) -> None:
        obj = self._connections.get(*key)
        if obj is None:
            return
        connection = Connection.of(obj)
        try:
            secret = await self._secrets.get(connection, **({"max_age": 0.0} if is_changed else {}))
        except KubeError as error:
            self._history.report(connection, f"the Secret {connection.webhook_secret} can't be read: {error}")
        else:
            self._history.report(connection, secret.problem)


def _generation(obj: Json) -> tuple[Any, Any]:
    return obj["metadata"]["uid"], obj["metadata"].get("generation")
