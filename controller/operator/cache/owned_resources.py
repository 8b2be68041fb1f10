"""The Jobs and pods of runs, as the informers tell of them. No more is kept than the cluster has.

Runs are told apart by their uid: what belongs to an earlier run of the same name is not shown.
"""

from __future__ import annotations

from typing import Any

from controller.operator import names
from controller.operator.decision.observation import is_over

Json = dict[str, Any]
Key = tuple[str, str]
Place = tuple[str, int]
"""A step's slug and the number of an attempt."""


def place_of(obj: Json) -> Place | None:
    """Which attempt a Job or a pod belongs to, by its labels."""
    labels = obj["metadata"].get("labels") or {}
    number = labels.get(names.ATTEMPT, "")
    if names.STEP not in labels or not (number.isascii() and number.isdigit()):
        return None
    return labels[names.STEP], int(number)


def key_of(obj: Json) -> Key | None:
    """The run that a Job or a pod belongs to, by its labels."""
    run = (obj["metadata"].get("labels") or {}).get(names.RUN)
    return (obj["metadata"]["namespace"], run) if run else None


def is_owned(obj: Json, uid: str) -> bool:
    """Whether the run with this uid owns an object."""
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or [])


class Belongings:
    """What is there of each run."""

    def __init__(self) -> None:
        self._pods: dict[Key, dict[str, Json]] = {}
        """By the pod's uid."""
        self._jobs: dict[Key, dict[str, Json]] = {}
        """By the Job's name."""

    def take_pod(self, key: Key, pod: Json, *, gone: bool, wanted: bool) -> None:
        """A pod as it is now. One that was deleted while it ran is kept as ended, if it is still `wanted`."""
        uid, known = pod["metadata"]["uid"], self._pods.setdefault(key, {})
        if not gone:
            known[uid] = pod
        elif not wanted:
            known.pop(uid, None)
        elif not is_over(pod):
            known[uid] = _ended_by_deletion(pod)
        if not known:
            del self._pods[key]

    def take_job(self, key: Key, job: Json, *, gone: bool) -> None:
        """A Job as it is now."""
        name, known = job["metadata"]["name"], self._jobs.setdefault(key, {})
        if not gone:
            known[name] = job
        elif name in known and known[name]["metadata"]["uid"] == job["metadata"]["uid"]:
            del known[name]
        if not known:
            del self._jobs[key]

    def pod_of(self, about: Json) -> tuple[Key, Json] | None:
        """The run and the pod that an Event is about."""
        for key, pods in self._pods.items():
            if key[0] == about.get("namespace") and (pod := pods.get(str(about.get("uid")))) is not None:
                return key, pod
        return None

    def pods(self, key: Key, uid: str) -> dict[Place, Json]:
        """The pods of the run with this uid, the newest of each attempt."""
        found: dict[Place, Json] = {}
        for pod in sorted(
            self._pods.get(key, {}).values(), key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))
        ):
            place = place_of(pod)
            if place is not None and (pod["metadata"].get("annotations") or {}).get(names.RUN_UID) == uid:
                found[place] = pod
        return found

    def jobs(self, key: Key, uid: str) -> dict[str, Json]:
        """The Jobs of the run with this uid, by name."""
        return {name: job for name, job in self._jobs.get(key, {}).items() if is_owned(job, uid)}

    def any(self, key: Key, uid: str) -> bool:
        """Whether anything is there of the run with this uid."""
        return bool(self.jobs(key, uid) or self.pods(key, uid))

    def forget(self, key: Key) -> None:
        """The run is over, or gone."""
        self._pods.pop(key, None)
        self._jobs.pop(key, None)


def _ended_by_deletion(pod: Json) -> Json:
    status = {**(pod.get("status") or {}), "phase": "Failed", "reason": "Terminated", "message": "its pod was deleted"}
    return {**pod, "status": status}
