"""In-memory index of the Jobs and pods owned by each run.

It holds no more than the cluster has. What belongs to a run is decided by controller references with uids alone: a Job
by its reference to the run, a pod by its reference to such a Job. Anyone who may create pods can copy labels and
annotations; labels only say under which run an object is looked up.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from controller import labels
from controller.operator import names
from controller.operator.decision.pods.status import is_pod_finished
from controller.operator.gate import is_closed
from controller.run_types.keys import AttemptKey, RunKey

Json = dict[str, Any]


def attempt_key_of(obj: Json) -> AttemptKey | None:
    """Which attempt a Job or a pod belongs to, by its labels."""
    own = obj["metadata"].get("labels") or {}
    number = own.get(labels.ATTEMPT, "")
    if labels.STEP not in own or not (number.isascii() and number.isdigit()):
        return None
    return AttemptKey(own[labels.STEP], int(number))


def run_key_of(obj: Json) -> RunKey | None:
    """The run that a Job or a pod belongs to, by its labels."""
    run = (obj["metadata"].get("labels") or {}).get(labels.RUN)
    return RunKey(obj["metadata"]["namespace"], run) if run else None


def controller_uid(obj: Json, kind: str) -> str | None:
    """The uid of the object of this kind that controls an object; None if none does."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") == kind:
            return str(owner.get("uid"))
    return None


def is_owned(obj: Json, uid: str) -> bool:
    """Whether the run with this uid controls an object."""
    return controller_uid(obj, "PipelineRun") == uid


def is_attempt_job(job: Json, key: RunKey, uid: str) -> bool:
    """Whether a Job is that of an attempt of this run: it has the name that the attempt's labels lead to."""
    attempt = attempt_key_of(job)
    if attempt is None or not is_owned(job, uid):
        return False
    return bool(job["metadata"]["name"] == names.job_name(key.name, attempt.slug, attempt.number))


class _JobIdentity(NamedTuple):
    """Whose Job it was, which stays true after it was deleted."""

    run_uid: str
    attempt: AttemptKey


class _Pod(NamedTuple):
    """A pod, with the uid of the Job that controls it."""

    pod: Json
    job_uid: str | None
    created: str


def _pod_entry(pod: Json) -> _Pod:
    return _Pod(pod, controller_uid(pod, "Job"), str(pod["metadata"].get("creationTimestamp", "")))


class OwnedResources:
    """In-memory index of the Jobs and pods owned by each run."""

    def __init__(self) -> None:
        self._pods: dict[RunKey, dict[str, _Pod]] = {}
        """By the pod's uid."""
        self._jobs: dict[RunKey, dict[str, Json]] = {}
        """By the Job's name."""
        self._identities: dict[RunKey, dict[str, _JobIdentity]] = {}
        """By the Job's uid."""

    def update_pod(self, key: RunKey, pod: Json, *, deleted: bool, keep_ended: bool) -> None:
        """Store the current state of a pod.

        Args:
            keep_ended: keep a pod that was deleted while it ran, as failed: the run is active and needs its end.
        """
        uid, known = pod["metadata"]["uid"], self._pods.setdefault(key, {})
        if not deleted:
            known[uid] = _pod_entry(pod)
        elif not keep_ended:
            known.pop(uid, None)
        elif not is_pod_finished(pod):
            known[uid] = _pod_entry(_with_deleted_status(pod))
        if not known:
            del self._pods[key]

    def update_job(self, key: RunKey, job: Json, *, deleted: bool, keep_ended: bool) -> bool:
        """Store the current state of a Job; returns whether pods were waiting to be recognized by it.

        Args:
            keep_ended: remember whose a deleted Job was: the run is active and needs the ends of its pods.
        """
        name, known = job["metadata"]["name"], self._jobs.setdefault(key, {})
        if not deleted:
            known[name] = job
        elif name in known and known[name]["metadata"]["uid"] == job["metadata"]["uid"]:
            del known[name]
        if not known:
            del self._jobs[key]
        if deleted and (not keep_ended or is_closed(job)):
            # The pod of a Job whose gate was never opened is no attempt; one that follows has its name.
            self._forget_identity(key, job)
            return False
        return self.recognize_job(key, job)

    def recognize_job(self, key: RunKey, job: Json) -> bool:
        """Remember whose Job it is, if it is that of an attempt; returns whether pods were waiting for that."""
        uid = job["metadata"]["uid"]
        if uid in self._identities.get(key, {}):
            return False
        run_uid, attempt = controller_uid(job, "PipelineRun"), attempt_key_of(job)
        if run_uid is None or attempt is None or not is_attempt_job(job, key, run_uid):
            return False
        self._identities.setdefault(key, {})[uid] = _JobIdentity(run_uid, attempt)
        return any(entry.job_uid == uid for entry in self._pods.get(key, {}).values())

    def _forget_identity(self, key: RunKey, job: Json) -> None:
        known = self._identities.get(key, {})
        known.pop(job["metadata"]["uid"], None)
        if not known:
            self._identities.pop(key, None)

    def find_pod(self, reference: Json) -> tuple[RunKey, Json] | None:
        """The run and the pod that an Event refers to."""
        for key, pods in self._pods.items():
            if key.namespace == reference.get("namespace") and (found := pods.get(str(reference.get("uid")))):
                return key, found.pod
        return None

    def pods(self, key: RunKey, uid: str, withdrawn: Container[str] = ()) -> dict[AttemptKey, Json]:
        """The pods of the run with this uid, by attempt: those that the attempt's Job controls.

        A Job of an attempt makes one pod. If there are more, the first one counts.

        Args:
            withdrawn: the uids of deleted Jobs whose pods are no attempts.
        """
        first: dict[AttemptKey, _Pod] = {}
        known = self._identities.get(key, {})
        for entry in self._pods.get(key, {}).values():
            owner = known.get(entry.job_uid or "")
            if owner is None or owner.run_uid != uid or entry.job_uid in withdrawn:
                continue
            if owner.attempt not in first or entry.created < first[owner.attempt].created:
                first[owner.attempt] = entry
        return {attempt: entry.pod for attempt, entry in first.items()}

    def jobs(self, key: RunKey, uid: str, withdrawn: Container[str] = ()) -> dict[AttemptKey, Json]:
        """The Jobs of the attempts of the run with this uid, without those that were `withdrawn`, by uid."""
        found: dict[AttemptKey, Json] = {}
        known = self._identities.get(key, {})
        for job in self._jobs.get(key, {}).values():
            owner = known.get(job["metadata"]["uid"])
            if owner is not None and owner.run_uid == uid and job["metadata"]["uid"] not in withdrawn:
                found[owner.attempt] = job
        return found

    def has_any(self, key: RunKey, uid: str) -> bool:
        """Whether the run with this uid owns any Job or pod."""
        return bool(self.jobs(key, uid) or self.pods(key, uid))

    def forget(self, key: RunKey) -> None:
        """The run is done, or was deleted."""
        self._pods.pop(key, None)
        self._jobs.pop(key, None)
        self._identities.pop(key, None)


def _with_deleted_status(pod: Json) -> Json:
    status = {**(pod.get("status") or {}), "phase": "Failed", "reason": "Terminated", "message": "its pod was deleted"}
    return {**pod, "status": status}
