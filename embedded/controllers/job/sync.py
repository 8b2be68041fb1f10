"""Decides what a Job needs next: a pure function of the Job, its pods and the time.

The rules are those of Kubernetes' Job controller: completions and parallelism (without completions: a work queue),
Indexed completion, backoffLimit with an increasing delay and per index, restarts in place, podFailurePolicy,
successPolicy, activeDeadlineSeconds, ttlSecondsAfterFinished, suspend, podReplacementPolicy, managedBy. Pods are
counted by `embedded.controllers.job.tracking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from embedded.controllers.job import pod_failure_policy
from embedded.controllers.job.indexed import format_indexes, index_failures, index_of, pending_indexes
from embedded.controllers.job.tracking import (
    PodCounts,
    container_states,
    count_pods,
    finished_at,
    is_ready,
    is_tracked,
    phase,
)

Json = dict[str, Any]

JOB_CONTROLLER_NAME = "kubernetes.io/job-controller"
_MIN_BACKOFF, _MAX_BACKOFF = 10.0, 600.0
_MAX_DEADLINE = 1000 * 365 * 86400
_MAX_PODS_PER_SYNC = 100
"""Pods that are created before other tasks get to run."""
_FINAL_CONDITIONS = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


@dataclass(frozen=True)
class JobOutcome:
    """How a Job ends: the condition that announces its end."""

    condition: str
    """`SuccessCriteriaMet` or `FailureTarget`."""
    reason: str
    message: str


@dataclass(frozen=True)
class NewPod:
    """A pod to create."""

    index: int | None = None
    """The completion index, if the Job is Indexed."""
    failures: tuple[int, int] | None = None
    """(counted, ignored) failures of the index so far."""


@dataclass(frozen=True)
class PodPlan:
    """Which pods an active Job needs, and which it has too many."""

    create: tuple[NewPod, ...] = ()
    surplus: Sequence[Json] = ()
    retry_after: float | None = None
    """Seconds until the next pod may be created, if a back-off delays it."""


@dataclass(frozen=True)
class JobDecision:
    """Actions, to be executed in the order of the fields. Pods are named."""

    create: tuple[NewPod, ...] = ()
    delete: tuple[str, ...] = ()
    """Pods to delete, which count as failed."""
    discard: tuple[str, ...] = ()
    """Pods to delete, which do not count."""
    release: tuple[str, ...] = ()
    """Pods whose finalizer is removed after the status is written: they have been counted."""
    status: Json | None = None
    """The new status; None if it does not change."""
    remove: bool = False
    """Delete the Job: its time to live is over."""
    requeue_after: float | None = None
    """Seconds until the next sync; changes made by this decision cause one in any case."""


def sync_job(job: Json, pods: Sequence[Json], now: datetime, stamp: str) -> JobDecision:
    """Decide what to do for a Job. `stamp` is `now` as a metav1.Time."""
    if job["spec"].get("managedBy") not in (None, JOB_CONTROLLER_NAME):
        return JobDecision()
    status: Json = job.get("status") or {}
    conditions: list[Json] = list(status.get("conditions") or [])
    if "deletionTimestamp" in job["metadata"]:
        return JobDecision(release=_names([pod for pod in pods if is_tracked(pod)]))
    done = true_condition(conditions, "Complete") or true_condition(conditions, "Failed")
    if done is not None:
        return _sync_finished(job, pods, done, now)
    counts = count_pods(job, pods)
    target = next((c for kind in _FINAL_CONDITIONS if (c := true_condition(conditions, kind))), None)
    outcome = (
        JobOutcome(target["type"], target["reason"], target["message"])
        if target
        else _decide_outcome(job, pods, counts, now)
    )
    if outcome is not None:
        return _finish(job, conditions, counts, outcome, stamp)
    if job["spec"].get("suspend"):
        new = _build_status(job, counts, set_suspended(conditions, True, stamp), active=0)
        return JobDecision(discard=_names(counts.active), release=counts.release, status=_if_changed(status, new))
    return _sync_active(job, conditions, counts, now, stamp)


def true_condition(conditions: Sequence[Json], kind: str) -> Json | None:
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _sync_active(job: Json, conditions: list[Json], counts: PodCounts, now: datetime, stamp: str) -> JobDecision:
    status: Json = job.get("status") or {}
    resumed = true_condition(conditions, "Suspended") is not None
    if resumed:
        conditions = set_suspended(conditions, False, stamp)
    plan = _plan_pods(job, counts, now)
    new_pods, surplus, delay = plan.create, plan.surplus, plan.retry_after
    if len(new_pods) > _MAX_PODS_PER_SYNC:
        new_pods, delay = new_pods[:_MAX_PODS_PER_SYNC], 0.0
    new = _build_status(job, counts, conditions, active=len(counts.active) + len(new_pods) - len(surplus))
    if resumed or "startTime" not in new:
        # The time that a Job was suspended does not count against its deadline.
        new["startTime"] = stamp
    waits = [delay, _time_to_deadline(job, new, now)]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    return JobDecision(
        create=new_pods,
        discard=_names(surplus),
        release=counts.release,
        status=_if_changed(status, new),
        requeue_after=soonest,
    )


def _decide_outcome(job: Json, pods: Sequence[Json], counts: PodCounts, now: datetime) -> JobOutcome | None:
    """How the Job ends; None while that is undecided."""
    spec = job["spec"]
    for pod in pods:
        match = pod_failure_policy.match_failure_policy(job, pod) if is_tracked(pod) else None
        if match is not None and match.action == "FailJob":
            return JobOutcome("FailureTarget", "PodFailurePolicy", match.message)
    if counts.failures > spec["backoffLimit"] or _restart_limit_reached(job, counts):
        return JobOutcome("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = _time_to_deadline(job, job.get("status") or {}, now)
    if left is not None and left <= 0 and not spec.get("suspend"):
        return JobOutcome("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    if counts.indexes is not None and (outcome := _decide_indexed_outcome(job, counts)) is not None:
        return outcome
    completions = spec.get("completions")
    worked_off = completions is None and counts.succeeded > 0 and not counts.active
    if worked_off or (completions is not None and counts.succeeded >= completions):
        return JobOutcome("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def _decide_indexed_outcome(job: Json, counts: PodCounts) -> JobOutcome | None:
    assert counts.indexes is not None
    indexes, most = counts.indexes, job["spec"].get("maxFailedIndexes")
    if most is not None and len(indexes.failed) > most:
        why = "Job has exceeded the specified maximal number of failed indexes"
        return JobOutcome("FailureTarget", "MaxFailedIndexesExceeded", why)
    if indexes.failed and len(indexes.failed) + len(indexes.succeeded) >= indexes.completions:
        return JobOutcome("FailureTarget", "FailedIndexes", "Job has failed indexes")
    if rule := pod_failure_policy.match_success_policy(job, indexes.succeeded):
        return JobOutcome("SuccessCriteriaMet", "SuccessPolicy", rule)
    return None


def _restart_limit_reached(job: Json, counts: PodCounts) -> bool:
    """Whether restarts in place exceed the limit; they count with restartPolicy OnFailure."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    limit = job["spec"]["backoffLimit"]
    restarts = sum(int(s.get("restartCount", 0)) for pod in counts.active for s in container_states(pod))
    return restarts > 0 and restarts >= limit


