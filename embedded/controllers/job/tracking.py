"""Counts the pods of a Job exactly once. Pure; the rules are those of Kubernetes' Job controller.

A pod of a Job has a finalizer until it is counted, so that no end is missed or counted twice, whatever is deleted or
killed meanwhile: its uid is written to `status.uncountedTerminatedPods`, then the finalizer is removed, then the uid is
removed and the number increased. A succeeded pod of an Indexed Job needs no uid: its index shows that it was counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from embedded.controllers.job import indexed, pod_failure_policy

Json = dict[str, Any]

FINALIZER = "batch.kubernetes.io/job-tracking"


@dataclass(frozen=True)
class IndexCounts:
    """The completion indexes of an Indexed Job."""

    completions: int
    succeeded: frozenset[int]
    failed: frozenset[int]
    delayed: dict[int, Json]
    """The last failed pod of each index that is retried: it is counted when its successor has been created."""


@dataclass(frozen=True)
class PodCounts:
    """The pods of a Job by state, and the counts for its status."""

    active: tuple[Json, ...]
    blocking_replacement: tuple[Json, ...]
    """Pods that are being deleted and have not ended, if only ended pods are replaced."""
    terminating: int
    counted_succeeded: int
    counted_failed: int
    uncounted: Json
    release: tuple[str, ...]
    """Names of pods whose finalizer is removed once the status is written."""
    failures: int
    """All failures, including those of pods that still wait for their successor."""
    consecutive_failures: tuple[int, datetime | None]
    """(failures since the last success, time of the last one)."""
    indexes: IndexCounts | None

    @property
    def succeeded(self) -> int:
        if self.indexes is not None:
            return len(self.indexes.succeeded)
        return self.counted_succeeded + len(self.uncounted.get("succeeded", ()))

    @property
    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.active)


def phase(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_active(pod: Json) -> bool:
    return phase(pod) not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def is_tracked(pod: Json) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def has_failed(job: Json, pod: Json) -> bool:
    """Whether a pod counts as failed; one that is being deleted does too, unless only ended pods are replaced."""
    metadata = pod["metadata"]
    is_deleted = "deletionTimestamp" in metadata and phase(pod) != "Succeeded"
    if phase(pod) == "Failed":
        return True
    if job["spec"].get("podReplacementPolicy") == "Failed":
        # It never ran, or its deletion was forced: it will never become Failed.
        return is_deleted and not metadata.get("deletionGracePeriodSeconds")
    return is_deleted


def container_states(pod: Json) -> list[Json]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def finished_at(pod: Json) -> datetime | None:
    ended = [s["state"]["terminated"] for s in container_states(pod) if "terminated" in s.get("state", {})]
    times = [str(state["finishedAt"]) for state in ended if state.get("finishedAt")]
    if not times and (deleted := pod["metadata"].get("deletionTimestamp")):
        times = [deleted]
    return max((datetime.fromisoformat(time) for time in times), default=None)


def count_pods(job: Json, pods: Sequence[Json]) -> PodCounts:
    """Count the pods of a Job."""
    status: Json = job.get("status") or {}
    indexes = _indexes(job, status, pods)
    tracked = {pod["metadata"]["uid"] for pod in pods if is_tracked(pod)}
    known = status.get("uncountedTerminatedPods") or {}
    # Pods without a finalizer whose uid is in the status: they become part of the numbers.
    left = {kind: [uid for uid in known.get(kind) or () if uid in tracked] for kind in ("succeeded", "failed")}
    freed = {kind: len(known.get(kind) or ()) - len(left[kind]) for kind in left}
    held = {pod["metadata"]["uid"] for pod in indexes.delayed.values()} if indexes else set()
    release: list[str] = []
    failures = 0
    for pod in pods:
        uid, failed = pod["metadata"]["uid"], has_failed(job, pod)
        if not is_tracked(pod) or not (failed or phase(pod) == "Succeeded"):
            continue
        kind = "succeeded" if phase(pod) == "Succeeded" else "failed"
        counts = (indexes is None) if kind == "succeeded" else _counts_as_failure(job, pod, indexes)
        known_already = uid in left["succeeded"] or uid in left["failed"]
        if uid in held:
            failures += counts and not known_already
            continue
        release.append(pod["metadata"]["name"])
        if counts and not known_already:
            left[kind].append(uid)
    terminating = tuple(
        p for p in pods if "deletionTimestamp" in p["metadata"] and phase(p) not in ("Succeeded", "Failed")
    )
    replaced = job["spec"].get("podReplacementPolicy") != "Failed"
    counted = {kind: int(status.get(kind, 0)) + freed[kind] for kind in freed}
    return PodCounts(
        active=tuple(pod for pod in pods if is_active(pod)),
        blocking_replacement=() if replaced else terminating,
        terminating=len(terminating),
        counted_succeeded=counted["succeeded"],
        counted_failed=counted["failed"],
        uncounted={kind: uids for kind, uids in left.items() if uids},
        release=tuple(release),
        failures=counted["failed"] + len(left["failed"]) + failures,
        consecutive_failures=_consecutive_failures(job, pods),
        indexes=indexes,
    )


def _counts_as_failure(job: Json, pod: Json, indexes: IndexCounts | None) -> bool:
    """Whether a failed pod counts by the Job's own rules."""
    if indexes is not None and indexed.index_of(pod, indexes.completions) is None:
        return False
    match = pod_failure_policy.match_failure_policy(job, pod)
    return match is None or match.action != "Ignore"


def _consecutive_failures(job: Json, pods: Sequence[Json]) -> tuple[int, datetime | None]:
    ends: list[tuple[datetime, bool]] = []
    for pod in pods:
        failed = has_failed(job, pod) and _counts_as_failure(job, pod, None)
        if (failed or phase(pod) == "Succeeded") and (moment := finished_at(pod)) is not None:
            ends.append((moment, failed))
    failures, last = 0, None
    for moment, failed in sorted(ends):
        failures, last = (failures + 1, moment) if failed else (0, None)
    return failures, last


def _indexes(job: Json, status: Json, pods: Sequence[Json]) -> IndexCounts | None:
    spec = job["spec"]
    if spec.get("completionMode") != "Indexed" or spec.get("completions") is None:
        return None
    completions = int(spec["completions"])
    succeeded = set(indexed.parse_indexes(status.get("completedIndexes", ""), completions))
    failed = set(indexed.parse_indexes(status.get("failedIndexes") or "", completions))
    last: dict[int, Json] = {}
    busy: set[int] = set()
    for pod in pods:
        if (index := indexed.index_of(pod, completions)) is None:
            continue
        if is_tracked(pod) and phase(pod) == "Succeeded":
            succeeded.add(index)
        elif is_tracked(pod) and has_failed(job, pod):
            before = last.get(index)
            if before is None or indexed.index_failures(before) < indexed.index_failures(pod):
                last[index] = pod
        elif is_active(pod):
            busy.add(index)
    delayed: dict[int, Json] = {}
    if (limit := spec.get("backoffLimitPerIndex")) is not None:
        failed |= {index for index, pod in last.items() if _index_failed(job, pod, int(limit))}
        delayed = {index: pod for index, pod in last.items() if index not in succeeded | failed | busy}
    return IndexCounts(completions, frozenset(succeeded), frozenset(failed - succeeded), delayed)


def _index_failed(job: Json, pod: Json, limit: int) -> bool:
    match = pod_failure_policy.match_failure_policy(job, pod)
    if match is not None and match.action in ("FailIndex", "Ignore"):
        return match.action == "FailIndex"
    return indexed.index_failures(pod)[0] + 1 > limit
