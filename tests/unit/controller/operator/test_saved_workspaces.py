"""The workspaces of failed steps: which are kept, how the status learns of them, and runs that are copies of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.operator import names
from controller.operator.cache.run_plan import load_run_plan
from controller.operator.decision.inputs.reuse import KnownInputs
from controller.operator.decision.started_steps import find_settled_steps
from controller.operator.effects.retention import RetentionSweeper, is_expired, retained_objects, runs_over_limit
from controller.operator.manifests import crds
from controller.operator.workload.job import JobSpec, build_job
from tests.unit.controller.operator.effects.test_retention import MONTH, DeletingClient, FakeStore, Info, old, run
from tests.unit.controller.operator.manifests.test_generate import _fits
from tests.unit.controller.operator.workload.test_job import container_of, env_of, job_of, pod_of
from tests.unit.controller.operator.world import SETTINGS, T0, World, build_run, step

Json = dict[str, Any]
STORED = {"size": 123, "sha256": "0" * 64, "files": 4, "leftOut": 1}
KEPT = {"bytes": 123, "files": 4, "leftOut": 1}
COPIED = {"source": {"kept": {"run": "ci-3", "number": "3", "step": "test", "attempt": 2}}}


def agent_of(job: Json) -> Json:
    found: Json = next(each for each in pod_of(job)["initContainers"] if each["name"] == "agent")
    return found


@pytest.mark.parametrize(
    ("of_step", "of_pipeline", "keeps"),
    [({}, {}, False), ({"keepOnFailure": True}, {}, True), ({}, {"keepOnFailure": True}, True),
     ({"keepOnFailure": False}, {"keepOnFailure": True}, False)],
)  # fmt: skip
def test_keep_on_failure_of_step_overrides_pipeline(of_step: Json, of_pipeline: Json, keeps: bool) -> None:
    pod = pod_of(job_of(step("a", **of_step), **of_pipeline))
    assert ("initContainers" in pod) is keeps


def test_agent_of_saved_workspace_is_told_the_exit_code() -> None:
    job = job_of(step("a", keepOnFailure=True))
    environment = {each["name"]: each["value"] for each in agent_of(job)["env"]}
    assert (environment["C8S_KEEP_WORKSPACE"], environment["C8S_GATE"]) == ("1", names.GATE_FOLDER)
    assert container_of(job)["command"][-1] == names.REPORT_PIPE
    assert {"name": "gate", "mountPath": names.GATE_FOLDER} in agent_of(job)["volumeMounts"]
    assert {"name": "gate", "emptyDir": {}} in pod_of(job)["volumes"]
    assert pod_of(job)["terminationGracePeriodSeconds"] == 600


def test_the_step_that_clones_keeps_nothing() -> None:
    run_ = build_run([step("a")], spec={"source": {"git": {"url": "https://x/y"}}}, keepOnFailure=True)
    plan = load_run_plan(run_)
    spec = JobSpec(run_, plan.pipeline, plan.steps[0], 1, plan.run_context, (), is_clone_step=True)
    assert not spec.saves_workspace
    assert "initContainers" not in pod_of(build_job(spec, SETTINGS))


def test_debug_copy_has_variables_and_workspace_of_its_origin() -> None:
    job = job_of(step("test", env={"A": "{{run.name}}/{{run.number}}"}), spec=COPIED, run_name="ci-debug-1")
    env = env_of(job)
    assert (env["C8S_RUN"], env["C8S_ATTEMPT"], env["A"]) == ("ci-3", "2", "ci-3/3")
    [agent] = pod_of(job)["initContainers"]
    assert {"name": "C8S_FETCH_KEPT", "value": "1"} in agent["env"]
    assert job["metadata"]["labels"]["c8s.dev/run"] == "ci-debug-1"


class Keeping(World):
    """A run of one step that keeps; its agent has something to say once it has ended."""

    def __init__(self, **more: Any) -> None:
        super().__init__(step("a", keepOnFailure=True, **more))

    def set_pod(self, slug: str, number: int = 1, *, node: str | None = "node", **status: Any) -> Json:
        pod = super().set_pod(slug, number, node=node, **status)
        pod["spec"]["initContainers"] = [
            {"name": names.AGENT_CONTAINER, "env": [{"name": "C8S_KEEP_WORKSPACE", "value": "1"}]}
        ]
        return pod

    def failed(self, code: int = 1, number: int = 1) -> Keeping:
        """The step's container has ended, and its agent is still at work."""
        self.reconcile()
        self.start_step("a", number)
        self.reconcile()
        self.end_step("a", code, number, phase="Running")
        self.reconcile()
        return self

    def uploaded(self, number: int = 1) -> Keeping:
        self.end_step("a", 1, number, phase="Failed")
        self.reconcile()
        return self

    @property
    def attempt(self) -> Json:
        found: Json = self.step_status("a")["attempts"][0]
        return found