def _time_to_deadline(job: Json, status: Json, now: datetime) -> float | None:
    deadline, started = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    if deadline is None or not started:
        return None
    # Capped at a thousand years, because datetime has a maximum.
    return (datetime.fromisoformat(started) + timedelta(seconds=min(deadline, _MAX_DEADLINE)) - now).total_seconds()


def _finish(job: Json, conditions: list[Json], counts: PodCounts, outcome: JobOutcome, stamp: str) -> JobDecision:
    """End the Job: at once if no pod is left and all are counted; until then, delete its pods."""
    target = outcome.condition
    status: Json = job.get("status") or {}
    held = counts.indexes.delayed.values() if counts.indexes is not None else ()
    release = (*counts.release, *(pod["metadata"]["name"] for pod in held))
    over = not (counts.active or counts.terminating or counts.uncounted or release)
    known = {c["type"]: c for c in conditions}
    names = (target, _FINAL_CONDITIONS[target]) if over else (target,)
    kept = [c for c in conditions if c["type"] not in names]
    added = [known.get(name) or _new_condition(name, outcome.reason, outcome.message, stamp) for name in names]
    new = _build_status(job, counts, kept + added, active=0) | {"ready": 0}
    new["startTime"] = status.get("startTime", stamp)
    new["terminating"] = counts.terminating + len(counts.active)
    if held:
        # They get no successor, so they are counted now.
        new["uncountedTerminatedPods"] = {
            **counts.uncounted,
            "failed": [*counts.uncounted.get("failed", ()), *(pod["metadata"]["uid"] for pod in held)],
        }
    if over and target == "SuccessCriteriaMet":
        new["completionTime"] = stamp
    # The time to live begins now.
    again = 0.0 if over else None
    return JobDecision(
        delete=_names(counts.active), release=release, status=_if_changed(status, new), requeue_after=again
    )


