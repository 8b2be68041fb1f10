"""The lock of a concurrency group: one Lease for each group, in the controller's own namespace.

Two operators at once, or one with a stale cache, must not run two runs of a group concurrently. So a run starts only
once the Lease names it, which the API server updates for one writer at a time. A run holds the lock until it ends.
The Lease names the run by its uid: another run of the same name neither holds the lock nor frees it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.kube import LEASES, PIPELINE_RUNS, AlreadyExistsError, ConflictError, KubeClient, NotFoundError
from controller.operator.decision.concurrency import is_run_finished, pipeline_name
from controller.operator.run_object import as_run
from controller.run_types.keys import RunKey

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 5


class ConcurrencyLock:
    """Acquires the Leases of concurrency groups for runs.

    Args:
        namespace: where the Leases are.
        now: the wall clock, for the Lease's acquireTime.
    """

    def __init__(self, client: KubeClient, namespace: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now

    async def try_acquire(self, run: RunObject, group: str) -> RunObject | None:
        """Acquire the lock for a run: None if it holds the lock now, else the run that does.

        Raises:
            KubeError: a request failed, or the Lease was changed too often meanwhile; try again.
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
                return None if holder["metadata"]["uid"] == run["metadata"]["uid"] else holder
            metadata = {**wanted["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
            try:
                await self._client.update(LEASES, {**wanted, "metadata": metadata})
            except (ConflictError, NotFoundError):
                continue
            return None
        raise ConflictError(f"the Lease {name} of the group {group} keeps being changed by others", status=409)

    async def release_finished(self) -> int:
        """Delete the Leases whose runs have ended; returns how many. Raises KubeError."""
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
                # Another run has acquired it meanwhile.
                continue
            count += 1
        return count

    async def _holder(self, lease: Json) -> RunObject | None:
        """The run that holds a Lease; None if that has ended."""
        key, uid = _holder_of(lease)
        if key is None:
            return None
        try:
            run = as_run(await self._client.get(PIPELINE_RUNS, key.name, key.namespace))
        except NotFoundError:
            return None
        return run if run["metadata"]["uid"] == uid and not is_run_finished(run) else None

    def _lease(self, run: RunObject, group: str) -> Json:
        metadata = run["metadata"]
        words = "\0".join((metadata["namespace"], pipeline_name(run), group))
        return {
            "metadata": {
                "name": f"c8s-group-{hashlib.sha256(words.encode()).hexdigest()[:32]}",
                "namespace": self._namespace,
                "labels": {labels.MANAGED_BY: labels.MANAGER, labels.CONCURRENCY_GROUP: "true"},
                "annotations": {labels.GROUP: group},
            },
            "spec": {
                "holderIdentity": f"{metadata['namespace']}/{metadata['name']}/{metadata['uid']}",
                "acquireTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }


def _holder_of(lease: Json) -> tuple[RunKey | None, str]:
    """The run that a Lease names, and its uid; None for no run. Older Leases have the uid as an annotation."""
    namespace, _, rest = str(lease["spec"].get("holderIdentity") or "").partition("/")
    name, _, uid = rest.partition("/")
    if not name:
        return None, ""
    annotations = lease["metadata"].get("annotations") or {}
    return RunKey(namespace, name), uid or str(annotations.get(labels.RUN_UID) or "")
