"""The Job of an attempt: its shape, and what must not be in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.operator import names
from controller.operator.cache.run_plan import load_run_plan
from controller.operator.decision.pods.agent_report import fetches
from controller.operator.gate import is_closed, is_early
from controller.operator.workload.job import JobSpec, build_job
from tests.unit.controller.operator.world import SETTINGS, build_run, step

Json = dict[str, Any]
ARCHIVE = {"source": {"archive": {"digest": f"sha256:{'0' * 64}"}}}


def job_of(*steps: Json, of: int = -1, spec: Json | None = None, run_name: str = "ci-1", **pipeline: Any) -> Json:
    run = build_run(steps, spec=spec, **pipeline)
    run["metadata"]["name"] = run_name
    plan = load_run_plan(run)
    wanted = plan.steps[of]
    return build_job(
        JobSpec(run, plan.pipeline, wanted, 1, plan.run_context, plan.artifact_producers[wanted.name]), SETTINGS
    )


def pod_of(job: Json) -> Json:
    found: Json = job["spec"]["template"]["spec"]
    return found


def container_of(job: Json) -> Json:
    [found] = pod_of(job)["containers"]
    result: Json = found
    return result


def env_of(job: Json) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container_of(job)["env"]}


def test_artifacts_of_a_step_come_after_those_that_it_depends_on() -> None:
    steps = (
        step("late", dependsOn=["early"], artifacts=["x"]),
        step("early", artifacts=["x"]),
        step("other", artifacts=["x"]),
        step("last", dependsOn=["other", "late"]),
    )
    assert load_run_plan(build_run(steps)).artifact_producers["last"] == ("early", "late", "other")


def test_optional_artifacts_are_given_to_the_agent() -> None:
    job = job_of(step("build", optionalArtifacts=["out/{{run.name}}"]))
    [agent] = pod_of(job)["initContainers"]
    environment = {entry["name"]: entry.get("value") for entry in agent["env"]}
    assert (environment["C8S_ARTIFACTS"], environment["C8S_OPTIONAL_ARTIFACTS"]) == ("[]", '["out/ci-1"]')


def test_git_of_the_source_is_for_steps_that_ask_for_it() -> None:
    steps = (step("a", git="full"), step("b"))
    fetched = []
    for number in (0, 1):
        job = job_of(*steps, of=number, spec=ARCHIVE)
        [agent] = pod_of(job)["initContainers"]
        fetched.append({entry["name"]: entry.get("value") for entry in agent["env"]}["C8S_FETCH_GIT"])
        assert ("GIT_CONFIG_COUNT" in env_of(job)) == (number == 0)
    assert fetched == ["1", "0"]


def test_a_job_makes_one_pod_once_and_belongs_to_its_run() -> None:
    job = job_of(step("build"))
    assert job["metadata"]["name"] == "ci-1--build-1"
    assert job["spec"] | {"template": None} == {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "template": None,
    }
    assert pod_of(job)["restartPolicy"] == "Never"
    [owner] = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("PipelineRun", "uid-1", True)
    assert job["spec"]["template"]["metadata"] == {
        "labels": job["metadata"]["labels"],
        "annotations": {
            "c8s.dev/run-uid": "uid-1",
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "karpenter.sh/do-not-disrupt": "true",
        },
    }
    assert job["metadata"]["labels"] == {
        "c8s.dev/pipeline": "ci",
        "c8s.dev/run": "ci-1",
        "c8s.dev/step": "build",
        "c8s.dev/attempt": "1",
        "app.kubernetes.io/managed-by": "c8s",
    }


def test_step_without_files_has_no_agents_and_no_token() -> None:
    pod = pod_of(job_of(step("a")))
    assert "initContainers" not in pod
    assert [volume["name"] for volume in pod["volumes"]] == ["workspace"]
    assert pod["automountServiceAccountToken"] is False


def test_one_sidecar_fetches_and_uploads_and_has_the_token_alone() -> None:
    job = job_of(step("a", artifacts=["x"]), spec=ARCHIVE)
    [agent] = pod_of(job)["initContainers"]
    assert (agent["name"], agent["restartPolicy"], agent["command"][-1]) == ("agent", "Always", "step")
    assert {"name": "agent-step", "mountPath": "/var/run/c8s", "readOnly": True} in agent["volumeMounts"]
    assert "limits" not in agent["resources"], "a CPU limit makes pods start slowly"
    assert "startupProbe" not in agent, "nothing but its gate holds the step back"
    assert not [mount for mount in container_of(job)["volumeMounts"] if mount["name"].startswith("agent")]
    assert "token" not in str(container_of(job)["env"])


def test_step_without_files_can_have_an_agent_that_tells_its_end() -> None:
    run = build_run([step("a")])
    plan = load_run_plan(run)
    spec = JobSpec(run, plan.pipeline, plan.steps[0], 1, plan.run_context, (), always_has_agent=True)
    pod = pod_of(build_job(spec, SETTINGS))
    [agent] = pod["initContainers"]
    assert (agent["name"], spec.agent_roles) == ("agent", ("step",))
    assert not fetches({"spec": pod})
    assert pod["terminationGracePeriodSeconds"] == 40, "there is nothing to upload"


def test_breakpoints_are_given_to_the_agents_of_their_steps() -> None:
    matrix = {"dimensions": {"x": ["1", "2"]}}
    steps = (step("a", matrix=matrix), step("b"))
    breakpoints = [{"step": "a", "at": "failed"}, {"step": "a (x=2)", "at": "before"}, {"step": "a (x=2)"}]
    held = []
    for number in range(3):
        pod = pod_of(job_of(*steps, of=number, spec={"breakpoints": breakpoints}))
        variables = [entry for agent in pod.get("initContainers", []) for entry in agent["env"]]
        held.append([entry["value"] for entry in variables if entry["name"] == "C8S_HOLD"])
        hours = (pod["activeDeadlineSeconds"] - 30 * 60 - 15 * 60) / 3600
        assert hours == (8 if number < 2 else 0), "a hold must not run into the deadline of the pod"
    assert held == [["failed"], ["before,failed"], []]


def test_a_step_gets_the_artifacts_of_all_steps_upstream() -> None:
    steps = (step("a", artifacts=["x"]), step("b", "a"), step("c", "b"))
    [agent] = pod_of(job_of(*steps))["initContainers"]
    assert {"name": "C8S_FETCH_ARTIFACTS", "value": "a"} in agent["env"]
    assert {"name": "C8S_FETCH_SOURCE", "value": "0"} in agent["env"]


def test_secrets_come_by_reference_and_never_as_values() -> None:
    uses = [{"secretRef": "s", "key": "k", "envVar": "TOKEN"}, {"secretRef": "s", "key": "cert", "file": "a/cert"}]
    job = job_of(step("a", secrets=uses, env={"OTHER": "1"}))
    reference = env_of(job)["TOKEN"]["secretKeyRef"]
    assert reference["name"] == names.secrets_name("ci-1", "uid-1")
    assert len(reference["key"]) == 32
    [volume] = [volume for volume in pod_of(job)["volumes"] if volume["name"] == "secrets"]
    assert [item["path"] for item in volume["secret"]["items"]] == ["a/cert"]
    assert env_of(job)["C8S_SECRETS"] == "/var/run/c8s-secrets"


def test_a_secret_takes_the_place_of_a_variable_of_the_same_name() -> None:
    job = job_of(step("a", secrets=[{"secretRef": "s", "key": "TOKEN"}], env={"TOKEN": "plain"}))
    found = [entry for entry in container_of(job)["env"] if entry["name"] == "TOKEN"]
    assert len(found) == 1
    assert "valueFrom" in found[0]


def test_dollars_reach_the_shell_as_they_were_written() -> None:
    job = job_of(step("a", commands=["echo $HOME $(date) $$"], env={"PRICE": "5$ $(HOME)"}))
    *_, commands, gate, reports = container_of(job)["command"]
    assert commands == "echo $$HOME $$(date) $$$$"
    assert (gate, reports) == ("", "")
    assert env_of(job)["PRICE"] == "5$$ $$(HOME)"


def test_the_pods_own_deadline_is_only_the_last_resort() -> None:
    assert pod_of(job_of(step("a", timeout="10m")))["activeDeadlineSeconds"] == 600 + 900


def test_step_with_cache_waits_at_its_gate_and_tells_its_exit_code() -> None:
    cache = [{"key": "{{params.kind}}-{{hash go.sum}}", "paths": [".cache/{{matrix.go}}"]}]
    matrix = {"dimensions": {"go": ["1.22"]}}
    job = job_of(
        step("a", cache=cache, matrix=matrix),
        spec={"params": {"kind": "mod"}},
        params=[{"name": "kind"}],
    )
    caches = '[{"key": "mod-{{hash go.sum}}", "paths": [".cache/1.22"]}]'
    [agent] = pod_of(job)["initContainers"]
    environment = {entry["name"]: entry["value"] for entry in agent["env"]}
    assert environment["C8S_CACHES"] == caches
    assert environment["C8S_GATE"] in [mount["mountPath"] for mount in agent["volumeMounts"]]
    assert container_of(job)["command"][-2:] == [names.GATE_PIPE, names.REPORT_PIPE]
    assert pod_of(job)["terminationGracePeriodSeconds"] == 600
    writable = [mount["name"] for mount in container_of(job)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["workspace"], "it can write pipes, but not replace them"


def test_a_pod_that_uploads_is_given_the_time_for_it() -> None:
    assert pod_of(job_of(step("a", artifacts=["x"])))["terminationGracePeriodSeconds"] == 600
    assert pod_of(job_of(step("a")))["terminationGracePeriodSeconds"] == 40


def test_resources_are_request_and_limit() -> None:
    resources = container_of(job_of(step("a", resources={"cpu": "500m", "memory": "1Gi"})))["resources"]
    assert resources["requests"] == resources["limits"] == {"cpu": "500m", "memory": "1Gi"}


def test_the_working_directory_is_below_the_workspace() -> None:
    assert container_of(job_of(step("a")))["workingDir"] == "/workspace"
    assert container_of(job_of(step("a", workingDir="src/app")))["workingDir"] == "/workspace/src/app"


@pytest.mark.parametrize("slug", ["a" * 40, "a"])
@pytest.mark.parametrize("run", ["r" * 60 + "-1", "ci-1"])
def test_names_fit_however_long_their_parts(run: str, slug: str) -> None:
    job = job_of(step(slug), run_name=run)
    assert len(job["metadata"]["name"]) <= 57, "the Job controller adds six characters for its pod"
    assert len(names.secrets_name(run, "uid-1")) <= 63
    assert len(names.agent_secret_name(run, "uid-1", "s" * 40, 100)) <= 63


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    run = "r" * 60
    assert len({names.job_name(run, "a", number) for number in (1, 2, 11)}) == 3
    assert names.job_name(run, "a", 1) == names.job_name(run, "a", 1)


def test_no_two_runs_and_steps_come_to_the_same_name() -> None:
    assert names.job_name("ci-1", "2-a", 1) != names.job_name("ci-1-2", "a", 1)
    assert names.job_name("ci", "a-b", 1) != names.job_name("ci-a", "b", 1)


def test_secrets_of_a_run_are_named_by_its_uid() -> None:
    """A pod of an earlier run of the same name must not mount what a later one uses."""
    own = names.secrets_name("ci-1", "uid-1"), names.agent_secret_name("ci-1", "uid-1", "a", 1)
    other = names.secrets_name("ci-1", "uid-2"), names.agent_secret_name("ci-1", "uid-2", "a", 1)
    assert not set(own) & set(other)


def test_a_strangers_step_saves_neither_caches_nor_its_workspace() -> None:
    cached = step("test", cache=[{"key": "deps", "paths": ["deps"]}], keepOnFailure=True)
    trusted, fork = (job_of(cached, spec={**ARCHIVE, "trigger": {"fork": fork}}) for fork in (False, True))
    found = [{entry["name"] for entry in pod_of(job)["initContainers"][0]["env"]} for job in (trusted, fork)]
    assert found[1] - found[0] == {"C8S_CACHES_READ_ONLY"}
    assert found[0] - found[1] == {"C8S_KEEP_WORKSPACE"}
    assert "C8S_CACHES" in found[1], "it restores them"


def test_early_pod_differs_by_what_its_agent_waits_for_alone() -> None:
    """Breakpoints come with the opening; its deadline, which counts at the gate too, is longer."""
    spec = {**ARCHIVE, "breakpoints": [{"step": "b"}]}
    run = build_run((step("a"), step("b", "a")), spec=spec)
    plan = load_run_plan(run)
    due = JobSpec(run, plan.pipeline, plan.steps[1], 1, plan.run_context, ())
    job, early = (build_job(replace(due, is_early=given), SETTINGS) for given in (False, True))
    assert not is_early(job)
    assert is_closed(early)
    assert early["metadata"]["name"] == job["metadata"]["name"]
    assert early["spec"]["template"]["metadata"] == job["spec"]["template"]["metadata"]
    pods = pod_of(job), pod_of(early)
    assert pods[1].pop("activeDeadlineSeconds") > pods[0].pop("activeDeadlineSeconds") + 24 * 3600
    [agent], [waiting] = (pod.pop("initContainers") for pod in pods)
    assert pods[0] == pods[1]
    assert (agent.pop("command")[-1], waiting.pop("command")[-1]) == ("step", "early-step")
    more = {each["name"] for each in waiting.pop("env")} ^ {each["name"] for each in agent.pop("env")}
    assert more == {"C8S_EARLY_JOB", "C8S_HOLD"}
    assert agent == waiting


def test_agent_gets_the_inputs_of_a_run_that_verifies_them() -> None:
    reader = step("test", inputs=["src/**", "{{run.name}}.txt"])

    def inputs_of(**spec: bool) -> str | None:
        [agent] = pod_of(job_of(reader, spec={**ARCHIVE, **spec}))["initContainers"]
        return {entry["name"]: entry.get("value") for entry in agent["env"]}.get("C8S_INPUTS")

    assert inputs_of(verifyInputs=True) == '["src/**", "ci-1.txt"]'
    assert inputs_of() is None


def test_a_step_with_reports_has_an_agent_that_collects_them() -> None:
    job = job_of(step("test", reports={"junit": ["*.xml"], "tap": ["out.tap"]}))
    agent = pod_of(job)["initContainers"][0]
    environment = {each["name"]: each.get("value") for each in agent["env"]}
    assert environment["C8S_REPORTS"] == '{"junit": ["*.xml"], "tap": ["out.tap"]}'
    assert "C8S_FAILED_TESTS" not in env_of(job)


@pytest.mark.parametrize(("step_name", "runs_failed"), [("test", True), ("other", False)])
def test_only_the_named_steps_run_what_failed(step_name: str, runs_failed: bool) -> None:
    failed = {"run": "ci-0", "uid": "u", "steps": [{"step": "test", "attempt": 2}]}
    definition = step(step_name, commands=["all"], reports={"junit": ["*.xml"]}, rerunFailed="some")
    job = job_of(definition, spec={"failedTests": failed})
    agent = pod_of(job)["initContainers"][0]
    script = container_of(job)["command"][4]
    assert script == ("some" if runs_failed else "all")
    assert (env_of(job).get("C8S_FAILED_TESTS") == names.FAILED_TESTS_FILE) is runs_failed
    assert any(each["name"] == "C8S_FETCH_FAILED_TESTS" for each in agent["env"]) is runs_failed
