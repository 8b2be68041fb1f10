"""The Job controller: makes and ends pods as `job_rules` decides, at the moment something changes."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from embedded.api.scheme import JOBS, PODS, RESOURCE_QUOTAS
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import Key, Remind
from embedded.controllers.job.indexed import dress
from embedded.controllers.job.pod_admission import Asking
from embedded.controllers.job.sync import NewPod, condition, sync
from embedded.controllers.job.tracking import FINALIZER, is_tracked
from embedded.registry.event_recorder import Recorder
from embedded.registry.registry import Registry, timestamp
from embedded.storage.sqlite import Event

Json = dict[str, Any]

_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0
_ROUNDS = 8
"""So often a decision may follow from the one before at once: counting and ending take three."""


class JobController:
    """Keeps Jobs and their pods in memory, as the stream of changes tells them."""

    def __init__(self, registry: Registry, remind: Remind, asking: Asking) -> None:
        self._registry = registry
        self._remind = remind
        self._asking = asking
        self._asked_for: set[Key] = set()
        """Jobs whose pods others are asked about: nothing more is decided until they have said."""
        self._recorder = Recorder(registry, "job-controller")
        self._jobs: dict[Key, Json] = {}
        self._pods: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        """By the uid of their Job, by their name."""
        self._refused: dict[Key, int] = {}
        """Jobs that were refused a pod, the longest waiting first: how often in a row."""

    def start(self) -> None:
        jobs = self._registry.list(JOBS)
        known = {job["metadata"]["uid"] for job in jobs}
        for pod in self._registry.list(PODS):
            owner = _controller_of(pod)
            if owner is not None and owner["uid"] in known:
                self._take_pod(pod)
            else:
                self._let_go(pod)
        for job in jobs:
            key = (job["metadata"]["namespace"], job["metadata"]["name"])
            self._jobs[key] = job
            # Not here and now: one Job that can't be handled must not hold up the others.
            self._remind(self.look, key, 0.0)

    def observe(self, event: Event) -> None:
        key = (event.key.namespace, event.key.name)
        if event.key.resource == JOBS.key:
            self._observe_job(key, event)
        elif event.key.resource == PODS.key:
            self._observe_pod(event)
        elif event.key.resource == RESOURCE_QUOTAS.key:
            self._try_refused(event.key.namespace)

    def _observe_job(self, key: Key, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._jobs.pop(key, None)
            self._refused.pop(key, None)
            for pod in self._pods.pop(uid, {}).values():
                self._let_go(pod)
            return
        known = self._jobs.get(key)
        # The controller's own status writes come back here, and some when it has written again: they ask for nothing.
        if known is None or known["metadata"]["uid"] != uid or _version(known) < _version(event.object):
            self._jobs[key] = event.object
            self.look(key)

    def _observe_pod(self, event: Event) -> None:
        pod, owner = event.object, _controller_of(event.object)
        key = (event.key.namespace, owner["name"]) if owner is not None else ("", "")
        job = self._jobs.get(key)
        if owner is None or job is None or job["metadata"]["uid"] != owner["uid"]:
            if event.type != "DELETED":
                self._let_go(pod)
        elif event.type == "DELETED":
            self._pods[owner["uid"]].pop(event.key.name, None)
            self.look(key)
        elif self._is_news(owner["uid"], pod):
            self._take_pod(pod)
            self.look(key)
        if event.type == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed"):
            self._try_refused(event.key.namespace)

    def _is_news(self, uid: str, pod: Json) -> bool:
        """The controller's own writes come back here, and some when it has written again."""
        known = self._pods[uid].get(pod["metadata"]["name"])
        return known is None or _version(known) < _version(pod)

    def look(self, key: Key) -> None:
        """Do for a Job what it needs now; when that fails, try again later."""
        try:
            for _ in range(_ROUNDS):
                job = self._jobs.get(key)
                if job is None or not self._sync(key, job):
                    return
            self._remind(self.look, key, 0.0)
        except Exception:
            self._remind(self.look, key, _FIRST_RETRY)
            raise

    def _take_pod(self, pod: Json) -> None:
        if (owner := _controller_of(pod)) is not None:
            self._pods[owner["uid"]][pod["metadata"]["name"]] = pod

    def _sync(self, key: Key, job: Json) -> bool:
        """Do what is decided; True when more may follow from it at once."""
        if key in self._asked_for:
            return False
        uid, now = job["metadata"]["uid"], self._registry.clock()
        decision = sync(job, list(self._pods[uid].values()), now, timestamp(now))
        if decision.remove:
            self._registry.delete(JOBS, *key, propagation="Foreground")
            return False
        if decision.create and self._asking.is_needed:
            self._ask_for_pods(key, job, decision.create)
            self._write_status(key, job, _without(decision.status, len(decision.create)))
            return False
        if decision.create and (refused := self._create_pods(key, job, decision.create)):
            self._write_status(key, job, _without(decision.status, refused))
            return False
        for name in decision.discard:
            self._release(key, uid, name)
        for name in (*decision.delete, *decision.discard):
            self._delete_pod(key, job, name)
        self._write_status(key, job, decision.status)
        for name in decision.release:
            self._release(key, uid, name)
        if decision.create or decision.look_again is not None:
            # Of new pods may follow that others have no more to be held; not before others had their turn.
            self._remind(self.look, key, 0.0 if decision.create else decision.look_again or 0.0)
        return bool(decision.release or decision.delete or decision.discard)

    def _write_status(self, key: Key, job: Json, status: Json | None) -> None:
        if status is not None and status != job.get("status"):
            changed = {"metadata": {"uid": job["metadata"]["uid"]}, "status": status}
            self._jobs[key] = self._registry.update(JOBS, changed, namespace=key[0], name=key[1], subresource="status")
            self._tell_of_change(job, status)

    def _release(self, key: Key, uid: str, name: str) -> None:
        """Take the finalizer off a pod that has counted, or is not to count."""
        pod = self._pods[uid].get(name)
        if pod is None or (left := self._let_go(pod)) is None:
            self._pods[uid].pop(name, None)
        else:
            self._pods[uid][name] = left

    def _let_go(self, pod: Json) -> Json | None:
        """The pod without the finalizer; None when it is gone."""
        if not is_tracked(pod):
            return pod
        metadata = pod["metadata"]
        left = [finalizer for finalizer in metadata["finalizers"] if finalizer != FINALIZER]
        try:
            # With the uid: another pod may have taken the name.
            patch = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
            return self._registry.patch(PODS, metadata["namespace"], metadata["name"], patch)
        except ApiError as error:
            if error.code not in (404, 409, 422):
                raise
            return None

    def _delete_pod(self, key: Key, job: Json, name: str) -> None:
        uid = job["metadata"]["uid"]
        try:
            pod = self._registry.delete(PODS, key[0], name)
        except ApiError as error:
            if error.code != 404:
                raise
            self._pods[uid].pop(name, None)
            return
        self._pods[uid][name] = pod
        self._recorder.tell(JOBS, job, "SuccessfulDelete", f"Deleted pod: {name}")

    def _create_pods(self, key: Key, job: Json, wanted: Sequence[NewPod]) -> int:
        """Make the pods that are wanted; how many are not, because one was refused: that is told and tried again."""
        for number, new in enumerate(wanted):
            try:
                pod = self._registry.create(PODS, _pod_of(job, new), namespace=key[0])
            except ApiError as error:
                self._tell_of_refusal(key, job, error)
                return len(wanted) - number
            self._tell_of_pod(job, pod)
        self._refused.pop(key, None)
        return 0

    def _ask_for_pods(self, key: Key, job: Json, wanted: Sequence[NewPod]) -> None:
        """The same, where webhooks have to be asked first."""

        def done(made: Sequence[Json], refused: ApiError | None) -> None:
            self._asked_for.discard(key)
            for pod in made:
                self._tell_of_pod(job, pod)
            if refused is not None:
                self._tell_of_refusal(key, job, refused)
            else:
                self._refused.pop(key, None)
                self._remind(self.look, key, 0.0)

        self._asked_for.add(key)
        self._asking.make(key[0], [_pod_of(job, new) for new in wanted], done)

    def _tell_of_pod(self, job: Json, pod: Json) -> None:
        if self._is_news(job["metadata"]["uid"], pod):
            self._take_pod(pod)
        self._recorder.tell(JOBS, job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    def _tell_of_refusal(self, key: Key, job: Json, error: ApiError) -> None:
        times = self._refused.get(key, 0)
        self._refused[key] = times + 1
        self._recorder.tell(JOBS, job, "FailedCreate", f"Error creating: {error.message}", kind="Warning")
        self._remind(self.look, key, min(_FIRST_RETRY * 2 ** min(times, 10), _LONGEST_RETRY))

    def _try_refused(self, namespace: str) -> None:
        """There may be room again: in the order of their waiting, until one is refused again."""
        for key in [key for key in self._refused if key[0] == namespace]:
            self.look(key)
            if key in self._refused:
                return

    def _tell_of_change(self, job: Json, status: Json) -> None:
        before: list[Json] = (job.get("status") or {}).get("conditions") or []
        after: list[Json] = status.get("conditions") or []
        if condition(after, "Complete"):
            self._recorder.tell(JOBS, job, "Completed", "Job completed")
        elif (failed := condition(after, "Failed")) is not None:
            self._recorder.tell(JOBS, job, failed["reason"], failed["message"], kind="Warning")
        suspended = [condition(conditions, "Suspended") is not None for conditions in (before, after)]
        if suspended == [False, True]:
            self._recorder.tell(JOBS, job, "Suspended", "Job suspended")
        elif suspended == [True, False]:
            self._recorder.tell(JOBS, job, "Resumed", "Job resumed")


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _without(status: Json | None, pods: int) -> Json | None:
    """The status that was decided, when so many of the pods that it counts on could not be made."""
    if status is None:
        return None
    active = int(status.get("active", 0)) - pods
    return {**status, "active": active} if active > 0 else {k: v for k, v in status.items() if k != "active"}


def _controller_of(pod: Json) -> Json | None:
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") == "Job":
            found: Json = owner
            return found
    return None


def _pod_of(job: Json, new: NewPod) -> Json:
    template, metadata = job["spec"]["template"], job["metadata"]
    given = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    pod: Json = {
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "labels": dict(given.get("labels") or {}),
            "finalizers": [*(given.get("finalizers") or ()), FINALIZER],
            "ownerReferences": [owner],
        },
        # The registry fills in what it is given; the Job's own copy stays as it is.
        "spec": copy.deepcopy(template["spec"]),
    }
    if given.get("annotations"):
        pod["metadata"]["annotations"] = dict(given["annotations"])
    if new.index is not None:
        dress(pod, metadata["name"], new.index, new.failures)
    return pod
