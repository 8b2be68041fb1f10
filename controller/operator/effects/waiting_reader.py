"""Reads what steps wait for outside of the run: the Workloads of suspended Jobs, and the Events of pending pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.kube import EARLIER_WORKLOADS, EVENTS, WORKLOADS, ApiError, KubeClient, NotFoundError
from controller.operator.decision.actions import ReadWaiting
from controller.operator.decision.observation import WaitingReports
from controller.operator.decision.waiting import describe_scaling, describe_workload
from controller.run_types.keys import AttemptKey

Json = dict[str, Any]

_JOB_UID = "kueue.x-k8s.io/job-uid"
_AT_ONCE = 50
"""Jobs that one request asks for: each uid has 36 characters, and a URL has a limit."""


async def read_waiting(client: KubeClient, namespace: str, action: ReadWaiting, monotonic: float) -> WaitingReports:
    """What the attempts of an action wait for. What can't be read is said in its place.

    Raises:
        UnreachableError: try again.
    """
    messages: dict[AttemptKey, str] = {}
    if action.suspended:
        messages |= await _read_workloads(client, namespace, action.suspended)
    for key, uid in action.pending:
        messages[key] = await _read_scaling(client, namespace, uid)
    asked = frozenset((*(key for key, _, _ in action.suspended), *(key for key, _ in action.pending)))
    return WaitingReports(messages, asked, monotonic)


async def _read_workloads(
    client: KubeClient, namespace: str, suspended: Sequence[tuple[AttemptKey, str, str]]
) -> dict[AttemptKey, str]:
    try:
        found: dict[str, Json] = {}
        for start in range(0, len(suspended), _AT_ONCE):
            uids = [uid for _, uid, _ in suspended[start : start + _AT_ONCE]]
            for each in await _list_workloads(client, namespace, f"{_JOB_UID} in ({','.join(uids)})"):
                found[(each["metadata"].get("labels") or {}).get(_JOB_UID, "")] = each
    except NotFoundError:
        why = "Kueue is not installed in this cluster, and nothing else will admit it; install it, or cancel the run"
        return {key: f"waits for admission{_to(queue)}, but {why}" for key, _, queue in suspended}
    except ApiError as error:
        why = f"its Workload can't be read: {error}"
        return {key: f"waits for admission{_to(queue)}; {why}" for key, _, queue in suspended}
    return {key: describe_workload(found.get(uid), queue) for key, uid, queue in suspended}


def _to(queue: str) -> str:
    return f" to the queue {queue}" if queue else ""


async def _list_workloads(client: KubeClient, namespace: str, selector: str) -> list[Json]:
    """The Workloads of Jobs. Raises NotFoundError if the cluster has no such resource in any version."""
    try:
        found = await client.list(WORKLOADS, namespace, label_selector=selector)
    except NotFoundError:
        found = await client.list(EARLIER_WORKLOADS, namespace, label_selector=selector)
    return list(found["items"])


async def _read_scaling(client: KubeClient, namespace: str, pod_uid: str) -> str:
    try:
        found = await client.list(EVENTS, namespace, field_selector=f"involvedObject.uid={pod_uid}")
    except ApiError as error:
        return f"its Events can't be read: {error}"
    return describe_scaling(found["items"])
