"""Deletes the Jobs of attempts, and lets pods end. Doing it again is harmless: each request names the object's uid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.kube import JOBS, PODS, ConflictError, KubeClient, NotFoundError
from controller.operator.cache.run_state import RunState
from controller.operator.decision.actions import DeleteJob, StopPod, WithdrawJob
from controller.operator.decision.attempts import STOP_DEADLINE_SECONDS
from controller.operator.decision.pods.status import conditions
from controller.operator.gate import is_closed
from controller.run_types import summary
from controller.run_types.keys import AttemptKey

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_WITHDRAWALS = 5
"""Tries to delete a Job that is changed at the same time, by the Job controller as a rule."""


class JobRemover:
    """Deletes Jobs, and stops pods."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def withdraw(self, run: RunObject, state: RunState, action: WithdrawJob) -> None:
        """Delete a Job as long as its gate is closed: an opening at the same time wins."""
        namespace, version = run["metadata"]["namespace"], action.resource_version
        key = AttemptKey(action.slug, action.number)
        for _ in range(_WITHDRAWALS):
            try:
                await self._client.delete(
                    JOBS, action.name, namespace=namespace, uid=action.uid, resource_version=version
                )
                break
            except NotFoundError:
                break
            except ConflictError:
                try:
                    found = await self._client.get(JOBS, action.name, namespace)
                except NotFoundError:
                    break
                if found["metadata"]["uid"] != action.uid:
                    break
                if not is_closed(found):
                    state.observed.on_gate_opened(key, found)
                    return
                version = found["metadata"]["resourceVersion"]
        else:
            raise ConflictError(f"the Job {action.name} changes all the time", status=409)
        state.observed.on_job_withdrawn(key, action.name, action.uid)

    async def stop_pod(self, action: StopPod) -> None:
        """Let the kubelet stop a pod."""
        patch = {"metadata": {"uid": action.uid}, "spec": {"activeDeadlineSeconds": STOP_DEADLINE_SECONDS}}
        try:
            await self._client.patch(PODS, action.name, patch, namespace=action.namespace, patch_type="strategic")
        except (NotFoundError, ConflictError):
            # A conflict: another pod has that name now.
            _log.info("pod %s/%s no longer exists", action.namespace, action.name)

    async def delete(self, action: DeleteJob) -> bool:
        """Delete a Job, with its pod; returns whether it still existed."""
        try:
            await self._client.delete(JOBS, action.name, namespace=action.namespace, uid=action.uid)
        except (NotFoundError, ConflictError):
            # A conflict: another object has that name now.
            _log.info("job %s/%s no longer exists", action.namespace, action.name)
            return False
        return True

    async def delete_left(self, run: RunObject, found: Mapping[AttemptKey, Json]) -> None:
        """Delete what an ended run is not to have: Jobs at their gates, and those that go on and are no attempts.

        The request that made such a Job arrived after the run had ended: of an earlier process, or of this one.
        """
        steps = summary.status_of(run).get("steps") or () if found else ()
        recorded = {AttemptKey(step["slug"], each["number"]) for step in steps for each in step.get("attempts") or ()}
        for key, job in found.items():
            metadata = job["metadata"]
            is_unknown = key not in recorded and not _has_ended(job)
            if (is_unknown or is_closed(job)) and "deletionTimestamp" not in metadata:
                await self.delete(DeleteJob(metadata["namespace"], metadata["name"], metadata["uid"]))


def _has_ended(job: Json) -> bool:
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions(job))
