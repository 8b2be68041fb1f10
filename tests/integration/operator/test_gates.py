"""Pods that wait at their gates, whatever becomes of the operator meanwhile: each begins once, or not at all."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.run_controller.stage import Json, Stage, stage
from controller import labels
from controller.operator.gate import Opening, is_closed
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
"""A machine with much other work takes several times as long."""
_TIMEOUT = 120.0
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


class Chain:
    """A run of two steps: the first ends when it is released, the second notes that it ran."""

    def __init__(self, on: Stage, name: str, *, code: int = 0, **spec: Any) -> None:
        self.on, self.name = on, name
        self.release, self.ran = on.folder / f"{name}-release", on.folder / f"{name}-ran"
        wait = f"until test -e {self.release}; do sleep 0.02; done"
        first = {"name": "first", "image": "none:1", "commands": [wait, "echo made > out", f"exit {code}"]}
        note = f"cat out; echo $C8S_ATTEMPT >> {self.ran}"
        second = {"name": "second", "image": "none:1", "commands": [note], "dependsOn": ["first"]}
        steps = [{**first, "artifacts": ["out"]}, second]
        run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}}
        on.call("POST", RUNS, {**run, "spec": {"pipeline": {"name": "gates", "steps": steps}, **spec}})

    def status(self) -> Json:
        found: Json = self.on.call("GET", f"{RUNS}/{self.name}").get("status") or {}
        return found

    def step(self, index: int = 1) -> Json:
        steps = self.status().get("steps") or [{}, {}]
        found: Json = steps[index]
        return found

    def job(self) -> Json | None:
        """The Job of the second step."""
        jobs = self.on.call("GET", f"{JOBS}?labelSelector=c8s.dev/run%3D{self.name},c8s.dev/step%3Dsecond")["items"]
        return jobs[0] if jobs else None

    def wait_at_gate(self) -> None:
        """Until the agent of the second step waits, and the status says so."""
        wait_until(lambda: self.step().get("reason") == "WaitingAtGate", _TIMEOUT, what="the step at its gate")
        wait_until(lambda: "is ready" in self.step().get("message", ""), _TIMEOUT, what="its pod")

    def end(self) -> Json:
        wait_until(lambda: self.status().get("phase") in ("Succeeded", "Failed", "Cancelled"), _TIMEOUT, what="the end")
        return self.status()

    def runs(self) -> list[str]:
        """The attempts in which the second step ran."""
        return self.ran.read_text().split() if self.ran.exists() else []

    def first_has_ended(self) -> None:
        """Until the cluster knows that, which takes no operator, and its artifacts are stored."""

        def ended() -> bool:
            pods = self.on.call("GET", f"{PODS}?labelSelector=c8s.dev/run%3D{self.name},c8s.dev/step%3Dfirst")["items"]
            return bool(pods) and all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in pods)

        wait_until(ended, _TIMEOUT, what="the end of the first step")


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        found.start_operator()
        yield found


def test_killed_between_making_and_opening(on: Stage) -> None:
    chain = Chain(on, "killed-1")
    chain.wait_at_gate()
    on.kill_operator()
    on.start_operator()
    chain.wait_at_gate()
    on.kill_operator()
    chain.release.touch()
    chain.first_has_ended()
    assert chain.runs() == []
    job = chain.job()
    assert job is not None
    assert is_closed(job)
    on.start_operator()
    status = chain.end()
    assert (status["phase"], chain.runs()) == ("Succeeded", ["1"])
    [attempt] = status["steps"][1]["attempts"]
    assert attempt["early"] is True
    first_ended = status["steps"][0]["completionTime"]
    assert attempt["times"]["created"] >= first_ended, "it counts from when it was due"


def test_killed_after_the_opening_was_noted_and_before_the_status(on: Stage) -> None:
    chain = Chain(on, "opened-1")
    chain.wait_at_gate()
    on.kill_operator()
    chain.release.touch()
    chain.first_has_ended()
    job = chain.job()
    assert job is not None
    opened = {labels.OPENED: Opening(datetime.now(UTC)).encode()}
    on.change(f"{JOBS}/{job['metadata']['name']}", lambda found: found["metadata"]["annotations"].update(opened))
    wait_until(lambda: chain.runs() == ["1"], _TIMEOUT, what="it begins without an operator")
    assert "attempts" not in chain.step()
    on.start_operator()
    status = chain.end()
    assert (status["phase"], chain.runs(), status["steps"][1]["attempts"][0]["early"]) == ("Succeeded", ["1"], True)


@pytest.mark.parametrize("how", ["failed", "cancelled", "deleted"])
def test_killed_before_a_step_turns_out_not_to_run(on: Stage, how: str) -> None:
    chain = Chain(on, "skipped-1", code=3)
    chain.wait_at_gate()
    on.kill_operator()
    if how == "cancelled":
        on.change(f"{RUNS}/{chain.name}", lambda run: run["spec"].update(cancel=True))
    elif how == "deleted":
        on.call("DELETE", f"{RUNS}/{chain.name}")
    else:
        chain.release.touch()
        chain.first_has_ended()
    on.start_operator()
    if how == "deleted":
        wait_until(lambda: chain.name not in str(on.call("GET", RUNS)), _TIMEOUT, what="the end of the run")
    else:
        status = chain.end()
        phase = {"failed": "Skipped", "cancelled": "Cancelled"}[how]
        assert (status["steps"][1]["phase"], "attempts" in status["steps"][1]) == (phase, False)
    assert (chain.job(), chain.runs()) == (None, [])

    def pods() -> list[Json]:
        found: list[Json] = on.call("GET", f"{PODS}?labelSelector=c8s.dev/run%3D{chain.name},c8s.dev/step%3Dsecond")[
            "items"
        ]
        return found

    wait_until(lambda: not pods(), _TIMEOUT, what="the end of its pod")


def test_job_that_is_made_after_the_end_of_its_run_is_removed(on: Stage) -> None:
    """What a leader does that was cut off: the request arrives after another one has ended the run."""
    chain = Chain(on, "late-1")
    chain.wait_at_gate()
    job = chain.job()
    assert job is not None
    on.change(f"{RUNS}/{chain.name}", lambda run: run["spec"].update(cancel=True))
    assert chain.end()["phase"] == "Cancelled"
    kept = {name: job["metadata"][name] for name in ("name", "namespace", "labels", "annotations", "ownerReferences")}
    template = job["spec"]["template"]
    for name in [name for name in template["metadata"]["labels"] if "controller-uid" in name or "job-name" in name]:
        del template["metadata"]["labels"][name]
    spec = {"backoffLimit": 0, "template": template}
    on.call("POST", JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": kept, "spec": spec})
    wait_until(lambda: chain.job() is None, _TIMEOUT, what="its removal")
    assert chain.runs() == []


def test_step_that_is_held_when_it_is_due_outlives_its_operator(on: Stage) -> None:
    chain = Chain(on, "held-1")
    chain.wait_at_gate()
    held = [{"step": "second", "at": "before"}]
    on.change(f"{RUNS}/{chain.name}", lambda run: run["spec"].update(breakpoints=held))
    chain.release.touch()
    wait_until(lambda: chain.step().get("reason") == "Held", _TIMEOUT, what="the hold")
    on.kill_operator()
    on.start_operator()
    wait_until(lambda: chain.status().get("phase") == "Running", _TIMEOUT, what="the run")
    assert (chain.step()["reason"], chain.runs()) == ("Held", [])
    path = f"/api/v1/namespaces/default/runs/{chain.name}/steps/second/continue"
    _call_api(on, path, {"action": "go"})
    assert (chain.end()["phase"], chain.runs()) == ("Succeeded", ["1"])


def test_waiting_pods_make_room_for_a_quota(on: Stage) -> None:
    quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "2"}}}
    on.call("POST", "/api/v1/namespaces/default/resourcequotas", {"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    chain = Chain(on, "room-1")
    chain.wait_at_gate()
    other = Chain(on, "room-2")
    other.release.touch()
    assert other.end()["phase"] == "Succeeded"
    assert chain.job() is None
    wait_until(lambda: chain.step()["reason"] == "WaitingForSteps", _TIMEOUT, what="the status")
    chain.release.touch()
    status = chain.end()
    assert (status["phase"], chain.runs()) == ("Succeeded", ["1"])
    assert "early" not in status["steps"][1]["attempts"][0]


def test_waiting_pods_make_room_for_pods_of_others(on: Stage) -> None:
    chain = Chain(on, "others-1")
    chain.wait_at_gate()
    spec = {"containers": [{"name": "a", "image": "none:1"}], "schedulingGates": [{"name": "example.org/held"}]}
    other = on.call("POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": spec})
    # What a scheduler says that finds no node for it.
    lacking = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    # The scheduler writes it too.
    del other["metadata"]["resourceVersion"]
    other["status"] = {"phase": "Pending", "conditions": [lacking]}
    on.call("PUT", f"{PODS}/other/status", other)
    wait_until(lambda: chain.job() is None, _TIMEOUT, what="the removal of what waits")
    wait_until(lambda: chain.step()["reason"] == "WaitingForSteps", _TIMEOUT, what="the status")
    later = Chain(on, "others-2")
    wait_until(lambda: later.step(0).get("phase") == "Running", _TIMEOUT, what="the start of another run")
    assert later.job() is None, "nothing is made ahead meanwhile"
    for each in (chain, later):
        each.release.touch()
        assert (each.end()["phase"], each.runs()) == ("Succeeded", ["1"])


def _call_api(on: Stage, path: str, body: Json) -> None:
    headers = {"Authorization": "Bearer kill-token", "Content-Type": "application/json"}
    request = urllib.request.Request(on.api + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202


def test_operator_that_is_stopped_for_good_opens_nothing(on: Stage) -> None:
    """Its pods wait: that the step before has ended is nobody's business but the operator's."""
    chain = Chain(on, "silent-1")
    chain.wait_at_gate()
    assert on.operator is not None
    on.operator.send_signal(signal.SIGSTOP)
    try:
        chain.release.touch()
        chain.first_has_ended()
        assert chain.runs() == []
    finally:
        on.operator.send_signal(signal.SIGCONT)
    assert (chain.end()["phase"], chain.runs()) == ("Succeeded", ["1"])
