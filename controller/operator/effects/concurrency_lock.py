"""Whose turn it is in a concurrency group: a Lease for each group, in the controller's own namespace.

Two operators for a moment, or one with an old picture of the cluster, must not let two runs of a group go on side by
side. So it is not what an operator has seen that lets a run begin, but the Lease that names the run, which the API
server changes for one writer at a time. It passes on once the run that has it is over; nothing else ends it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from controller import labels
from controller.kube import LEASES, PIPELINE_RUNS, AlreadyExistsError, ConflictError, KubeClient, NotFoundError
from controller.operator.decision.concurrency import is_run_finished, pipeline_name

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 5


class ConcurrencyLock:
    """Gives the groups' Leases to runs.

    Args:
        namespace: where the Leases are.
        now: the wall clock, for the Lease's acquireTime.
    """

    def __init__(self, client: KubeClient, namespace: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now

    async def try_acquire(self, run: Json, group: str) -> str | None:
        """None once it is the run's turn; else the name of the run whose turn it is.

        Raises:
            KubeError: a request failed, or too many wanted the turn at once; ask again.
        """
        wanted = self._lease(run, group)
        name = wanted["metadata"]["name"]
        for _ in range(_MAX_ATTEMPTS):
            try:
                found = await self._client.get(LEASES, name, self._namespace)
            except NotFoundError:
                try:
                    await self._client.create(LEASES, wanted, self._namespace)
                except AlreadyExistsError:
                    continue
                return None
            holder = await self._holder(found)
            if holder is not None:
                return None if holder["metadata"]["uid"] == run["metadata"]["uid"] else str(holder["metadata"]["name"])
            metadata = {**wanted["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
            try:
                await self._client.update(LEASES, {**wanted, "metadata": metadata})
            except (ConflictError, NotFoundError):
                continue
            return None
        raise ConflictError(f"the Lease {name} of the group {group} is changed by others all the time", status=409)

    async def release_finished(self) -> int:
        """Remove the Leases whose runs are over; returns how many. Raises KubeError."""
        count = 0
        found = await self._client.list(LEASES, self._namespace, label_selector=labels.CONCURRENCY_GROUP)
        for lease in found["items"]:
            if await self._holder(lease) is not None:
                continue
            metadata = lease["metadata"]
            try:
                await self._client.delete(
                    LEASES,
                    metadata["name"],
                    namespace=self._namespace,
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                )
            except (NotFoundError, ConflictError):
                # Another run has its turn by now.
                continue
            count += 1
        return count

    async def _holder(self, lease: Json) -> Json | None:
        """The run that a Lease names, while it is not over."""
        namespace, _, name = str(lease["spec"].get("holderIdentity") or "").partition("/")
        if not name:
            return None
        try:
            run = await self._client.get(PIPELINE_RUNS, name, namespace)
        except NotFoundError:
            return None
        same = run["metadata"]["uid"] == (lease["metadata"].get("annotations") or {}).get(labels.RUN_UID)
        return run if same and not is_run_finished(run) else None

    def _lease(self, run: Json, group: str) -> Json:
        metadata = run["metadata"]
        words = "\0".join((metadata["namespace"], pipeline_name(run), group))
        return {
            "metadata": {
                "name": f"c8s-group-{hashlib.sha256(words.encode()).hexdigest()[:32]}",
                "namespace": self._namespace,
                "labels": {labels.MANAGED_BY: labels.MANAGER, labels.CONCURRENCY_GROUP: "true"},
                "annotations": {labels.RUN_UID: metadata["uid"], labels.GROUP: group},
            },
            "spec": {
                "holderIdentity": f"{metadata['namespace']}/{metadata['name']}",
                "acquireTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
