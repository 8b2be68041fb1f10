"""What a Job needs next: a pure function of the Job, its pods and the time. Rules: the Job controller of Kubernetes.

Covered: completions and parallelism (also without completions: a work queue),
Indexed completion, backoffLimit with the growing delay between failures and its
form per index, restarts in place, podFailurePolicy, successPolicy,
activeDeadlineSeconds, ttlSecondsAfterFinished, suspend, podReplacementPolicy,
managedBy. What counts is `embedded.controllers.job.tracking`'s to say.
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
"""Pods that are made in one go: others want their turn in between."""
_FINAL_CONDITIONS = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}
JobOutcome = tuple[str, str, str]
"""Condition type, reason, message."""


@dataclass(frozen=True)
class NewPod:
    """A pod to make: for an index, if the Job has them, after so many counted and ignored failures of that index."""

    index: int | None = None
    failures: tuple[int, int] | None = None


@dataclass(frozen=True)
class JobDecision:
    """In this order: make pods; end pods, which count (`delete`) or do not (`discard`); write the new status, if it is
    another; let the finalizer of pods go that have counted (`release`).

    `remove`: the Job itself is to go (its time to live is over). `look_again`: seconds until something is due; what
    follows from the pods or the status that are written by this decision is to be looked at in any case.
    """

    create: tuple[NewPod, ...] = ()
    delete: tuple[str, ...] = ()
    discard: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    status: Json | None = None
    remove: bool = False
    requeue_after: float | None = None


def sync_job(job: Json, pods: Sequence[Json], now: datetime, stamp: str) -> JobDecision:
    """What to do for a Job. `stamp` is `now` in the form of a metav1.Time."""
    if job["spec"].get("managedBy") not in (None, JOB_CONTROLLER_NAME):
        return JobDecision()
    status: Json = job.get("status") or {}
    conditions: list[Json] = list(status.get("conditions") or [])
    if "deletionTimestamp" in job["metadata"]:
        return JobDecision(release=_names([pod for pod in pods if is_tracked(pod)]))
    done = true_condition(conditions, "Complete") or true_condition(conditions, "Failed")
    if done is not None:
        return _sync_finished(job, pods, done, now)
    found = count_pods(job, pods)
    target = next((c for kind in _FINAL_CONDITIONS if (c := true_condition(conditions, kind))), None)
    verdict = (
        (target["type"], target["reason"], target["message"]) if target else _decide_outcome(job, pods, found, now)
    )
    if verdict is not None:
        return _finish(job, conditions, found, verdict, stamp)
    if job["spec"].get("suspend"):
        new = _build_status(job, found, set_suspended(conditions, True, stamp), active=0)
        return JobDecision(discard=_names(found.active), release=found.release, status=_if_changed(status, new))
    return _sync_active(job, conditions, found, now, stamp)


def true_condition(conditions: Sequence[Json], kind: str) -> Json | None:
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _sync_active(job: Json, conditions: list[Json], found: PodCounts, now: datetime, stamp: str) -> JobDecision:
    status: Json = job.get("status") or {}
    resumed = true_condition(conditions, "Suspended") is not None
    if resumed:
        conditions = set_suspended(conditions, False, stamp)
    wanted, surplus, delay = _plan_pods(job, found, now)
    if len(wanted) > _MAX_PODS_PER_SYNC:
        wanted, delay = wanted[:_MAX_PODS_PER_SYNC], 0.0
    new = _build_status(job, found, conditions, active=len(found.active) + len(wanted) - len(surplus))
    if resumed or "startTime" not in new:
        # The time that a Job was suspended does not count against its deadline.
        new["startTime"] = stamp
    waits = [delay, _time_to_deadline(job, new, now)]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    return JobDecision(
        create=wanted,
        discard=_names(surplus),
        release=found.release,
        status=_if_changed(status, new),
        requeue_after=soonest,
    )


def _decide_outcome(job: Json, pods: Sequence[Json], found: PodCounts, now: datetime) -> JobOutcome | None:
    """How the Job ends, when that is clear."""
    spec = job["spec"]
    for pod in pods:
        match = pod_failure_policy.match_failure_policy(job, pod) if is_tracked(pod) else None
        if match is not None and match.action == "FailJob":
            return "FailureTarget", "PodFailurePolicy", match.message
    if found.failures > spec["backoffLimit"] or _restart_limit_reached(job, found):
        return "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    left = _time_to_deadline(job, job.get("status") or {}, now)
    if left is not None and left <= 0 and not spec.get("suspend"):
        return "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
    if found.indexes is not None and (verdict := _decide_indexed_outcome(job, found)) is not None:
        return verdict
    completions = spec.get("completions")
    worked_off = completions is None and found.succeeded > 0 and not found.active
    if worked_off or (completions is not None and found.succeeded >= completions):
        return "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def _decide_indexed_outcome(job: Json, found: PodCounts) -> JobOutcome | None:
    assert found.indexes is not None
    indexes, most = found.indexes, job["spec"].get("maxFailedIndexes")
    if most is not None and len(indexes.failed) > most:
        why = "Job has exceeded the specified maximal number of failed indexes"
        return "FailureTarget", "MaxFailedIndexesExceeded", why
    if indexes.failed and len(indexes.failed) + len(indexes.succeeded) >= indexes.completions:
        return "FailureTarget", "FailedIndexes", "Job has failed indexes"
    if rule := pod_failure_policy.match_success_policy(job, indexes.succeeded):
        return "SuccessCriteriaMet", "SuccessPolicy", rule
    return None


def _restart_limit_reached(job: Json, found: PodCounts) -> bool:
    """With restartPolicy OnFailure the restarts in place count too."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    limit = job["spec"]["backoffLimit"]
    restarts = sum(int(s.get("restartCount", 0)) for pod in found.active for s in container_states(pod))
    return restarts > 0 and restarts >= limit