def _new_condition(kind: str, reason: str, message: str, stamp: str, status: str = "True") -> Json:
    times = {"lastProbeTime": stamp, "lastTransitionTime": stamp}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def set_suspended(conditions: list[Json], suspended: bool, stamp: str) -> list[Json]:
    if bool(true_condition(conditions, "Suspended")) == suspended:
        return conditions
    words = ("JobSuspended", "Job suspended", "True") if suspended else ("JobResumed", "Job resumed", "False")
    new = _new_condition("Suspended", words[0], words[1], stamp, words[2])
    if any(c["type"] == "Suspended" for c in conditions):
        return [new if c["type"] == "Suspended" else c for c in conditions]
    return [*conditions, new]


def _build_status(job: Json, counts: PodCounts, conditions: Sequence[Json], *, active: int) -> Json:
    """The new status: counts of finished and active pods, and conditions."""
    status: Json = job.get("status") or {}
    new: Json = {"ready": counts.ready, "terminating": counts.terminating, "uncountedTerminatedPods": counts.uncounted}
    succeeded = counts.counted_succeeded if counts.indexes is None else counts.succeeded
    numbers = (("active", active), ("succeeded", succeeded), ("failed", counts.counted_failed))
    new |= {name: number for name, number in numbers if number}
    if counts.indexes is not None:
        if counts.indexes.succeeded:
            new["completedIndexes"] = format_indexes(counts.indexes.succeeded)
        if job["spec"].get("backoffLimitPerIndex") is not None:
            new["failedIndexes"] = format_indexes(counts.indexes.failed)
    if conditions:
        new["conditions"] = list(conditions)
    if status.get("startTime"):
        new["startTime"] = status["startTime"]
    return new


def _if_changed(old: Json, new: Json) -> Json | None:
    return None if new == old else new


def _names(pods: Sequence[Json]) -> tuple[str, ...]:
    return tuple(pod["metadata"]["name"] for pod in pods)


def _plan_pods(job: Json, counts: PodCounts, now: datetime) -> PodPlan:
    limit = _pod_limit(job["spec"], counts)
    if surplus := _surplus_pods(counts, limit):
        return PodPlan(surplus=surplus)
    occupied = len(counts.active)
    if job["spec"].get("podReplacementPolicy") == "Failed":
        occupied += counts.terminating
    # One more than are created at once shows that more are needed.
    missing = min(max(0, limit - occupied), _MAX_PODS_PER_SYNC + 1)
    if not missing:
        return PodPlan()
    if counts.indexes is not None and job["spec"].get("backoffLimitPerIndex") is not None:
        return _plan_indexed_pods(job, counts, missing, now)
    failures, last = counts.consecutive_failures
    if (left := _backoff_left(failures, last, now)) > 0:
        return PodPlan(retry_after=left)
    if counts.indexes is None:
        return PodPlan((NewPod(),) * missing)
    indexes = islice(pending_indexes(counts.indexes.completions, _taken_indexes(counts)), missing)
    return PodPlan(tuple(NewPod(index) for index in indexes))


