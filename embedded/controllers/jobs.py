"""The Job controller: makes and ends pods as `job_rules` decides, at the moment something changes."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from embedded.controllers.job_rules import decide
from embedded.machinery.errors import ApiError
from embedded.machinery.registry import Registry, timestamp
from embedded.machinery.resources import EVENTS, JOBS, PODS
from embedded.storage.store import Event

Json = dict[str, Any]
Key = tuple[str, str]


class JobController:
    """Keeps Jobs and their pods in memory, as the stream of changes tells them.

    Args:
        remind: calls `look_again` for (namespace, name) after so many seconds.
    """

    def __init__(self, registry: Registry, remind: Callable[[Key, float], None]) -> None:
        self._registry = registry
        self._remind = remind
        self._jobs: dict[Key, Json] = {}
        self._pods: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        """By the uid of their Job, by their name."""

    def start(self) -> None:
        for pod in self._registry.list(PODS):
            self._take_pod(pod)
        for job in self._registry.list(JOBS):
            key = (job["metadata"]["namespace"], job["metadata"]["name"])
            self._jobs[key] = job
            self._sync(key)

    def observe(self, event: Event) -> None:
        key = (event.key.namespace, event.key.name)
        if event.key.resource == JOBS.key:
            if event.type == "DELETED":
                self._jobs.pop(key, None)
                self._pods.pop(event.object["metadata"]["uid"], None)
            else:
                known = self._jobs.get(key)
                self._jobs[key] = event.object
                # The controller's own status writes come back here; they ask for nothing.
                if known is None or known["metadata"]["resourceVersion"] != event.object["metadata"]["resourceVersion"]:
                    self._sync(key)
        elif event.key.resource == PODS.key:
            owner = _controller_of(event.object)
            if owner is None:
                return
            if event.type == "DELETED":
                self._pods[owner["uid"]].pop(event.key.name, None)
            else:
                self._take_pod(event.object)
            self._sync((event.key.namespace, owner["name"]))

    def look_again(self, key: Key) -> None:
        self._sync(key)

    def _take_pod(self, pod: Json) -> None:
        if (owner := _controller_of(pod)) is not None:
            self._pods[owner["uid"]][pod["metadata"]["name"]] = pod

    def _sync(self, key: Key) -> None:
        job = self._jobs.get(key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        namespace, name = key
        now = self._registry.clock()
        pods = list(self._pods[job["metadata"]["uid"]].values())
        decision = decide(job, pods, now, timestamp(now))
        if decision.remove:
            self._registry.delete(JOBS, namespace, name, propagation="Background")
            return
        for _ in range(decision.create):
            try:
                pod = self._registry.create(PODS, _pod_of(job), namespace=namespace)
            except ApiError as error:
                self._tell(job, error)
                self._remind(key, 1.0)
                return
            self._take_pod(pod)
        for pod_name in decision.delete:
            self._registry.delete(PODS, namespace, pod_name)
        if decision.status is not None:
            self._jobs[key] = self._write_status(namespace, name, decision.status)
        if decision.look_again is not None:
            self._remind(key, decision.look_again)

    def _write_status(self, namespace: str, name: str, status: Json) -> Json:
        return self._registry.update(
            JOBS, {"metadata": {}, "status": status}, namespace=namespace, name=name, subresource="status"
        )

    def _tell(self, job: Json, error: ApiError) -> None:
        """An event, so that `kubectl describe` says why there is no pod."""
        metadata = job["metadata"]
        stamp = self._registry.now()
        involved = {
            "kind": "Job",
            "apiVersion": "batch/v1",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        event: Json = {
            "metadata": {"generateName": f"{metadata['name'][:40]}."},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": f"Error creating: {error.message}",
            "involvedObject": involved,
            "source": {"component": "job-controller"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        self._registry.create(EVENTS, event, namespace=metadata["namespace"])


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
