"""Whose Jobs and pods are: controller references with uids decide, labels and names do not."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.cache.owned_resources import OwnedResources
from controller.run_types.keys import AttemptKey, RunKey

Json = dict[str, Any]
KEY = RunKey("team", "ci-1")
RUN = {"kind": "PipelineRun", "name": "ci-1", "uid": "run-uid", "controller": True}
ATTEMPT = AttemptKey("a", 1)


def job(name: str = "ci-1--a-1", **metadata: Any) -> Json:
    labels = {"c8s.dev/run": "ci-1", "c8s.dev/step": "a", "c8s.dev/attempt": "1"}
    known = {"name": name, "namespace": "team", "uid": "job-uid", "labels": labels, "ownerReferences": [RUN]}
    return {"metadata": {**known, **metadata}}


def pod(uid: str = "pod-uid", *, job_uid: str = "job-uid", **metadata: Any) -> Json:
    owner = {"kind": "Job", "name": "ci-1--a-1", "uid": job_uid, "controller": True}
    return {"metadata": {"name": "p", "namespace": "team", "uid": uid, "ownerReferences": [owner], **metadata}}


def owned(*jobs: Json, pods: tuple[Json, ...] = ()) -> OwnedResources:
    found = OwnedResources()
    for each in jobs:
        found.update_job(KEY, each, deleted=False, keep_ended=True)
    for each in pods:
        found.update_pod(KEY, each, deleted=False, keep_ended=True)
    return found


def test_pod_of_the_attempts_job_is_found() -> None:
    assert owned(job(), pods=(pod(),)).pods(KEY, "run-uid") == {ATTEMPT: pod()}
    assert owned(job(), pods=(pod(),)).pods(KEY, "uid-of-a-later-run") == {}


@pytest.mark.parametrize(
    "forged",
    [
        job("evil"),
        job(ownerReferences=[]),
        job(ownerReferences=[{**RUN, "controller": False}]),
        job(ownerReferences=[{**RUN, "kind": "Job"}]),
        job(ownerReferences=[{**RUN, "uid": "uid-of-an-earlier-run"}]),
        job(labels={"c8s.dev/run": "ci-1"}),
    ],
)
def test_job_that_is_not_the_attempts_has_no_pods(forged: Json) -> None:
    found = owned(forged, pods=(pod(),))
    assert (found.jobs(KEY, "run-uid"), found.pods(KEY, "run-uid")) == ({}, {})


def test_pod_counts_for_the_attempt_of_its_job_whatever_its_labels() -> None:
    labels = {"c8s.dev/run": "ci-1", "c8s.dev/step": "other", "c8s.dev/attempt": "7"}
    assert set(owned(job(), pods=(pod(labels=labels),)).pods(KEY, "run-uid")) == {ATTEMPT}


def test_pod_that_was_seen_before_its_job_is_recognized_with_it() -> None:
    found = owned(pods=(pod(),))
    assert found.pods(KEY, "run-uid") == {}
    assert found.update_job(KEY, job(), deleted=False, keep_ended=True) is True
    assert set(found.pods(KEY, "run-uid")) == {ATTEMPT}
    assert found.update_job(KEY, job(), deleted=False, keep_ended=True) is False


def test_pod_outlives_its_job_while_the_run_is_active() -> None:
    found = owned(job(), pods=(pod(),))
    found.update_job(KEY, job(), deleted=True, keep_ended=True)
    assert set(found.pods(KEY, "run-uid")) == {ATTEMPT}
    found = owned(job(), pods=(pod(),))
    found.update_job(KEY, job(), deleted=True, keep_ended=False)
    assert found.pods(KEY, "run-uid") == {}
