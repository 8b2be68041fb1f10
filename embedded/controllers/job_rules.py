"""What a Job needs next: a pure function of the Job, its pods and the time. Rules: the Job controller of Kubernetes.

Covered: completions and parallelism (also without completions: a work queue),
backoffLimit with the growing delay between failures, restarts in place,
activeDeadlineSeconds, ttlSecondsAfterFinished, suspend, podReplacementPolicy.
Not covered: Indexed completion, podFailurePolicy, successPolicy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]

_FIRST_BACKOFF, _LONGEST_BACKOFF = 10.0, 360.0
_TARGETS = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


@dataclass(frozen=True)
class Gone:
    """Pods of a Job that have counted and exist no more."""

    succeeded: int = 0
    failed: int = 0


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
    terminating: int
    succeeded: int
    failed: int
    last_failure: datetime | None

    @property
    def ready(self) -> int:
        return sum(_is_ready(pod) for pod in self.active)


def sync(job: Json, pods: Sequence[Json], now: datetime, stamp: str, gone: Gone = Gone()) -> JobDecision:
    """What to do for a Job. `stamp` is `now` in the form of a metav1.Time."""
    status: Json = job.get("status") or {}
    conditions: list[Json] = list(status.get("conditions") or [])
    count = _count(job, pods, gone)
    done = _condition(conditions, "Complete") or _condition(conditions, "Failed")
    if done is not None:
        return _after_the_end(job, status, done, count, now)
    target = next((c for kind in _TARGETS if (c := _condition(conditions, kind))), None)
    verdict = (target["type"], target["reason"], target["message"]) if target else _verdict(job, status, count, now)
    if verdict is not None:
        return _finish(status, conditions, count, verdict, stamp)
    if job["spec"].get("suspend"):
        new = {"conditions": _set_suspended(conditions, True, stamp), **_counted(count, active=0)}
        return JobDecision(delete=_names(count.active), status=_if_changed(status, new))
    if _condition(conditions, "Suspended"):
        conditions = _set_suspended(conditions, False, stamp)
    wanted, surplus, delay = _wanted(job, count, now)
    active = len(count.active) + wanted - len(surplus)
    new = {"startTime": status.get("startTime", stamp), **_counted(count, active=active)}
    if conditions:
        new["conditions"] = conditions
    waits = [delay, _until_deadline(job, new, now)]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    return JobDecision(wanted, _names(surplus), _if_changed(status, new), look_again=soonest)


def counts_as_failed(job: Json, pod: Json) -> bool:
    """Whether a pod is a failure of its Job: also one that is being deleted, unless only ended pods are replaced.

    Pods that a suspended Job ends are not held against it.
    """
    phase, doomed = _phase(pod), "deletionTimestamp" in pod["metadata"]
    if phase == "Succeeded" or (doomed and job["spec"].get("suspend")):
        return False
    return phase == "Failed" or (doomed and job["spec"].get("podReplacementPolicy") != "Failed")


def without(job: Json, pod: Json, gone: Gone) -> Gone:
    """What has counted, now that a pod exists no more. One that never came to an end is a failure."""
    if _phase(pod) == "Succeeded":
        return Gone(gone.succeeded + 1, gone.failed)
    return gone if job["spec"].get("suspend") else Gone(gone.succeeded, gone.failed + 1)


def gone_before(job: Json, pods: Sequence[Json]) -> Gone:
    """What a Job's status has counted of pods that are not among these: for a controller that has just begun."""
    status, count = job.get("status") or {}, _count(job, pods, Gone())
    succeeded, failed = int(status.get("succeeded", 0)), int(status.get("failed", 0))
    return Gone(max(0, succeeded - count.succeeded), max(0, failed - count.failed))


def _phase(pod: Json) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _condition(conditions: Sequence[Json], kind: str) -> Json | None:
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _count(job: Json, pods: Sequence[Json], gone: Gone) -> _Count:
    going = [p for p in pods if _phase(p) not in ("Succeeded", "Failed")]
    terminating = sum("deletionTimestamp" in pod["metadata"] for pod in going)
    active = tuple(pod for pod in going if "deletionTimestamp" not in pod["metadata"])
    failed = [pod for pod in pods if counts_as_failed(job, pod)]
    succeeded = sum(_phase(pod) == "Succeeded" for pod in pods)
    finished = [moment for pod in failed if (moment := _finished_at(pod)) is not None]
    last = max(finished, default=None)
    return _Count(active, terminating, gone.succeeded + succeeded, gone.failed + len(failed), last)