def _pod_limit(spec: Json, counts: PodCounts) -> int:
    """How many pods may be active."""
    completions, parallelism = spec.get("completions"), int(spec["parallelism"])
    if completions is not None:
        done = counts.succeeded + (len(counts.indexes.failed) if counts.indexes else 0)
        return min(parallelism, max(0, int(completions) - done))
    # A work queue: the first success means that no work is left.
    return min(parallelism, len(counts.active)) if counts.succeeded else parallelism


def _surplus_pods(counts: PodCounts, limit: int) -> Sequence[Json]:
    """Surplus active pods: of two for one index the later one, then those that have made least progress."""
    twice: list[Json] = []
    kept: dict[Any, Json] = {}
    for pod in counts.active:
        index = index_of(pod, counts.indexes.completions) if counts.indexes is not None else pod["metadata"]["name"]
        done = counts.indexes is not None and (
            index is None or index in counts.indexes.succeeded | counts.indexes.failed
        )
        if done or index in kept:
            twice.append(pod)
        else:
            kept[index] = pod
    # Of pods with equal progress, those with the highest index.
    rest = sorted(kept.values(), key=lambda pod: (is_ready(pod), phase(pod) == "Running", -_index_order(pod, counts)))
    return twice + rest[: max(0, len(kept) - limit)]


def _index_order(pod: Json, counts: PodCounts) -> int:
    return (index_of(pod, counts.indexes.completions) or 0) if counts.indexes is not None else 0


def _taken_indexes(counts: PodCounts) -> frozenset[int]:
    """Indexes that are done or have an active pod."""
    assert counts.indexes is not None
    indexes = counts.indexes
    busy = {index_of(pod, indexes.completions) for pod in (*counts.active, *counts.blocking_replacement)}
    return indexes.succeeded | indexes.failed | {index for index in busy if index is not None}


def _plan_indexed_pods(job: Json, counts: PodCounts, missing: int, now: datetime) -> PodPlan:
    """Like `_plan_pods`, with a back-off for each index."""
    assert counts.indexes is not None
    new_pods: list[NewPod] = []
    soonest: float | None = None
    for index in pending_indexes(counts.indexes.completions, _taken_indexes(counts)):
        before = counts.indexes.delayed.get(index)
        counted, ignored = (0, 0) if before is None else _failures_with(job, before)
        left = 0.0 if before is None else _backoff_left(counted + ignored, finished_at(before), now)
        if left > 0:
            soonest = left if soonest is None else min(soonest, left)
        else:
            new_pods.append(NewPod(index, (counted, ignored)))
            if len(new_pods) == missing:
                break
    return PodPlan(tuple(new_pods), retry_after=soonest)


def _failures_with(job: Json, pod: Json) -> tuple[int, int]:
    """(counted, ignored) failures of a pod's index, including this pod."""
    counted, ignored = index_failures(pod)
    match = pod_failure_policy.match_failure_policy(job, pod)
    return (counted, ignored + 1) if match is not None and match.action == "Ignore" else (counted + 1, ignored)


def _backoff_left(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds until the next pod may be created after consecutive failures."""
    if not failures or last is None:
        return 0.0
    # After so many doublings the maximum applies, so the exponent is capped.
    backoff: float = min(_MIN_BACKOFF * 2 ** min(failures - 1, 10), _MAX_BACKOFF)
    return backoff - (now - last).total_seconds()


def _sync_finished(job: Json, pods: Sequence[Json], done: Json, now: datetime) -> JobDecision:
    release = _names([pod for pod in pods if is_tracked(pod)])
    keep = job["spec"].get("ttlSecondsAfterFinished")
    if keep is None:
        return JobDecision(release=release)
    left = keep - (now - datetime.fromisoformat(done["lastTransitionTime"])).total_seconds()
    return JobDecision(release=release, remove=left <= 0, requeue_after=left if left > 0 else None)
