"""What is kept of Jobs, pods and Events."""

from __future__ import annotations

from typing import Any

from controller import labels
from controller.operator.cache.owned_resources import attempt_key_of, controller_uid, run_key_of
from controller.operator.cache.trim import trim_event, trim_job, trim_pod
from controller.operator.decision.observation import AttemptView, Milestones, update_milestones
from controller.operator.decision.pod_verdict import evaluate_pod
from controller.operator.decision.pods.agent_report import AgentReport, read_report
from controller.operator.decision.pods.status import disruption_message, started_containers, uploads_artifacts
from controller.operator.workload.debug_copies import keeps_workspace_on_failure
from tests.unit.controller.operator.world import T0

Json = dict[str, Any]

METADATA = {
    "name": "ci-1--a-1",
    "namespace": "team",
    "uid": "u1",
    "resourceVersion": "7",
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "labels": {labels.RUN: "ci-1", labels.STEP: "a", labels.ATTEMPT: "1"},
    "annotations": {"x": "y" * 1000, labels.AGENT_REPORT: '{"code": 0}'},
    "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
    "ownerReferences": [{"kind": "Job", "uid": "u0", "controller": True}],
}
SCRIPT = ["sh", "-c", "true\n" * 1000]


def pod(**status: Any) -> Json:
    agent = {
        "name": "agent",
        "image": "agent:1",
        "command": SCRIPT,
        "env": [{"name": "C8S_ARTIFACTS", "value": '["out/**"]'}, {"name": "C8S_KEEP_WORKSPACE", "value": "1"}],
    }
    service = {"name": "service-db", "image": "db:1", "command": SCRIPT, "env": [{"name": "X", "value": "1"}]}
    spec = {
        "nodeName": "n1",
        "activeDeadlineSeconds": 1,
        "containers": [{"name": "step", "image": "alpine:3", "command": SCRIPT, "volumeMounts": [{"name": "w"}]}],
        "initContainers": [service, agent],
        "volumes": [{"name": "w", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": METADATA, "spec": spec, "status": status}


def container(name: str, **state: Any) -> Json:
    return {"name": name, "image": "x", "imageID": "y" * 100, "state": state, "restartCount": 0, "ready": True}


def test_a_trimmed_pod_is_judged_like_the_pod() -> None:
    ended = {"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:00:09Z"}}
    running = {"running": {"startedAt": "2026-01-01T00:00:05Z"}}
    pods = [
        pod(),
        pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": "no node"}]),
        pod(phase="Pending", containerStatuses=[container("step", waiting={"reason": "ErrImagePull", "message": "m"})]),
        pod(phase="Running", containerStatuses=[container("step", **running)]),
        pod(phase="Failed", containerStatuses=[container("step", **ended)], initContainerStatuses=[]),
        pod(phase="Failed", reason="Evicted", message="the node was low on memory"),
        {**pod(phase="Running"), "metadata": {**METADATA, "deletionTimestamp": "2026-01-01T00:00:09Z"}},
    ]
    for whole in pods:
        trimmed = trim_pod(whole)
        verdicts = [evaluate_pod(AttemptView(pod=each), artifacts=True, memory_limit=None) for each in (whole, trimmed)]
        assert verdicts[0] == verdicts[1]
        for read in (attempt_key_of, run_key_of, disruption_message, started_containers, uploads_artifacts):
            assert read(trimmed) == read(whole)  # type: ignore[operator]
        assert keeps_workspace_on_failure(trimmed) == keeps_workspace_on_failure(whole)
        assert controller_uid(trimmed, "Job") == "u0"
        assert update_milestones(trimmed, Milestones(), T0) == update_milestones(whole, Milestones(), T0)
        assert trim_pod(trimmed) == trimmed


def test_nothing_large_is_kept() -> None:
    job = {
        "metadata": METADATA,
        "spec": {"template": {"spec": pod()["spec"]}, "ttlSecondsAfterFinished": 60},
        "status": {"conditions": [{"type": "Complete"}], "uncountedTerminatedPods": {}},
    }
    event = {"metadata": METADATA, "involvedObject": {"uid": "u1"}, "message": "m", "reason": "Pulling", "count": 1}
    assert trim_job(job)["spec"] == {
        "ttlSecondsAfterFinished": 60,
        "template": {"spec": {"volumes": [{"name": "w"}]}},
    }
    assert trim_job(job)["status"] == {"conditions": [{"type": "Complete"}]}
    assert trim_event(event)["involvedObject"] == {"uid": "u1"}
    assert all(len(str(each)) < 1200 for each in (trim_job(job), trim_pod(pod()), trim_event(event)))
    assert read_report(trim_job(job), None) == read_report(job, None) == AgentReport(code=0)
    assert "resourceVersion" in trim_job(job)["metadata"]
