"""In-memory index of the Jobs and pods owned by each run.

It holds no more than the cluster has. Runs are distinguished by their uid: objects of an earlier run of the same name
are not returned.
"""

from __future__ import annotations

from typing import Any

from controller import labels
from controller.operator.decision.pod_status import is_pod_finished
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


def is_owned(obj: Json, uid: str) -> bool:
    """Whether the run with this uid owns an object."""
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or [])


class OwnedResources:
    """In-memory index of the Jobs and pods owned by each run."""

    def __init__(self) -> None:
        self._pods: dict[RunKey, dict[str, Json]] = {}
        """By the pod's uid."""
        self._jobs: dict[RunKey, dict[str, Json]] = {}
        """By the Job's name."""

    def update_pod(self, key: RunKey, pod: Json, *, deleted: bool, keep_ended: bool) -> None:
        """Store the current state of a pod.

        Args:
            keep_ended: keep a pod that was deleted while it ran, as failed: the run is active and needs its end.
        """
        uid, known = pod["metadata"]["uid"], self._pods.setdefault(key, {})
        if not deleted:
            known[uid] = pod
        elif not keep_ended:
            known.pop(uid, None)
        elif not is_pod_finished(pod):
            known[uid] = _with_deleted_status(pod)
        if not known:
            del self._pods[key]

    def update_job(self, key: RunKey, job: Json, *, deleted: bool) -> None:
        """Store the current state of a Job."""
        name, known = job["metadata"]["name"], self._jobs.setdefault(key, {})
        if not deleted:
            known[name] = job
        elif name in known and known[name]["metadata"]["uid"] == job["metadata"]["uid"]:
            del known[name]
        if not known:
            del self._jobs[key]

    def find_pod(self, reference: Json) -> tuple[RunKey, Json] | None:
        """The run and the pod that an Event refers to."""
        for key, pods in self._pods.items():
            if key[0] == reference.get("namespace") and (pod := pods.get(str(reference.get("uid")))) is not None:
                return key, pod
        return None

    def pods(self, key: RunKey, uid: str) -> dict[AttemptKey, Json]:
        """The pods of the run with this uid, the newest of each attempt."""
        found: dict[AttemptKey, Json] = {}
        for pod in sorted(
            self._pods.get(key, {}).values(), key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))
        ):
            attempt = attempt_key_of(pod)
            if attempt is not None and (pod["metadata"].get("annotations") or {}).get(labels.RUN_UID) == uid:
                found[attempt] = pod
        return found

    def jobs(self, key: RunKey, uid: str) -> dict[str, Json]:
        """The Jobs of the run with this uid, by name."""
        return {name: job for name, job in self._jobs.get(key, {}).items() if is_owned(job, uid)}

    def has_any(self, key: RunKey, uid: str) -> bool:
        """Whether the run with this uid owns any Job or pod."""
        return bool(self.jobs(key, uid) or self.pods(key, uid))

    def forget(self, key: RunKey) -> None:
        """The run is done, or was deleted."""
        self._pods.pop(key, None)
        self._jobs.pop(key, None)


def _with_deleted_status(pod: Json) -> Json:
    status = {**(pod.get("status") or {}), "phase": "Failed", "reason": "Terminated", "message": "its pod was deleted"}
    return {**pod, "status": status}