def test_run_waits_until_failed_workspace_is_stored() -> None:
    world = Keeping().failed()
    assert (world.step_status("a")["phase"], world.is_finished, "kept" in world.attempt) == ("Failed", False, False)
    world.reported_workspaces["a", 1] = STORED
    world.uploaded()
    assert (world.is_finished, world.attempt["kept"]) == (True, KEPT)
    _fits(world.status, crds.pipeline_run()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def test_problem_of_the_agent_is_reported() -> None:
    world = Keeping().failed()
    world.reported_workspaces["a", 1] = {"problem": "it has more than 512 MiB, packed"}
    assert world.uploaded().attempt["kept"] == {"problem": "it has more than 512 MiB, packed"}


def test_an_agent_that_said_nothing_is_a_problem_too() -> None:
    assert "did not finish" in Keeping().failed().uploaded().attempt["kept"]["problem"]


def test_a_store_that_never_answers_holds_no_run_for_ever() -> None:
    world = Keeping().failed()
    world.end_step("a", 1, phase="Failed")
    world.status = world.decide().status
    assert not world.is_finished
    world.pass_time(SETTINGS.log_timeout + 1)
    world.status = world.decide().status
    assert world.is_finished


def test_succeeded_and_cancelled_steps_save_no_workspace() -> None:
    fine = Keeping().run_step("a")
    assert (fine.is_finished, fine.workspaces_read) == (True, [])
    stopped = Keeping().reconcile()
    stopped.start_step("a")
    stopped.reconcile()
    stopped.cancel()
    stopped.reconcile()
    stopped.end_step("a", 143)
    stopped.reconcile()
    assert (stopped.phase, stopped.workspaces_read) == ("Cancelled", [])


def test_disrupted_attempt_saves_no_workspace() -> None:
    world = Keeping().reconcile()
    world.start_step("a")
    world.reconcile()
    world.disrupt("a")
    world.reconcile()
    assert (world.attempt["reason"], world.workspaces_read) == ("Disrupted", [])


def test_keeping_what_fails_makes_no_other_step_of_it() -> None:
    def made_of(**more: Any) -> dict[str, str]:
        found = build_run([step("a", **more)], spec={"source": {"archive": {"digest": f"sha256:{'1' * 64}"}}}, **more)
        plan = load_run_plan(found)
        return plan.input_digests(found["spec"], KnownInputs())

    assert made_of() == made_of(keepOnFailure=True) != made_of(env={"A": "b"})


def test_each_failed_attempt_saves_its_workspace() -> None:
    world = Keeping(retryPolicy={"maxRetries": 1, "backoffSeconds": 0})
    world.reported_workspaces |= {("a", 1): STORED, ("a", 2): {**STORED, "leftOut": 0}}
    world.failed().uploaded()
    world.failed(number=2)
    world.uploaded(2)
    first, second = world.step_status("a")["attempts"]
    assert (first["kept"], second["kept"]) == (KEPT, {"bytes": 123, "files": 4})


def test_step_is_settled_once_its_workspace_is_reported() -> None:
    world = Keeping().failed()
    world.logs["a", 1] = {"lines": 1}
    world.end_step("a", 1, phase="Failed")
    waiting = world.observation()
    assert find_settled_steps(world.decide().status, waiting) == frozenset()
    world.reported_workspaces["a", 1] = STORED
    world.reconcile()
    assert find_settled_steps(world.status, world.observation()) == {"a"}


def test_workspaces_go_with_their_runs_and_with_time() -> None:
    kept = "workspaces/team/uid-ci-1/a/1.tar.gz"
    live = retained_objects([run("ci-1", days=1)], T0, MONTH)
    aged = retained_objects([run("ci-1", days=31)], T0, MONTH)
    gone = retained_objects([], T0, MONTH)
    for needs, hours, expired in (
        (live, 24 * 40, False),
        (aged, 24 * 29, False),
        (aged, 24 * 31, True),
        (gone, 2, True),
        (gone, 0.5, False),
    ):
        assert is_expired(kept, T0 - timedelta(hours=hours), needs, T0, MONTH) is expired, (needs, hours)


async def test_the_sweep_removes_the_workspaces_of_runs_that_are_gone() -> None:
    store = FakeStore(
        Info("workspaces/team/uid-ci-9/a/1.tar.gz", T0 - timedelta(hours=3)),
        Info("workspaces/team/uid-ci-9/a/1.json", T0 - timedelta(hours=3)),
        Info("workspaces/team/uid-ci-1/a/1.tar.gz", T0 - timedelta(hours=3)),
        old("else/x"),
    )
    sweeper = RetentionSweeper(DeletingClient(), store, SETTINGS, lambda: [run("ci-1")], lambda: T0)  # type: ignore[arg-type]
    assert await sweeper.delete_expired_objects() == 2
    assert store.deleted == ["workspaces/team/uid-ci-9/a/1.json", "workspaces/team/uid-ci-9/a/1.tar.gz"]


def test_copies_that_were_left_behind_go_once_they_have_ended() -> None:
    runs = [
        run("ci-1"),
        run("ci-debug-1", source=COPIED["source"]),
        run("ci-debug-2", "Running", source=COPIED["source"]),
    ]
    assert [each["metadata"]["name"] for each in runs_over_limit(runs, 100)] == ["ci-debug-1"]
