"""Services as sidecars of a step's pod, and what is said when one does not start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.operator import names
from controller.operator.workload import services
from controller.operator.workload.job import JobSpec, build_job
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from tests.unit.controller.operator.world import SETTINGS, World, build_run, step

Json = dict[str, Any]
DB = {
    "name": "db",
    "image": "postgres:{{matrix.version}}",
    "env": {"HOME": "/tmp/{{run.name}}", "MONEY": "$(HOME) $$"},
    "ready": {"port": 5432},
}


def sidecars(*found: Json, **more: Any) -> list[Json]:
    run = build_run([step("a", services=list(found), matrix={"dimensions": {"version": ["16"]}}, **more)])
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    plan = JobSpec(run, pipeline, expand_steps(pipeline)[0], 1, RunContext("ci-1", "1", "", "main", {}), ())
    pod: Json = build_job(plan, SETTINGS)["spec"]["template"]["spec"]
    return list(pod.get("initContainers") or [])


def test_a_service_is_a_native_sidecar_that_the_step_waits_for() -> None:
    (container,) = sidecars(DB)
    assert (container["name"], container["image"], container["restartPolicy"]) == ("svc-db", "postgres:16", "Always")
    assert container["startupProbe"]["tcpSocket"] == {"port": 5432}
    assert "readinessProbe" not in container
    assert "command" not in container, "it runs what its image runs"
    assert container["env"] == [
        {"name": "HOME", "value": "/tmp/ci-1"},
        {"name": "MONEY", "value": "$$(HOME) $$$$"},
    ]


def test_commands_replace_what_the_image_runs() -> None:
    (container,) = sidecars({**DB, "commands": ["serve $PORT"], "ready": {"exec": ["test", "-e", "up"]}})
    assert container["command"][:2] == ["sh", "-c"]
    assert container["command"][4] == "serve $$PORT"
    assert container["startupProbe"]["exec"] == {"command": ["test", "-e", "up"]}


def test_services_start_once_the_agent_has_fetched_and_stop_before_it() -> None:
    """Sidecars are stopped in the order opposite to that of their start."""
    run = build_run([step("a", services=[DB], artifacts=["x"])], spec={"source": {"archive": {"digest": "sha256:00"}}})
    run["spec"]["pipeline"]["steps"][0]["services"][0]["image"] = "postgres"
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    plan = JobSpec(run, pipeline, expand_steps(pipeline)[0], 1, RunContext("ci-1", "1", "", "main", {}), ())
    pod = build_job(plan, SETTINGS)["spec"]["template"]["spec"]
    agent, service = pod["initContainers"]
    assert (agent["name"], service["name"]) == ("agent", "svc-db")
    assert agent["startupProbe"]["exec"]["command"][-1] == f"{names.GATE_FOLDER}/fetched"
    assert {"name": "C8S_GATED_SERVICES", "value": "1"} in agent["env"]


def test_service_without_commands_fails_where_images_are_ignored() -> None:
    world = World(step("a", services=[{**DB, "image": "postgres"}]))
    world.runtime = {"name": "process://1", "images": "ignored"}
    world.reconcile()
    assert world.started == []
    entry = world.step_status("a")
    assert (entry["phase"], entry["reason"]) == ("Failed", "ServiceFailed")
    assert "the service db has no commands, and images are ignored here" in entry["message"]


def pod_of(**status: Any) -> Json:
    return {"status": {"initContainerStatuses": [{"name": "agent", "restartCount": 9}, {"name": "svc-db", **status}]}}


@pytest.mark.parametrize(
    ("status", "said", "given_up"),
    [
        ({"state": {"running": {}}, "started": False}, "waits for the service db to be ready", False),
        ({"state": {"terminated": {"exitCode": 1}}}, "the service db does not start: exit code 1", False),
        (
            {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 2}}, "restartCount": 3},
            "the service db does not start: exit code 2",
            True,
        ),
    ],
)
def test_a_service_that_is_not_ready_is_reported(status: Json, said: str, given_up: bool) -> None:
    failure = services.startup_failure(pod_of(**status))
    assert failure is not None
    assert failure[0].startswith(said)
    assert failure[1] is given_up


def test_a_service_that_is_ready_is_no_trouble() -> None:
    assert services.startup_failure(pod_of(started=True, state={"running": {}})) is None


def test_step_fails_and_stops_when_its_service_does_not_start() -> None:
    world = World(step("a", services=[{**DB, "image": "postgres", "commands": ["exit 1"]}]))
    world.reconcile()
    world.reconcile()
    world.set_pod(
        "a",
        phase="Pending",
        containerStatuses=[{"name": "step", "state": {"waiting": {"reason": "PodInitializing"}}}],
        initContainerStatuses=[{"name": "svc-db", "state": {"terminated": {"exitCode": 1}}, "restartCount": 3}],
    )
    world.now += timedelta(seconds=5)
    world.reconcile()
    entry = world.step_status("a")
    assert (entry["phase"], entry["reason"]) == ("Failed", "ServiceFailed")
    assert "the service db does not start: exit code 1; its log says more" in entry["message"]
    assert any(type(action).__name__ == "StopPod" for action in world.actions)
