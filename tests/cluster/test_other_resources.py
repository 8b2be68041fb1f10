"""Queues and mounted secrets in a cluster that has neither Kueue nor the Secrets Store CSI driver."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex
from typing import Any

from tests.cluster.conftest import WAIT_SECONDS, Program
from tests.support.waiting import wait_until

OVER = ("Succeeded", "Failed", "Cancelled")
STEP = {"name": "a", "image": "busybox:1.36", "commands": ["echo ran"]}


def start(cluster: Program, **pipeline: Any) -> str:
    name = f"other-{token_hex(3)}"
    spec = {"pipeline": {"name": "other", "steps": [STEP], **pipeline}, "branch": "main", "event": "manual"}
    obj = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    return name


def step(cluster: Program, run: str) -> dict[str, Any]:
    found = json.loads(cluster.kubectl("get", "pipelinerun", run, "-o", "json"))
    steps: list[dict[str, Any]] = (found.get("status") or {}).get("steps") or [{}]
    return steps[0]


def job(cluster: Program, run: str) -> str:
    return cluster.kubectl("get", "jobs", "-l", f"c8s.dev/run={run}", "-o", "jsonpath={.items[*].metadata.name}")


def wait_for(cluster: Program, run: str, text: str) -> None:
    wait_until(lambda: text in step(cluster, run).get("message", ""), WAIT_SECONDS, what=f"{text!r} in the message")


def test_a_suspended_step_runs_once_it_is_resumed(cluster: Program) -> None:
    run = start(cluster, queue="nobody", timeout="10m")
    wait_for(cluster, run, "waits for admission to the queue nobody, but Kueue is not installed")
    assert step(cluster, run)["reason"] == "WaitingForAdmission"
    cluster.kubectl("patch", "job", job(cluster, run), "--type=merge", "-p", '{"spec": {"suspend": false}}')
    wait_until(lambda: cluster.phase(run) in OVER, WAIT_SECONDS, what="the end of the run")
    found = step(cluster, run)
    assert found["phase"] == "Succeeded"
    assert found["attempts"][0]["times"]["created"] < found["attempts"][0]["times"]["admitted"]


def test_a_step_that_is_suspended_again_is_disrupted_and_its_job_removed(cluster: Program) -> None:
    """What Kueue does to preempt a Job."""
    long = {**STEP, "commands": ["sleep 600"]}
    run = start(cluster, queue="nobody", steps=[long])
    wait_for(cluster, run, "waits for admission")
    first = job(cluster, run)
    cluster.kubectl("patch", "job", first, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    wait_until(lambda: step(cluster, run).get("phase") == "Running", WAIT_SECONDS, what="the step")
    cluster.kubectl("patch", "job", first, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    wait_until(lambda: len(step(cluster, run).get("attempts") or []) == 2, WAIT_SECONDS, what="another attempt")
    assert step(cluster, run)["attempts"][0]["reason"] == "Disrupted"
    wait_until(lambda: first not in job(cluster, run).split(), WAIT_SECONDS, what="the removal of the first Job")
    cluster.kubectl("patch", "pipelinerun", run, "--type=merge", "-p", '{"spec": {"cancel": true}}')
    wait_until(lambda: cluster.phase(run) == "Cancelled", WAIT_SECONDS, what="the cancellation")
    assert job(cluster, run) == ""


def test_a_class_that_the_cluster_lacks_is_refused(cluster: Program) -> None:
    """By the admission webhook as a rule, by the operator where the webhook was away."""
    use = {"class": "vault", "secret": "db"}
    spec = {"pipeline": {"name": "other", "steps": [{**STEP, "secretProviders": [use]}]}}
    meta = {"name": f"other-{token_hex(3)}"}
    obj = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": meta, "spec": spec}
    said = cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj), expect=None)
    if said:
        wait_for(cluster, meta["name"], "there is no SecretProviderClass vault")
        assert step(cluster, meta["name"])["reason"] == "SecretMissing"


def test_pods_of_steps_are_left_alone_by_autoscalers(cluster: Program, tmp_path: Path) -> None:
    run = start(cluster)
    wait_until(lambda: cluster.phase(run) in OVER, WAIT_SECONDS, what="the end of the run")
    pods = json.loads(cluster.kubectl("get", "pods", "-l", f"c8s.dev/run={run}", "-o", "json"))["items"]
    annotations = [each["metadata"]["annotations"] for each in pods]
    assert annotations
    assert all(each["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false" for each in annotations)
