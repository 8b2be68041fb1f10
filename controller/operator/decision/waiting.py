"""Steps that wait for something outside of the run: admission by a queue of the cluster, or a node.

A Job is suspended until Kueue admits it (https://kueue.sigs.k8s.io). What it waits for is read from its Workload; what
an autoscaler does about a pod that no node takes, from the pod's Events. Both are read only while steps wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from controller.kube.event_order import event_order
from controller.operator.decision.actions import ReadWaiting
from controller.operator.decision.builder import DecisionBuilder
from controller.operator.decision.pods.status import conditions, queue_of
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_STEP_PHASES
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import AttemptStatus, StepStatus

Json = dict[str, Any]

READ_INTERVAL = timedelta(seconds=5)
MAX_PODS = 20
"""Pods whose Events are read at a time: each takes a request."""
_MAX_MESSAGE_LENGTH = 400
_SCALING = {
    "TriggeredScaleUp": "a node is being added for it",
    "NotTriggerScaleUp": "the autoscaler adds no node for it",
    "Nominated": "a node is being made ready for it",
}
"""Reasons of the Events of the cluster autoscaler and, the last one, of Karpenter."""


def request_reports(builder: DecisionBuilder) -> None:
    """Read what the steps that wait are waiting for, and again every few seconds."""
    suspended: list[tuple[AttemptKey, str, str]] = []
    pending: list[tuple[AttemptKey, str]] = []
    observation = builder.input.observation
    for status in builder.statuses.values():
        tried = status.get("attempts") or []
        if not tried or tried[-1]["phase"] in FINAL_STEP_PHASES:
            continue
        key = AttemptKey(status["slug"], tried[-1]["number"])
        view = observation.view(*key)
        if tried[-1]["reason"] == StepReason.WAITING_FOR_ADMISSION and view.job is not None:
            suspended.append((key, view.job["metadata"]["uid"], queue_of(view.job)))
        elif tried[-1]["reason"] == StepReason.UNSCHEDULABLE and view.pod is not None:
            pending.append((key, view.pod["metadata"]["uid"]))
    if not suspended and not pending:
        return
    pending = pending[:MAX_PODS]
    asked = {each[0] for each in (*suspended, *pending)}
    known = observation.waiting
    if not asked <= known.asked or observation.monotonic - known.read_at >= READ_INTERVAL.total_seconds():
        builder.act(ReadWaiting(tuple(suspended), tuple(pending)))
    builder.requeue_at(builder.input.now + READ_INTERVAL)


def describe_workload(workload: Json | None, queue: str) -> str:
    """What a suspended Job waits for, from its Workload, which Kueue may not have made yet."""
    where = f"the queue {queue}" if queue else "a queue of the cluster"
    if workload is None:
        return f"waits for admission to {where}: Kueue has not taken it up yet"
    found = {each.get("type"): each for each in conditions(workload)}
    status, spec = workload.get("status") or {}, workload.get("spec") or {}
    if spec.get("active") is False:
        return f"waits for admission to {where}: its Workload was deactivated; an administrator has to activate it"
    reserved = found.get("QuotaReserved") or {}
    if reserved.get("status") == "True":
        cluster_queue = (status.get("admission") or {}).get("clusterQueue", "")
        waiting = [each for each in status.get("admissionChecks") or () if each.get("state") != "Ready"]
        checks = "; ".join(
            f"{each.get('name')} is {each.get('state')}" + (f" ({each['message']})" if each.get("message") else "")
            for each in waiting
        )
        text = f"has quota in the ClusterQueue {cluster_queue}; " + (
            f"waits for checks: {checks}" if checks else "begins"
        )
        return text[:_MAX_MESSAGE_LENGTH]
    evicted = found.get("Evicted") or {}
    why = reserved.get("message") or (evicted.get("message") if evicted.get("status") == "True" else "")
    return f"waits for admission to {where}" + (f": {why}" if why else "")[:_MAX_MESSAGE_LENGTH]


def describe_scaling(events: Iterable[Json]) -> str:
    """What an autoscaler does about a pending pod, from its newest Event; empty if none does anything."""
    known = [each for each in events if each.get("reason") in _SCALING]
    if not known:
        return ""
    newest = max(known, key=event_order)
    message = str(newest.get("message") or "")
    return f"{_SCALING[newest['reason']]} ({newest['reason']}{f': {message}' if message else ''})"[:_MAX_MESSAGE_LENGTH]


def suspended_time(steps: Iterable[StepStatus], now: datetime) -> timedelta:
    """How long a run only waited for admission: no time limit counts that.

    A time in which another attempt ran, or waited for a node, counts.
    """
    waiting: list[tuple[datetime, datetime]] = []
    busy: list[tuple[datetime, datetime]] = []
    for step in steps:
        for attempt in step.get("attempts") or []:
            _add_intervals(attempt, now, waiting, busy)
    moments = sorted({moment for interval in (*waiting, *busy) for moment in interval})
    total = timedelta(0)
    for start, end in pairwise(moments):
        is_waiting = any(begin <= start and end <= until for begin, until in waiting)
        if is_waiting and not any(begin <= start and end <= until for begin, until in busy):
            total += end - start
    return total


def _add_intervals(
    attempt: AttemptStatus,
    now: datetime,
    waiting: list[tuple[datetime, datetime]],
    busy: list[tuple[datetime, datetime]],
) -> None:
    times = attempt["times"]
    created = datetime.fromisoformat(times["created"])
    finished = datetime.fromisoformat(times["finished"]) if times.get("finished") else now
    is_suspended_now = attempt["reason"] == StepReason.WAITING_FOR_ADMISSION
    admitted = datetime.fromisoformat(times["admitted"]) if times.get("admitted") else None
    if admitted is None and is_suspended_now:
        admitted = finished
    if admitted is None:
        admitted = created
    if created < admitted:
        waiting.append((created, admitted))
    if admitted < finished:
        busy.append((admitted, finished))
