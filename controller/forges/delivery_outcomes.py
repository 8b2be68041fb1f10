"""Completes the deliveries in the status of connections: why a pipeline of the repository did not run.

The receiver answers before the repository is cloned. What became of the run is known to the operator later, and the run
may be deleted long before its delivery leaves the list.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from controller.kube import REPOSITORY_CONNECTIONS, Informer, KubeClient, KubeError, NotFoundError, WorkQueue
from controller.run_types.reasons import RunReason

Json = dict[str, Any]
ConnectionKey = tuple[str, str]

_OUTCOMES: Mapping[str, str] = {RunReason.NOT_TRIGGERED: "Ignored", RunReason.INVALID_PIPELINE: "Refused"}
"""What a delivery has come to whose only run ended with this reason."""
_MAX_REASON = 1000
_log = logging.getLogger("c8s.forges")


class DeliveryOutcomes:
    """Runs in the leading operator.

    Args:
        runs, connections: informers, which the caller runs.
    """

    def __init__(self, client: KubeClient, runs: Informer, connections: Informer) -> None:
        self._client = client
        self._runs = runs
        self._connections = connections
        self._queue: WorkQueue[ConnectionKey] = WorkQueue(fairness_key=lambda key: key[0])
        self._is_watching = False

    async def run(self) -> None:
        """Run until cancelled."""
        if not self._is_watching:
            # Handlers can't be removed: a process that leads again has its handlers already.
            self._runs.on_change(self._on_run)
            self._connections.on_change(self._on_connection)
            self._is_watching = True
        await self._runs.wait_for_sync()
        await self._connections.wait_for_sync()
        for connection in self._connections.list():
            self._on_connection("ADDED", None, connection)
        while True:
            await self._complete_next()

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        if new is None or (new.get("status") or {}).get("reason") not in _OUTCOMES:
            return
        if name := (new["spec"].get("trigger") or {}).get("connection"):
            self._queue.add((new["metadata"]["namespace"], str(name)))

    def _on_connection(self, kind: str, old: Json | None, new: Json | None) -> None:
        # Also by the receiver, which lists a delivery a moment after its run was created.
        if new is not None and (new.get("status") or {}).get("deliveries"):
            self._queue.add((new["metadata"]["namespace"], new["metadata"]["name"]))

    async def _complete_next(self) -> None:
        key = await self._queue.get()
        try:
            await self._complete(key)
            self._queue.forget(key)
        except KubeError as error:
            _log.info("the deliveries of connection %s/%s were not completed: %s", *key, error)
            self._queue.add_rate_limited(key)
        finally:
            self._queue.done(key)

    async def _complete(self, key: ConnectionKey) -> None:
        connection = self._connections.get(*key)
        if connection is None:
            return
        metadata = connection["metadata"]
        listed = (connection.get("status") or {}).get("deliveries") or []
        wanted = [self._completed(each, key[0], metadata) for each in listed]
        if wanted == listed:
            return
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {"deliveries": wanted}}
        try:
            await self._client.patch(REPOSITORY_CONNECTIONS, key[1], patch, namespace=key[0], subresource="status")
        except NotFoundError:
            return

    def _completed(self, delivery: Json, namespace: str, metadata: Json) -> Json:
        """The delivery with what its runs say that have ended without a step of their pipeline."""
        names = delivery.get("runs") or []
        said = []
        for name in names:
            run = self._runs.get(namespace, name)
            if run is None or (run["spec"].get("trigger") or {}).get("connectionUid") != metadata["uid"]:
                continue
            status = run.get("status") or {}
            if status.get("createdBy") and status.get("reason") in _OUTCOMES:
                said.append((str(status["reason"]), str(status.get("message") or "")))
        reason = str(delivery.get("reason") or "")
        new = [message for _, message in said if message and message[:_MAX_REASON] not in reason]
        if not new:
            return delivery
        outcome = _OUTCOMES[said[0][0]] if len(names) == 1 else delivery["outcome"]
        return {
            **delivery,
            "outcome": outcome,
            "reason": "; ".join([*([reason] if reason else []), *new])[:_MAX_REASON],
        }
