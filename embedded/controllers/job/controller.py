"""The Job controller: executes the decisions of `embedded.controllers.job.sync` as soon as something changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from embedded.api.scheme import JOBS, PODS, RESOURCE_QUOTAS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.controllers.job.indexed import apply_index
from embedded.controllers.job.pod_admission import PodAdmission
from embedded.controllers.job.sync import NewPod, sync_job, true_condition
from embedded.controllers.job.tracking import FINALIZER, is_tracked
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent
from embedded.types import copy_json

Json = dict[str, Any]

_MIN_RETRY_DELAY, _MAX_RETRY_DELAY = 1.0, 60.0
_BATCH_PERIOD = 0.01
"""Seconds in which changes of a Job's pods are collected, unless one has ended; a real controller takes a second."""
_MAX_SYNC_ROUNDS = 8
"""How many decisions may follow one another before other tasks run; counting and ending take three."""


class JobController:
    """Keeps Jobs and their pods in memory, updated from the stream of changes."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter, pod_admission: PodAdmission) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._pod_admission = pod_admission
        self._awaiting_admission: set[Key] = set()
        """Jobs whose pods are being reviewed by webhooks: they are not synced until that is done."""
        self._recorder = EventRecorder(registry, "job-controller")
        self._jobs: dict[Key, Json] = {}
        self._pods: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        """By the uid of their Job, then by name."""
        self._create_failures: dict[Key, int] = {}
        """Jobs whose pods could not be created, the longest waiting first: consecutive failures."""

    def start(self) -> None:
        jobs = self._registry.list(JOBS)
        known = {job["metadata"]["uid"] for job in jobs}
        for pod in self._registry.list(PODS):
            owner = _controller_reference(pod)
            if owner is not None and owner["uid"] in known:
                self._track_pod(pod)
            else:
                self._remove_pod_finalizer(pod)
        for job in jobs:
            key = (job["metadata"]["namespace"], job["metadata"]["name"])
            self._jobs[key] = job
            # Not at once: one Job that can't be handled must not stop the others.
            self._enqueue_after(self.sync, key, 0.0)

    def observe(self, event: StoreEvent) -> None:
        key = (event.key.namespace, event.key.name)
        if event.key.resource == JOBS.key:
            self._observe_job(key, event)
        elif event.key.resource == PODS.key:
            self._observe_pod(event)
        elif event.key.resource == RESOURCE_QUOTAS.key:
            self._retry_failed_creates(event.key.namespace)

    def _observe_job(self, key: Key, event: StoreEvent) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._jobs.pop(key, None)
            self._create_failures.pop(key, None)
            for pod in self._pods.pop(uid, {}).values():
                self._remove_pod_finalizer(pod)
            return
        known = self._jobs.get(key)
        # Events of the controller's own status writes, possibly outdated, need no sync.
        if known is None or known["metadata"]["uid"] != uid or _version(known) < _version(event.object):
            self._jobs[key] = event.object
            self.sync(key)

    def _observe_pod(self, event: StoreEvent) -> None:
        pod, owner = event.object, _controller_reference(event.object)
        has_ended = pod["status"].get("phase") in ("Succeeded", "Failed")
        key = (event.key.namespace, owner["name"]) if owner is not None else ("", "")
        job = self._jobs.get(key)
        if owner is None or job is None or job["metadata"]["uid"] != owner["uid"]:
            if event.type != "DELETED":
                self._remove_pod_finalizer(pod)
        elif event.type == "DELETED":
            self._pods[owner["uid"]].pop(event.key.name, None)
            self.sync(key)
        elif self._is_newer(owner["uid"], pod):
            self._track_pod(pod)
            # Those that watch the pod learn of its end before its Job's status is written.
            self._enqueue_after(self.sync, key, 0.0 if has_ended else _BATCH_PERIOD)
        if event.type == "DELETED" or has_ended:
            self._retry_failed_creates(event.key.namespace)

    def _is_newer(self, uid: str, pod: Json) -> bool:
        """Whether a pod is newer than the known one; events of own writes may be outdated."""
        known = self._pods[uid].get(pod["metadata"]["name"])
        return known is None or _version(known) < _version(pod)

    def sync(self, key: Key) -> None:
        """Bring a Job to its desired state; on an error, retry later."""
        try:
            for _ in range(_MAX_SYNC_ROUNDS):
                job = self._jobs.get(key)
                if job is None or not self._apply_decision(key, job):
                    return
            self._enqueue_after(self.sync, key, 0.0)
        except Exception:
            self._enqueue_after(self.sync, key, _MIN_RETRY_DELAY)
            raise

    def _track_pod(self, pod: Json) -> None:
        if (owner := _controller_reference(pod)) is not None:
            self._pods[owner["uid"]][pod["metadata"]["name"]] = pod

    def _apply_decision(self, key: Key, job: Json) -> bool:
        """Execute a decision; True when another may follow at once."""
        if key in self._awaiting_admission:
            return False
        uid, now = job["metadata"]["uid"], self._registry.clock()
        decision = sync_job(job, list(self._pods[uid].values()), now, format_time(now))
        if decision.remove:
            self._registry.delete(ObjectRef(JOBS, *key), propagation="Foreground")
            return False
        if decision.create and self._pod_admission.is_required:
            self._create_reviewed_pods(key, job, decision.create)
            self._write_status(key, job, _without_pods(decision.status, len(decision.create)))
            return False
        if decision.create and (missing := self._create_pods(key, job, decision.create)):
            self._write_status(key, job, _without_pods(decision.status, missing))
            return False
        if decision.create and not (decision.delete or decision.discard or decision.release):
            # The pods start first; the status is written with their next changes.
            due = decision.requeue_after
            self._enqueue_after(self.sync, key, _BATCH_PERIOD if due is None else min(due, _BATCH_PERIOD))
            return False
        for name in decision.discard:
            self._release_pod(key, uid, name)
        for name in (*decision.delete, *decision.discard):
            self._delete_pod(key, job, name)
        self._write_status(key, job, decision.status)
        for name in decision.release:
            self._release_pod(key, uid, name)
        if decision.create or decision.requeue_after is not None:
            # New pods may release others; the sync runs after other tasks.
            self._enqueue_after(self.sync, key, 0.0 if decision.create else decision.requeue_after or 0.0)
        return bool(decision.release or decision.delete or decision.discard)

    def _write_status(self, key: Key, job: Json, status: Json | None) -> None:
        if status is not None and status != job.get("status"):
            changed = {"metadata": {"uid": job["metadata"]["uid"]}, "status": status}
            self._jobs[key] = self._registry.update(
                ObjectRef(JOBS, key[0], key[1]), changed, subresource="status"
            ).object
            self._record_condition_events(job, status)

    def _release_pod(self, key: Key, uid: str, name: str) -> None:
        """Remove the finalizer of a pod that has been counted, or does not count."""
        pod = self._pods[uid].get(name)
        if pod is None or (left := self._remove_pod_finalizer(pod)) is None:
            self._pods[uid].pop(name, None)
        else:
            self._pods[uid][name] = left

    def _remove_pod_finalizer(self, pod: Json) -> Json | None:
        """The pod without the finalizer; None when it is deleted."""
        if not is_tracked(pod):
            return pod
        metadata = pod["metadata"]
        left = [finalizer for finalizer in metadata["finalizers"] if finalizer != FINALIZER]
        try:
            # With the uid: another pod may have the same name by now.
            patch = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
            return self._registry.patch(ObjectRef(PODS, metadata["namespace"], metadata["name"]), patch).object
        except ApiError as error:
            if error.code not in (404, 409, 422):
                raise
            return None

    def _delete_pod(self, key: Key, job: Json, name: str) -> None:
        uid = job["metadata"]["uid"]
        try:
            pod = self._registry.delete(ObjectRef(PODS, key[0], name))
        except ApiError as error:
            if error.code != 404:
                raise
            self._pods[uid].pop(name, None)
            return
        self._pods[uid][name] = pod
        self._recorder.event(JOBS, job, "SuccessfulDelete", f"Deleted pod: {name}")

    def _create_pods(self, key: Key, job: Json, new_pods: Sequence[NewPod]) -> int:
        """Create pods until one fails, which is recorded and retried; returns how many are missing."""
        for number, new in enumerate(new_pods):
            try:
                pod = self._registry.create(PODS, _build_pod(job, new), namespace=key[0]).object
            except ApiError as error:
                self._on_create_failed(key, job, error)
                return len(new_pods) - number
            self._on_pod_created(job, pod)
        self._create_failures.pop(key, None)
        return 0

    def _create_reviewed_pods(self, key: Key, job: Json, new_pods: Sequence[NewPod]) -> None:
        """Create pods after their review by webhooks."""

        def done(created: Sequence[Json], error: ApiError | None) -> None:
            self._awaiting_admission.discard(key)
            for pod in created:
                self._on_pod_created(job, pod)
            if error is not None:
                self._on_create_failed(key, job, error)
            else:
                self._create_failures.pop(key, None)
                self._enqueue_after(self.sync, key, 0.0)

        self._awaiting_admission.add(key)
        self._pod_admission.create_pods(key[0], [_build_pod(job, new) for new in new_pods], done)

    def _on_pod_created(self, job: Json, pod: Json) -> None:
        if self._is_newer(job["metadata"]["uid"], pod):
            self._track_pod(pod)
        self._recorder.event(JOBS, job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    def _on_create_failed(self, key: Key, job: Json, error: ApiError) -> None:
        times = self._create_failures.get(key, 0)
        self._create_failures[key] = times + 1
        self._recorder.event(JOBS, job, "FailedCreate", f"Error creating: {error.message}", event_type="Warning")
        self._enqueue_after(self.sync, key, min(_MIN_RETRY_DELAY * 2 ** min(times, 10), _MAX_RETRY_DELAY))

    def _retry_failed_creates(self, namespace: str) -> None:
        """Retry failed creates, the longest waiting first, until one fails again: a quota may have room again."""
        for key in [key for key in self._create_failures if key[0] == namespace]:
            self.sync(key)
            if key in self._create_failures:
                return

    def _record_condition_events(self, job: Json, status: Json) -> None:
        before: list[Json] = (job.get("status") or {}).get("conditions") or []
        after: list[Json] = status.get("conditions") or []
        if true_condition(after, "Complete"):
            self._recorder.event(JOBS, job, "Completed", "Job completed")
        elif (failed := true_condition(after, "Failed")) is not None:
            self._recorder.event(JOBS, job, failed["reason"], failed["message"], event_type="Warning")
        suspended = [true_condition(conditions, "Suspended") is not None for conditions in (before, after)]
        if suspended == [False, True]:
            self._recorder.event(JOBS, job, "Suspended", "Job suspended")
        elif suspended == [True, False]:
            self._recorder.event(JOBS, job, "Resumed", "Job resumed")


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _without_pods(status: Json | None, pods: int) -> Json | None:
    """The decided status, if this many of its pods could not be created."""
    if status is None:
        return None
    active = int(status.get("active", 0)) - pods
    return {**status, "active": active} if active > 0 else {k: v for k, v in status.items() if k != "active"}


def _controller_reference(pod: Json) -> Json | None:
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") == "Job":
            found: Json = owner
            return found
    return None


def _build_pod(job: Json, new: NewPod) -> Json:
    template, metadata = job["spec"]["template"], job["metadata"]
    template_metadata = template.get("metadata") or {}
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
            "labels": dict(template_metadata.get("labels") or {}),
            "finalizers": [*(template_metadata.get("finalizers") or ()), FINALIZER],
            "ownerReferences": [owner],
        },
        # A copy, because the registry sets defaults in it.
        "spec": copy_json(template["spec"]),
    }
    if template_metadata.get("annotations"):
        pod["metadata"]["annotations"] = dict(template_metadata["annotations"])
    if new.index is not None:
        apply_index(pod, metadata["name"], new.index, new.failures)
    return pod
