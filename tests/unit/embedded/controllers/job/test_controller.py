"""How the Job controller writes: pods before statuses, and few statuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from embedded.api.scheme import JOBS, NAMESPACES, PODS, ObjectRef
from embedded.controllers.delay_queue import DelayQueue
from embedded.controllers.job.controller import JobController
from embedded.controllers.job.pod_admission import PodAdmission
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore, StoreEvent

Json = dict[str, Any]


class Cluster:
    """A registry with a Job controller that handles each change as it happens, and their time."""

    def __init__(self, store: SqliteStore) -> None:
        self.seconds = 0.0
        start = datetime(2026, 1, 2, tzinfo=UTC)
        self.registry = Registry(store, clock=lambda: start + timedelta(seconds=self.seconds))
        self.registry.create(NAMESPACES, {"metadata": {"name": "default"}})
        self.delays = DelayQueue(lambda: self.seconds)
        controller = JobController(
            self.registry, self.delays.add_after, PodAdmission(self.registry, None, lambda coroutine: None)
        )
        self.changes: list[StoreEvent] = []
        store.subscribe(self.changes.append)
        self._handled = 0
        self._observe = controller.observe

    def run(self, seconds: float) -> None:
        """Handle all changes, and what falls due in so many seconds."""
        end = self.seconds + seconds
        while True:
            while self._handled < len(self.changes):
                self._observe(self.changes[self._handled])
                self._handled += 1
            left = self.delays.next_delay()
            if left is None or self.seconds + left > end:
                self.seconds = end
                return
            self.seconds += left
            for sync, key in self.delays.pop_due():
                sync(key)

    def create_job(self, **spec: Any) -> None:
        pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
        job = {"metadata": {"name": "job"}, "spec": {"template": {"spec": pod}, **spec}}
        self.registry.create(JOBS, job, namespace="default")

    def pods(self) -> list[Json]:
        return self.registry.list(PODS, "default")

    def set_phase(self, pod: Json, phase: str) -> None:
        ref = ObjectRef(PODS, "default", pod["metadata"]["name"])
        ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
        status: Json = {"phase": phase, "conditions": [ready]}
        if phase == "Failed":
            ended = {"exitCode": 1, "finishedAt": format_time(self.registry.clock())}
            status["containerStatuses"] = [{"name": "main", "state": {"terminated": ended}}]
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        self.registry.update(ref, body, subresource="status")

    def job_statuses(self) -> list[Json]:
        """The statuses of the Job, one for each write of it."""
        jobs = [event.object for event in self.changes if event.key.resource == JOBS.key]
        return [job.get("status") or {} for job in jobs]


@pytest.fixture
def cluster(store: SqliteStore) -> Cluster:
    return Cluster(store)


def test_pod_is_created_before_the_status_is_written(cluster: Cluster) -> None:
    cluster.create_job()
    cluster.run(0)
    assert len(cluster.pods()) == 1
    assert cluster.job_statuses() == [{}]
    cluster.run(0.01)
    assert len(cluster.pods()) == 1
    assert [status.get("active") for status in cluster.job_statuses()] == [None, 1]
    assert cluster.job_statuses()[-1]["startTime"] == "2026-01-02T00:00:00Z"


def test_quick_pod_is_counted_with_two_statuses(cluster: Cluster) -> None:
    cluster.create_job()
    cluster.run(0.001)
    [pod] = cluster.pods()
    cluster.set_phase(pod, "Running")
    cluster.run(0.001)
    cluster.set_phase(pod, "Succeeded")
    cluster.run(0)
    counted, complete = cluster.job_statuses()[1:]
    assert counted["uncountedTerminatedPods"] == {"succeeded": [pod["metadata"]["uid"]]}
    assert (complete["succeeded"], complete["ready"]) == (1, 0)
    assert [each["type"] for each in complete["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert "finalizers" not in cluster.pods()[0]["metadata"]
    cluster.run(1)
    assert len(cluster.job_statuses()) == 3


def test_slow_pod_is_shown_as_active_and_ready(cluster: Cluster) -> None:
    cluster.create_job()
    cluster.run(0.1)
    cluster.set_phase(cluster.pods()[0], "Running")
    cluster.run(0.1)
    assert [(status.get("active"), status.get("ready")) for status in cluster.job_statuses()[1:]] == [(1, 0), (1, 1)]


def test_pods_of_a_large_job_are_created_without_a_pause(cluster: Cluster) -> None:
    cluster.create_job(parallelism=250, completions=250)
    cluster.run(0)
    assert len(cluster.pods()) == 250
    cluster.run(0.01)
    assert cluster.job_statuses()[-1]["active"] == 250


def test_failed_pod_is_replaced_after_its_back_off(cluster: Cluster) -> None:
    cluster.create_job()
    cluster.run(0.1)
    cluster.set_phase(cluster.pods()[0], "Failed")
    cluster.run(9)
    assert (len(cluster.pods()), cluster.job_statuses()[-1]["failed"]) == (1, 1)
    cluster.run(2)
    assert (len(cluster.pods()), cluster.job_statuses()[-1]["active"]) == (2, 1)
