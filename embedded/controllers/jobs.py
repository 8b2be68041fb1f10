"""The Job controller: makes and ends pods as `job_rules` decides, at the moment something changes."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

from embedded.controllers.job_rules import Gone, JobDecision, gone_before, sync, without
from embedded.controllers.timers import Key, Remind
from embedded.machinery.errors import ApiError
from embedded.machinery.registry import Registry, timestamp
from embedded.machinery.resources import EVENTS, JOBS, PODS, RESOURCE_QUOTAS
from embedded.storage.store import Event

Json = dict[str, Any]

_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0


class JobController:
    """Keeps Jobs and their pods in memory, as the stream of changes tells them."""

    def __init__(self, registry: Registry, remind: Remind) -> None:
        self._registry = registry
        self._remind = remind
        self._jobs: dict[Key, Json] = {}
        self._pods: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        """By the uid of their Job, by their name."""
        self._gone: dict[str, Gone] = {}
        self._refused: dict[Key, tuple[int, str]] = {}
        """Jobs that were refused a pod, the longest waiting first: how often in a row, and the Event that says so."""

    def start(self) -> None:
        for pod in self._registry.list(PODS):
            self._take_pod(pod)
        for job in self._registry.list(JOBS):
            key, uid = (job["metadata"]["namespace"], job["metadata"]["name"]), job["metadata"]["uid"]
            self._jobs[key] = job
            self._gone[uid] = gone_before(job, list(self._pods[uid].values()))
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
            self._pods.pop(uid, None)
            self._gone.pop(uid, None)
            self._refused.pop(key, None)
            return
        known = self._jobs.get(key)
        self._jobs[key] = event.object
        # The controller's own status writes come back here; they ask for nothing.
        if known is None or known["metadata"]["resourceVersion"] != event.object["metadata"]["resourceVersion"]:
            self.look(key)

    def _observe_pod(self, event: Event) -> None:
        owner = _controller_of(event.object)
        ended = event.type == "DELETED" or event.object["status"].get("phase") in ("Succeeded", "Failed")
        if owner is not None:
            key = (event.key.namespace, owner["name"])
            if event.type == "DELETED":
                self._pods[owner["uid"]].pop(event.key.name, None)
                self._remember_gone(key, owner["uid"], event.object)
            else:
                self._take_pod(event.object)
            self.look(key)
        if ended:
            self._try_refused(event.key.namespace)

    def look(self, key: Key) -> None:
        """Do for a Job what it needs now; when that fails, try again later."""
        job = self._jobs.get(key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        try:
            self._sync(key, job)
        except Exception:
            self._remind(self.look, key, _FIRST_RETRY)
            raise

    def _take_pod(self, pod: Json) -> None:
        if (owner := _controller_of(pod)) is not None:
            self._pods[owner["uid"]][pod["metadata"]["name"]] = pod

    def _remember_gone(self, key: Key, uid: str, pod: Json) -> None:
        job = self._jobs.get(key)
        if job is not None and job["metadata"]["uid"] == uid:
            self._gone[uid] = without(job, pod, self._gone.get(uid, Gone()))

    def _sync(self, key: Key, job: Json) -> None:
        uid, now = job["metadata"]["uid"], self._registry.clock()
        pods = list(self._pods[uid].values())
        decision = sync(job, pods, now, timestamp(now), self._gone.get(uid, Gone()))
        if decision.remove:
            self._registry.delete(JOBS, *key, propagation="Background")
            return
        for name in decision.delete:
            self._delete_pod(key[0], name)
        if decision.create and not self._create_pods(key, job, decision):
            return
        if decision.status is not None:
            changed = {"metadata": {"uid": uid}, "status": decision.status}
            self._jobs[key] = self._registry.update(JOBS, changed, namespace=key[0], name=key[1], subresource="status")
        if decision.look_again is not None:
            self._remind(self.look, key, decision.look_again)

    def _delete_pod(self, namespace: str, name: str) -> None:
        try:
            self._registry.delete(PODS, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise

    def _create_pods(self, key: Key, job: Json, decision: JobDecision) -> bool:
        """Make the pods that are wanted; False when one was refused, which is told and tried again later."""
        for _ in range(decision.create):
            try:
                pod = self._registry.create(PODS, _pod_of(job), namespace=key[0])
            except ApiError as error:
                times, event = self._refused.get(key, (0, ""))
                self._refused[key] = (times + 1, self._tell(job, error, event))
                self._remind(self.look, key, min(_FIRST_RETRY * 2 ** min(times, 10), _LONGEST_RETRY))
                return False
            self._take_pod(pod)
        self._refused.pop(key, None)
        return True

    def _try_refused(self, namespace: str) -> None:
        """There may be room again: in the order of their waiting, until one is refused again."""
        for key in [key for key in self._refused if key[0] == namespace]:
            self.look(key)
            if key in self._refused:
                return

    def _tell(self, job: Json, error: ApiError, event: str) -> str:
        """An Event, so that `kubectl describe` says why there is no pod; one per Job, counted up. Returns its name."""
        metadata, stamp = job["metadata"], self._registry.now()
        message = f"Error creating: {error.message}"
        found = self._registry.find(EVENTS, metadata["namespace"], event) if event else None
        if found is not None:
            news = {"count": found["count"] + 1, "lastTimestamp": stamp, "message": message}
            self._registry.patch(EVENTS, metadata["namespace"], event, news)
            return event
        involved = {"kind": "Job", "apiVersion": "batch/v1"}
        involved |= {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
        new: Json = {
            "metadata": {"generateName": f"{metadata['name'][:40]}."},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": message,
            "involvedObject": involved,
            "source": {"component": "job-controller"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        created = self._registry.create(EVENTS, new, namespace=metadata["namespace"])
        return str(created["metadata"]["name"])


def _controller_of(pod: Json) -> Json | None:
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") == "Job":
            found: Json = owner
            return found
    return None


def _pod_of(job: Json) -> Json:
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
            "ownerReferences": [owner],
        },
        # The registry fills in what it is given; the Job's own copy stays as it is.
        "spec": copy.deepcopy(template["spec"]),
    }
    if given.get("annotations"):
        pod["metadata"]["annotations"] = dict(given["annotations"])
    return pod