def _container_states(pod: Json) -> list[Json]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _finished_at(pod: Json) -> datetime | None:
    ended = [s["state"]["terminated"] for s in _container_states(pod) if "terminated" in s.get("state", {})]
    times = [str(state["finishedAt"]) for state in ended if state.get("finishedAt")]
    if not times and (deleted := pod["metadata"].get("deletionTimestamp")):
        times = [deleted]
    return max((datetime.fromisoformat(time) for time in times), default=None)


def _verdict(job: Json, status: Json, count: _Count, now: datetime) -> tuple[str, str, str] | None:
    """(condition type, reason, message) when it is clear how the Job ends."""
    spec = job["spec"]
    completions = spec.get("completions")
    worked_off = completions is None and count.succeeded > 0 and not count.active
    if worked_off or (completions is not None and count.succeeded >= completions):
        return "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
    if count.failed > spec["backoffLimit"] or _restarted_too_often(job, count):
        return "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    left = _until_deadline(job, status, now)
    if left is not None and left <= 0 and not spec.get("suspend"):
        return "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _restarted_too_often(job: Json, count: _Count) -> bool:
    """With restartPolicy OnFailure the restarts in place count too."""
    limit = job["spec"]["backoffLimit"]
    restarts = sum(int(s.get("restartCount", 0)) for pod in count.active for s in _container_states(pod))
    return restarts > 0 and restarts >= limit


def _until_deadline(job: Json, status: Json, now: datetime) -> float | None:
    deadline, started = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    if deadline is None or not started:
        return None
    return (datetime.fromisoformat(started) + timedelta(seconds=deadline) - now).total_seconds()


def _finish(
    status: Json, conditions: list[Json], count: _Count, verdict: tuple[str, str, str], stamp: str
) -> JobDecision:
    """End the Job: at once when no pod is left, otherwise once those that are told to end have done so."""
    target, reason, message = verdict
    failing = target == "FailureTarget"
    over = not count.active and not count.terminating
    # Pods that are ended because the Job failed are failures of it.
    failed = count.failed + (len(count.active) if failing else 0)
    failed = max(failed, int(status.get("failed", 0)))
    known = {c["type"]: c for c in conditions}
    names = (target, _TARGETS[target]) if over else (target,)
    kept = [c for c in conditions if c["type"] not in names]
    added = [known.get(name) or _new_condition(name, reason, message, stamp) for name in names]
    new: Json = {"startTime": status.get("startTime", stamp), "conditions": kept + added}
    new |= {"ready": 0, "terminating": 0 if over else count.terminating + len(count.active)}
    new["uncountedTerminatedPods"] = {}
    for name, number in (("succeeded", count.succeeded), ("failed", failed)):
        if number:
            new[name] = number
    if over and not failing:
        new["completionTime"] = stamp
    return JobDecision(delete=_names(count.active), status=_if_changed(status, new), look_again=0.0 if over else None)


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


def _names(pods: Sequence[Json]) -> tuple[str, ...]:
    return tuple(pod["metadata"]["name"] for pod in pods)


def _wanted(job: Json, count: _Count, now: datetime) -> tuple[int, Sequence[Json], float | None]:
    """How many pods to make now, which are too many, and in how many seconds to look again when a delay runs."""
    spec = job["spec"]
    completions = spec.get("completions")
    limit = int(spec["parallelism"])
    if completions is not None:
        limit = min(limit, completions - count.succeeded)
    elif count.succeeded:
        # A work queue: the first success says that there is no more work to give out.
        limit = min(limit, len(count.active))
    if len(count.active) > limit:
        # Those that have done least go first.
        youngest = sorted(count.active, key=_is_ready)
        return 0, youngest[: len(count.active) - limit], None
    occupied = len(count.active)
    if spec.get("podReplacementPolicy") == "Failed":
        occupied += count.terminating
    wanted = max(0, limit - occupied)
    if wanted and count.last_failure is not None:
        # Beyond six doublings it is the longest one, so the power is kept small.
        backoff = min(_FIRST_BACKOFF * 2 ** min(count.failed - 1, 10), _LONGEST_BACKOFF)
        left = backoff - (now - count.last_failure).total_seconds()
        if left > 0:
            return 0, (), left
    return wanted, (), None


def _after_the_end(job: Json, status: Json, done: Json, count: _Count, now: datetime) -> JobDecision:
    doomed = _names(count.active)
    keep = job["spec"].get("ttlSecondsAfterFinished")
    if keep is None:
        return JobDecision(delete=doomed)
    ended = datetime.fromisoformat(status.get("completionTime") or done["lastTransitionTime"])
    left = keep - (now - ended).total_seconds()
    return JobDecision(delete=doomed, remove=left <= 0, look_again=left if left > 0 else None)
