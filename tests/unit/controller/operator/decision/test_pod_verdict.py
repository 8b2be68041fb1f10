"""What is made of a pod: shapes as Kubernetes 1.36.2 has served them, and a few of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.operator.decision.observation import AttemptView, Milestones, update_milestones
from controller.operator.decision.pod_verdict import PodVerdict, evaluate_pod
from controller.operator.decision.pods.agent_report import AgentReport
from controller.operator.decision.pods.status import started_containers

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 7, 45, 19, tzinfo=UTC)
CONDITIONS = [{"type": "PodScheduled", "status": "True"}]


def container(name: str, state: Json) -> Json:
    return {"name": name, "restartCount": 0, "state": state, "lastState": {}, "image": "busybox:1.36"}


def ended(code: int, reason: str = "") -> Json:
    found = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error")}
    return {"terminated": {**found, "startedAt": "2026-11-23T07:45:18Z", "finishedAt": "2026-11-23T07:45:18Z"}}


# As in the recorded `init-containers-and-native-sidecar`, `job-fails`, `init-container-fails` and
# `missing-secret-holds-the-container`.
SHAPED = {
    "phase": "Succeeded",
    "conditions": CONDITIONS,
    "containerStatuses": [container("step", ended(0))],
    "initContainerStatuses": [container("agent", ended(0))],
}
BAD = {"phase": "Failed", "conditions": CONDITIONS, "containerStatuses": [container("step", ended(3))]}
REFUSED = {
    "phase": "Failed",
    "conditions": CONDITIONS,
    "containerStatuses": [container("step", ended(121))],
    "initContainerStatuses": [container("agent", ended(3))],
}
NO_SECRET = {
    "phase": "Pending",
    "conditions": CONDITIONS,
    "containerStatuses": [
        container("step", {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "nope" not found'}})
    ],
}


def pod(status: Json, **metadata: Any) -> Json:
    spec = {"nodeName": "lab", "containers": [{"name": "step", "image": "busybox:1.36"}]}
    if "initContainerStatuses" in status:
        spec["initContainers"] = [{"name": "agent"}]
    return {"metadata": {"uid": "1", **metadata}, "spec": spec, "status": status}


def seen(status: Json, *, artifacts: bool = False, manifest_read: bool = False, **metadata: Any) -> PodVerdict:
    view = AttemptView(pod=pod(status, **metadata), manifest_read=manifest_read)
    return evaluate_pod(view, artifacts=artifacts, memory_limit="1Gi")


def waiting(reason: str, message: str = "") -> Json:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "conditions": CONDITIONS, "containerStatuses": [container("step", state)]}


def test_succeeded_step_does_not_wait_for_its_pod() -> None:
    assert seen({**SHAPED, "phase": "Running"}).phase == "Succeeded"


def test_a_step_that_ended_badly_tells_its_exit_code() -> None:
    found = seen(BAD)
    assert found.phase == "Failed"
    assert found.reason == "ExitCode"
    assert found.message == "exit code 3"
    assert found.exit_code == 3


def test_the_termination_message_of_a_step_is_not_told() -> None:
    """A step writes what it likes to /dev/termination-log, and it is not masked."""
    state = ended(3)
    state["terminated"]["message"] = "correct-horse-battery-staple"
    status = {**BAD, "containerStatuses": [container("step", state)]}
    assert "correct-horse" not in str(seen(status))


def test_a_step_that_a_signal_ended_says_so() -> None:
    status = {**BAD, "containerStatuses": [container("step", ended(137))]}
    assert seen(status).message.startswith("exit code 137 (killed by ")


def test_a_step_killed_for_its_memory_tells_its_limit() -> None:
    status = {**BAD, "containerStatuses": [container("step", ended(137, "OOMKilled"))]}
    assert seen(status).message == "killed: it used more memory than its limit of 1Gi"


def test_a_step_whose_source_could_not_be_fetched_never_began() -> None:
    found = seen(REFUSED)
    assert (found.phase, found.reason) == ("Failed", "FetchFailed")
    assert "exit code 3; the log of agent says more" in found.message
    assert found.exit_code is None


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (NO_SECRET, "SecretMissing", 'secret "nope" not found'),
        (waiting("ImagePullBackOff", "no such image"), "ImagePull", "the image busybox:1.36 can't be pulled"),
        (waiting("ContainerCreating"), "Starting", "the pod is starting"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}],
            },
            "Unschedulable",
            "Insufficient cpu",
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [container("step", {"running": {}})],
                "initContainerStatuses": [container("agent", {"running": {}})],
            },
            "Fetching",
            "are being fetched",
        ),
    ],
)
def test_a_step_that_waits_says_why(status: Json, reason: str, words: str) -> None:
    found = seen(status)
    assert (found.phase, found.reason) == (None, reason)
    assert words in found.message


@pytest.mark.parametrize(
    ("status", "metadata"),
    [
        ({**BAD, "reason": "Evicted", "message": "low on memory"}, {}),
        ({**BAD, "conditions": [{"type": "DisruptionTarget", "status": "True", "message": "preempted"}]}, {}),
        (BAD, {"deletionTimestamp": "2026-11-23T07:45:18Z"}),
        ({"phase": "Failed", "reason": "NodeLost"}, {}),
    ],
)
def test_what_was_taken_away_from_outside_is_disrupted(status: Json, metadata: Json) -> None:
    found = seen(status, **metadata)
    assert (found.phase, found.reason) == ("Failed", "Disrupted")
    assert found.message.startswith("interrupted: ")


def test_the_deadline_of_its_pod_is_a_timeout() -> None:
    status = {**BAD, "reason": "DeadlineExceeded", "containerStatuses": [container("step", ended(143))]}
    assert (seen(status).phase, seen(status).reason) == ("Failed", "Timeout")


def test_eviction_during_upload_is_a_disruption() -> None:
    status = {**SHAPED, "phase": "Failed", "reason": "Evicted"}
    assert seen(status, artifacts=True).reason == "Disrupted"
    deleted = {"deletionTimestamp": "2026-11-23T07:45:50Z", "deletionGracePeriodSeconds": 30}
    status = {**SHAPED, "phase": "Running"}
    assert seen(status, artifacts=True, **deleted).check_manifest, "it may have stored them all the same"
    assert seen(status, artifacts=True, manifest_read=True, **deleted).reason == "Disrupted"


def test_failed_upload_is_no_success_because_of_a_manifest() -> None:
    for code, phase in ((0, "Succeeded"), (1, "Failed"), (137, "Failed")):
        status = {**SHAPED, "initContainerStatuses": [container("agent", ended(code))]}
        view = AttemptView(pod=pod(status), manifest={"files": []}, manifest_read=True)
        found = evaluate_pod(view, artifacts=True, memory_limit=None)
        assert found.phase == phase, code
        assert found.reason == ("ArtifactUploadFailed" if code else "Succeeded")


def test_without_a_pod_the_job_tells_how_it_ended() -> None:
    def job(kind: str, *, pod_missing: bool = False) -> AttemptView:
        conditions = [{"type": kind, "status": "True", "message": "gone"}]
        return AttemptView(job={"status": {"conditions": conditions}}, pod_missing=pod_missing)

    assert evaluate_pod(job("Failed", pod_missing=True), artifacts=False, memory_limit=None).reason == "Disrupted"
    assert evaluate_pod(job("Failed"), artifacts=False, memory_limit=None).phase is None
    assert evaluate_pod(job("Complete"), artifacts=False, memory_limit=None).phase == "Succeeded"
    assert evaluate_pod(job("Complete"), artifacts=True, memory_limit=None).check_manifest
    assert evaluate_pod(AttemptView(job={}), artifacts=True, memory_limit=None).reason == "Created"


def test_containers_with_a_log_are_those_that_began() -> None:
    assert started_containers(pod(SHAPED)) == ["agent", "step"]
    assert started_containers(pod(NO_SECRET)) == []


def test_what_is_seen_happening_has_our_time_and_keeps_it() -> None:
    running = {"phase": "Running", "containerStatuses": [container("step", {"running": {}})]}
    first = update_milestones(pod(running), Milestones(), NOW)
    assert (first.scheduled, first.running, first.finished) == (NOW, NOW, None)
    second = update_milestones(pod(SHAPED), first, NOW + timedelta(milliseconds=5))
    assert (second.running, second.finished) == (NOW, NOW + timedelta(milliseconds=5))


def test_late_observations_use_the_times_in_the_pod() -> None:
    found = update_milestones(pod(SHAPED), Milestones(), NOW + timedelta(hours=1))
    assert found.finished == datetime(2026, 11, 23, 7, 45, 18, tzinfo=UTC)
    assert found.running == found.finished


def test_large_exit_code_that_is_no_signal_is_reported_alone() -> None:
    status = {**BAD, "containerStatuses": [container("step", ended(200))]}
    assert seen(status).message == "exit code 200"


AGENT_RUNS = {"initContainerStatuses": [container("agent", {"running": {}})]}


def test_refused_step_waits_for_the_reason_of_its_agent() -> None:
    status = {"phase": "Running", "containerStatuses": [container("step", ended(121))], **AGENT_RUNS}
    assert (seen(status).phase, seen(status).reason) == (None, "Fetching")
    assert seen({**status, "initContainerStatuses": [container("agent", ended(143))]}).reason == "ExitCode"


def test_step_that_ends_with_the_code_of_a_refusal_has_failed_by_itself() -> None:
    status = {**SHAPED, "phase": "Failed", "containerStatuses": [container("step", ended(121))]}
    assert (seen(status).reason, seen(status).exit_code) == ("ExitCode", 121)


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_agent_that_failed_and_was_started_again_has_failed(phase: str) -> None:
    """Where services wait for it, it ends at once, and the kubelet starts it again."""
    agent = container("agent", {"running": {}}) | {"lastState": ended(3), "restartCount": 1}
    state = {"waiting": {"reason": "PodInitializing"}} if phase == "Pending" else {"running": {}}
    status = {"phase": phase, "containerStatuses": [container("step", state)], "initContainerStatuses": [agent]}
    assert (seen(status).phase, seen(status).reason) == ("Failed", "FetchFailed")


def test_agent_that_does_not_start_is_given_up() -> None:
    back_off = {"waiting": {"reason": "CrashLoopBackOff"}}
    agent = container("agent", back_off) | {"lastState": ended(2), "restartCount": 3}
    status = {
        "phase": "Running",
        "containerStatuses": [container("step", {"running": {}})],
        "initContainerStatuses": [agent],
    }
    found = seen(status)
    assert (found.phase, found.reason) == ("Failed", "FetchFailed")
    assert "its agent does not start: exit code 2" in found.message
    view = AttemptView(pod=pod(status), report=AgentReport(began=NOW), milestones=Milestones(running=NOW))
    assert evaluate_pod(view, artifacts=False, memory_limit=None).reason == "Running", "its commands go on without it"


def test_commands_run_once_the_agent_tells_that_they_began() -> None:
    status = {"phase": "Running", "containerStatuses": [container("step", {"running": {}})], **AGENT_RUNS}
    milestones = update_milestones(pod(status), Milestones(), NOW)
    assert (milestones.fetching, milestones.running) == (NOW, None)
    report = AgentReport(began=NOW + timedelta(seconds=2))
    view = AttemptView(pod=pod(status), report=report, milestones=milestones.with_report(report))
    assert view.milestones.running == NOW + timedelta(seconds=2)
    assert evaluate_pod(view, artifacts=False, memory_limit=None).reason == "Running"


def test_begin_is_what_the_agent_left_or_else_the_start_of_the_container() -> None:
    def running(agent: Json, code: int = 0) -> datetime | None:
        status = {
            **SHAPED,
            "containerStatuses": [container("step", ended(code))],
            "initContainerStatuses": [container("agent", agent)],
        }
        return update_milestones(pod(status), Milestones(), NOW).running

    left = ended(0)
    left["terminated"]["message"] = '{"began":"2026-11-23T07:45:18.250000Z","code":0}'
    assert running(left) == datetime(2026, 11, 23, 7, 45, 18, 250_000, tzinfo=UTC)
    for message in ("", "{", "[]", '{"began": 1}', '{"began": "2026-11-23T07:45:18"}'):
        left["terminated"]["message"] = message
        assert running(left) == NOW, message
    assert running(ended(3), 121) is None, "it never began"
