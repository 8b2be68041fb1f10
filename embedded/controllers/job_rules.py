"""What a Job needs next: a pure function of the Job, its pods and the time. Rules: the Job controller of Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]

_FIRST_BACKOFF, _LONGEST_BACKOFF = 10.0, 360.0


@dataclass(frozen=True)
class JobDecision:
    """`create`: pods to make now. `delete`: names of pods to end. `status`: the new status, if it is another.

    `remove`: the Job itself is to go (its time to live is over). `look_again`: seconds until something is due.
    """

    create: int = 0
    delete: tuple[str, ...] = ()
    status: Json | None = None
    remove: bool = False
    look_again: float | None = None


@dataclass(frozen=True)
class _Count:
    active: tuple[Json, ...]
    ready: int
    succeeded: int
    failed: int
    terminating: int
    last_failure: datetime | None


def decide(job: Json, pods: Sequence[Json], now: datetime, stamp: str) -> JobDecision:
    """What to do for a Job. `stamp` is `now` in the form of a metav1.Time."""
    status: Json = job.get("status") or {}
    conditions: list[Json] = list(status.get("conditions") or [])
    done = _condition(conditions, "Complete") or _condition(conditions, "Failed")
    if done is not None:
        return _after_the_end(job, status, done, pods, now)
    count = _count(pods)
    verdict = _verdict(job, status, count, now)
    if verdict is not None:
        return _finish(status, conditions, count, verdict, stamp)
    if job["spec"].get("suspend"):
        conditions = _set_suspended(conditions, True, stamp)
        new = {"conditions": conditions, **_counted(count, active=0)}
        doomed = tuple(pod["metadata"]["name"] for pod in count.active)
        return JobDecision(delete=doomed, status=_if_changed(status, new))
    if _condition(conditions, "Suspended"):
        conditions = _set_suspended(conditions, False, stamp)
    wanted, delay = _wanted(job, count, now)
    new = {"startTime": status.get("startTime", stamp), **_counted(count, active=len(count.active) + wanted)}
    if conditions:
        new["conditions"] = conditions
    return JobDecision(create=wanted, status=_if_changed(status, new), look_again=_soonest(job, new, now, delay))


def _condition(conditions: Sequence[Json], kind: str) -> Json | None:
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _count(pods: Sequence[Json]) -> _Count:
    def phase(pod: Json) -> str:
        return str(pod.get("status", {}).get("phase", "Pending"))

    ended = [pod for pod in pods if phase(pod) in ("Succeeded", "Failed")]
    terminating = [p for p in pods if p not in ended and "deletionTimestamp" in p["metadata"]]
    active = tuple(pod for pod in pods if pod not in ended and pod not in terminating)
    failed = [pod for pod in ended if phase(pod) == "Failed"]
    finished = [moment for pod in failed if (moment := _finished_at(pod)) is not None]
    ready = sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
        for pod in active
    )
    return _Count(active, ready, len(ended) - len(failed), len(failed), len(terminating), max(finished, default=None))


def _finished_at(pod: Json) -> datetime | None:
    times = [
        state["state"]["terminated"]["finishedAt"]
        for state in pod["status"].get("containerStatuses") or []
        if "terminated" in state.get("state", {})
    ]
    return max((datetime.fromisoformat(time) for time in times), default=None)


def _verdict(job: Json, status: Json, count: _Count, now: datetime) -> tuple[str, str, str] | None:
    """(condition type, reason, message) when the Job is over."""
    spec = job["spec"]
    if count.succeeded >= (spec.get("completions") or 1):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    restarts = sum(
        state.get("restartCount", 0) for pod in count.active for state in pod["status"].get("containerStatuses") or []
    )
    if count.failed > spec["backoffLimit"] or (restarts and restarts > spec["backoffLimit"]):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is None or not status.get("startTime") or spec.get("suspend"):
        return None
    if now < datetime.fromisoformat(status["startTime"]) + timedelta(seconds=deadline):
        return None
    return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"


def _finish(
    status: Json, conditions: list[Json], count: _Count, verdict: tuple[str, str, str], stamp: str
) -> JobDecision:
    kind, reason, message = verdict
    target = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
    kept = [c for c in conditions if c["type"] not in (target, kind)]
    added = [_new_condition(name, reason, message, stamp) for name in (target, kind)]
    new: Json = {"startTime": status.get("startTime", stamp), "conditions": kept + added}
    failed = count.failed + len(count.active) if kind == "Failed" else count.failed
    new |= {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    if count.succeeded:
        new["succeeded"] = count.succeeded
    if failed:
        new["failed"] = failed
    if kind == "Complete":
        new["completionTime"] = stamp
    doomed = tuple(pod["metadata"]["name"] for pod in count.active)
    return JobDecision(delete=doomed, status=new, look_again=0.0)


def _new_condition(kind: str, reason: str, message: str, stamp: str, status: str = "True") -> Json:
    times = {"lastProbeTime": stamp, "lastTransitionTime": stamp}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def _set_suspended(conditions: list[Json], suspended: bool, stamp: str) -> list[Json]:
    if bool(_condition(conditions, "Suspended")) == suspended:
        return conditions
    words = ("JobSuspended", "Job suspended", "True") if suspended else ("JobResumed", "Job resumed", "False")
    new = _new_condition("Suspended", words[0], words[1], stamp, words[2])
    return [c for c in conditions if c["type"] != "Suspended"] + [new]


def _counted(count: _Count, *, active: int) -> Json:
    new: Json = {"ready": count.ready, "terminating": count.terminating, "uncountedTerminatedPods": {}}
    for name, number in (("active", active), ("succeeded", count.succeeded), ("failed", count.failed)):
        if number:
            new[name] = number
    return new


def _if_changed(old: Json, new: Json) -> Json | None:
    return None if new == old else new


def _wanted(job: Json, count: _Count, now: datetime) -> tuple[int, float | None]:
    """How many pods to make now, and otherwise in how many seconds."""
    spec = job["spec"]
    missing = (spec.get("completions") or 1) - count.succeeded
    occupied = len(count.active)
    if spec.get("podReplacementPolicy") == "Failed":
        occupied += count.terminating
    wanted = max(0, min(spec["parallelism"], missing) - occupied)
    if wanted and count.last_failure is not None:
        backoff = min(_FIRST_BACKOFF * 2 ** (count.failed - 1), _LONGEST_BACKOFF)
        left = backoff - (now - count.last_failure).total_seconds()
        if left > 0:
            return 0, left
    return wanted, None


def _soonest(job: Json, status: Json, now: datetime, delay: float | None) -> float | None:
    waits = [delay] if delay is not None else []
    deadline = job["spec"].get("activeDeadlineSeconds")
    if deadline is not None:
        waits.append(deadline - (now - datetime.fromisoformat(status["startTime"])).total_seconds())
    return min(waits, default=None)


def _after_the_end(job: Json, status: Json, done: Json, pods: Sequence[Json], now: datetime) -> JobDecision:
    count = _count(pods)
    doomed = tuple(pod["metadata"]["name"] for pod in count.active)
    keep = job["spec"].get("ttlSecondsAfterFinished")
    if keep is None:
        return JobDecision(delete=doomed)
    ended = datetime.fromisoformat(status.get("completionTime") or done["lastTransitionTime"])
    left = keep - (now - ended).total_seconds()
    return JobDecision(delete=doomed, remove=left <= 0, look_again=left if left > 0 else None)