def _time_to_deadline(job: Json, status: Json, now: datetime) -> float | None:
    deadline, started = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    if deadline is None or not started:
        return None
    # Beyond a thousand years it is all the same, and dates end.
    return (datetime.fromisoformat(started) + timedelta(seconds=min(deadline, _MAX_DEADLINE)) - now).total_seconds()


def _finish(job: Json, conditions: list[Json], found: PodCounts, verdict: JobOutcome, stamp: str) -> JobDecision:
    """End the Job: at once when no pod is left and all have counted, otherwise once that is so."""
    target, reason, message = verdict
    status: Json = job.get("status") or {}
    held = found.indexes.delayed.values() if found.indexes is not None else ()
    release = (*found.release, *(pod["metadata"]["name"] for pod in held))
    over = not (found.active or found.terminating or found.uncounted or release)
    known = {c["type"]: c for c in conditions}
    names = (target, _FINAL_CONDITIONS[target]) if over else (target,)
    kept = [c for c in conditions if c["type"] not in names]
    added = [known.get(name) or _new_condition(name, reason, message, stamp) for name in names]
    new = _build_status(job, found, kept + added, active=0) | {"ready": 0}
    new["startTime"] = status.get("startTime", stamp)
    new["terminating"] = found.terminating + len(found.active)
    if held:
        # No successor is to come: what they were held for counts now.
        new["uncountedTerminatedPods"] = {
            **found.uncounted,
            "failed": [*found.uncounted.get("failed", ()), *(pod["metadata"]["uid"] for pod in held)],
        }
    if over and target == "SuccessCriteriaMet":
        new["completionTime"] = stamp
    # Its time to live begins now.
    again = 0.0 if over else None
    return JobDecision(
        delete=_names(found.active), release=release, status=_if_changed(status, new), requeue_after=again
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


def _build_status(job: Json, found: PodCounts, conditions: Sequence[Json], *, active: int) -> Json:
    """A status: what has counted, and what goes on."""
    status: Json = job.get("status") or {}
    new: Json = {"ready": found.ready, "terminating": found.terminating, "uncountedTerminatedPods": found.uncounted}
    succeeded = found.counted_succeeded if found.indexes is None else found.succeeded
    numbers = (("active", active), ("succeeded", succeeded), ("failed", found.counted_failed))
    new |= {name: number for name, number in numbers if number}
    if found.indexes is not None:
        if found.indexes.succeeded:
            new["completedIndexes"] = format_indexes(found.indexes.succeeded)
        if job["spec"].get("backoffLimitPerIndex") is not None:
            new["failedIndexes"] = format_indexes(found.indexes.failed)
    if conditions:
        new["conditions"] = list(conditions)
    if status.get("startTime"):
        new["startTime"] = status["startTime"]
    return new


def _if_changed(old: Json, new: Json) -> Json | None:
    return None if new == old else new


def _names(pods: Sequence[Json]) -> tuple[str, ...]:
    return tuple(pod["metadata"]["name"] for pod in pods)


def _plan_pods(job: Json, found: PodCounts, now: datetime) -> tuple[tuple[NewPod, ...], Sequence[Json], float | None]:
    """The pods to make now, those that are too many, and in how many seconds to look again when a delay runs."""
    spec = job["spec"]
    completions, limit = spec.get("completions"), int(spec["parallelism"])
    if completions is not None:
        done = found.succeeded + (len(found.indexes.failed) if found.indexes else 0)
        limit = min(limit, max(0, completions - done))
    elif found.succeeded:
        # A work queue: the first success says that there is no more work to give out.
        limit = min(limit, len(found.active))
    surplus = _surplus_pods(found, limit)
    if surplus:
        return (), surplus, None
    occupied = len(found.active)
    if spec.get("podReplacementPolicy") == "Failed":
        occupied += found.terminating
    missing = max(0, limit - occupied)
    if not missing:
        return (), (), None
    if found.indexes is not None and spec.get("backoffLimitPerIndex") is not None:
        return _plan_indexed_pods(job, found, missing, now)
    failures, last = found.consecutive_failures
    if (left := _backoff_left(failures, last, now)) > 0:
        return (), (), left
    if found.indexes is None:
        return (NewPod(),) * min(missing, _MAX_PODS_PER_SYNC + 1), (), None
    return (
        tuple(
            NewPod(index)
            for index in islice(
                pending_indexes(completions, _taken_indexes(found)), min(missing, _MAX_PODS_PER_SYNC + 1)
            )
        ),
        (),
        None,
    )


def _surplus_pods(found: PodCounts, limit: int) -> Sequence[Json]:
    """Active pods that are too many: of two for one index the later, then those that have done least."""
    twice: list[Json] = []
    kept: dict[Any, Json] = {}
    for pod in found.active:
        index = index_of(pod, found.indexes.completions) if found.indexes is not None else pod["metadata"]["name"]
        done = found.indexes is not None and (index is None or index in found.indexes.succeeded | found.indexes.failed)
        if done or index in kept:
            twice.append(pod)
        else:
            kept[index] = pod
    # Of pods that have done as much, those with the highest index.
    rest = sorted(kept.values(), key=lambda pod: (is_ready(pod), phase(pod) == "Running", -_index_order(pod, found)))
    return twice + rest[: max(0, len(kept) - limit)]


def _index_order(pod: Json, found: PodCounts) -> int:
    return (index_of(pod, found.indexes.completions) or 0) if found.indexes is not None else 0


def _taken_indexes(found: PodCounts) -> frozenset[int]:
    """Indexes that are done, or that a pod works on."""
    assert found.indexes is not None
    indexes = found.indexes
    busy = {index_of(pod, indexes.completions) for pod in (*found.active, *found.blocking_replacement)}
    return indexes.succeeded | indexes.failed | {index for index in busy if index is not None}


def _plan_indexed_pods(
    job: Json, found: PodCounts, missing: int, now: datetime
) -> tuple[tuple[NewPod, ...], Sequence[Json], float | None]:
    """Each index waits for itself after a failure."""
    assert found.indexes is not None
    made: list[NewPod] = []
    soonest: float | None = None
    for index in pending_indexes(found.indexes.completions, _taken_indexes(found)):
        before = found.indexes.delayed.get(index)
        counted, ignored = (0, 0) if before is None else _failures_with(job, before)
        left = 0.0 if before is None else _backoff_left(counted + ignored, finished_at(before), now)
        if left > 0:
            soonest = left if soonest is None else min(soonest, left)
        else:
            made.append(NewPod(index, (counted, ignored)))
            if len(made) == min(missing, _MAX_PODS_PER_SYNC + 1):
                break
    return tuple(made), (), soonest


def _failures_with(job: Json, pod: Json) -> tuple[int, int]:
    """(counted, ignored) failures of a pod's index, this one included."""
    counted, ignored = index_failures(pod)
    match = pod_failure_policy.match_failure_policy(job, pod)
    return (counted, ignored + 1) if match is not None and match.action == "Ignore" else (counted + 1, ignored)


def _backoff_left(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds until the next pod may follow after so many failures in a row."""
    if not failures or last is None:
        return 0.0
    # Beyond so many doublings it is the longest one, so the power is kept small.
    backoff: float = min(_MIN_BACKOFF * 2 ** min(failures - 1, 10), _MAX_BACKOFF)
    return backoff - (now - last).total_seconds()


def _sync_finished(job: Json, pods: Sequence[Json], done: Json, now: datetime) -> JobDecision:
    release = _names([pod for pod in pods if is_tracked(pod)])
    keep = job["spec"].get("ttlSecondsAfterFinished")
    if keep is None:
        return JobDecision(release=release)
    left = keep - (now - datetime.fromisoformat(done["lastTransitionTime"])).total_seconds()
    return JobDecision(release=release, remove=left <= 0, requeue_after=left if left > 0 else None)
