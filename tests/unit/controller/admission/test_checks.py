"""What is refused at the door, and what is left to the operator because it can't be said yet."""

from __future__ import annotations

from typing import Any

import pytest

from controller.admission.active_runs import ActiveRuns
from controller.admission.checks import AdmissionChecks
from controller.admission.review import Decision, Request
from controller.kube import (
    NAMESPACES,
    PIPELINE_CONFIGS,
    RESOURCE_QUOTAS,
    SECRET_PROVIDER_CLASSES,
    NotFoundError,
    UnreachableError,
)

Json = dict[str, Any]
STEP = {"name": "a", "image": "busybox", "commands": ["true"]}
PIPELINE = {"version": "v1alpha1", "name": "ci", "steps": [STEP]}


class Cluster:
    def __init__(self) -> None:
        self.objects: dict[tuple[Any, str], Json] = {(NAMESPACES, "team"): {"metadata": {"annotations": {}}}}
        self.quotas: list[Json] = []
        self.is_away = False

    async def get(self, resource: Any, name: str, namespace: str = "") -> Json:
        if self.is_away:
            raise UnreachableError("away")
        try:
            return self.objects[resource, name]
        except KeyError:
            raise NotFoundError("none", status=404) from None

    async def list(self, resource: Any, namespace: str) -> Json:
        assert resource is RESOURCE_QUOTAS
        if self.is_away:
            raise UnreachableError("away")
        return {"items": self.quotas}


class World:
    def __init__(self) -> None:
        self.cluster = Cluster()
        client: Any = self.cluster
        self.runs: list[Json] = []
        self.checks = AdmissionChecks(client, ActiveRuns(lambda namespace: self.runs, lambda: 0.0))

    async def decide(self, resource: str, spec: Json, name: str = "ci") -> Decision:
        obj = {"metadata": {"name": name, "namespace": "team"}, "spec": spec}
        return await self.checks.decide(Request("u", resource, "CREATE", "team", name, obj))


@pytest.fixture
def world() -> World:
    return World()


async def test_every_lint_error_of_a_pipeline_is_named_with_its_path(world: World) -> None:
    wrong = {"steps": [{**STEP, "dependsOn": ["b"]}, {**STEP, "name": "c", "timeout": "soon"}]}
    for decision in (
        await world.decide("pipelineconfigs", wrong),
        await world.decide("pipelineruns", {"pipeline": {**wrong, "name": "ci"}}),
    ):
        assert decision.code == 422
        assert any(each.startswith("steps[0].dependsOn") for each in decision.problems), decision
        assert any(each.startswith("steps[1].timeout") for each in decision.problems), decision
    assert (await world.decide("pipelineconfigs", {"steps": [STEP]})) == Decision()
    assert (await world.decide("pipelineruns", {"pipeline": PIPELINE})) == Decision(code=403)


async def test_parameters_of_a_run_are_checked(world: World) -> None:
    pipeline = {**PIPELINE, "params": [{"name": "TARGET"}]}
    decision = await world.decide("pipelineruns", {"pipeline": pipeline})
    assert decision.problems[0].startswith("params.TARGET: ")
    assert not (await world.decide("pipelineruns", {"pipeline": pipeline, "params": {"TARGET": "x"}})).problems


async def test_a_run_that_can_never_fit_is_refused_and_a_pipeline_only_warned_about(world: World) -> None:
    world.cluster.quotas = [{"metadata": {"name": "team"}, "spec": {"hard": {"requests.cpu": "2"}}}]
    large = {**PIPELINE, "steps": [{**STEP, "resources": {"cpu": "4"}}]}
    said = "the step a asks for cpu 4, and the quota team has requests.cpu 2 in all: it can never fit"
    assert await world.decide("pipelineruns", {"pipeline": large}) == Decision((said,), 403)
    # A quota may be raised before the pipeline runs.
    assert await world.decide("pipelineconfigs", {"steps": large["steps"]}) == Decision(warnings=(said,))
    world.cluster.objects[PIPELINE_CONFIGS, "stored"] = {"spec": {"steps": large["steps"]}}
    assert (await world.decide("pipelineruns", {"pipelineConfigRef": {"name": "stored"}})).problems == (said,)


async def test_a_run_of_a_pipeline_that_does_not_exist_is_refused(world: World) -> None:
    decision = await world.decide("pipelineruns", {"pipelineConfigRef": {"name": "none"}})
    assert decision.problems == ("there is no PipelineConfig none in the namespace team",)


async def test_more_runs_than_the_namespace_allows_are_refused_with_the_numbers(world: World) -> None:
    world.cluster.objects[NAMESPACES, "team"]["metadata"]["annotations"] = {"c8s.dev/max-active-runs": "2"}
    for name in ("one", "two"):
        assert not (await world.decide("pipelineruns", {"pipeline": PIPELINE}, name)).problems
    decision = await world.decide("pipelineruns", {"pipeline": PIPELINE}, "three")
    assert decision.code == 403
    assert "the namespace team has 2 of at most 2 active runs" in decision.problems[0]
    # One of the repository's own pipeline counts, too.
    decision = await world.decide("pipelineruns", {"pipelineFrom": "repository"}, "four")
    assert decision.problems


async def test_what_can_not_be_read_is_left_to_the_operator(world: World) -> None:
    world.cluster.is_away = True
    assert not (await world.decide("pipelineruns", {"pipeline": PIPELINE})).problems
    referred = await world.decide("pipelineruns", {"pipelineConfigRef": {"name": "x"}})
    assert (referred.problems, "was not checked" in referred.warnings[0]) == ((), True)
    assert not (await world.decide("repositoryconnections", CONNECTION | {"pipelines": [{"name": "x"}]})).problems


CONNECTION = {"repository": "https://git.example.org/octo/a", "provider": "gitea", "webhookSecretRef": {"name": "a"}}


async def test_a_connection_whose_forge_can_not_be_told_is_refused(world: World) -> None:
    nameless = {**CONNECTION, "repository": "https://git.example.org/a", "authSecretRef": {"name": "b"}}
    decision = await world.decide("repositoryconnections", nameless)
    assert "names no repository of an owner" in decision.problems[0]
    for fine in (CONNECTION, {**nameless, "statuses": "off"}, {**CONNECTION, "authSecretRef": {"name": "b"}}):
        assert await world.decide("repositoryconnections", fine) == Decision()
    decision = await world.decide("repositoryconnections", {**CONNECTION, "pipelines": [{"name": "later"}]})
    assert (decision.problems, decision.warnings[0]) == ((), "there is no PipelineConfig later yet: it does not run")


async def test_a_large_pipeline_is_checked_in_a_process_with_limits(world: World) -> None:
    steps = [{**STEP, "name": f"s{index}", "commands": ["echo " + "x" * 3000]} for index in range(200)]
    assert not (await world.decide("pipelineconfigs", {"steps": steps})).problems
    assert (await world.decide("pipelineconfigs", {"steps": [*steps, {"name": "b"}]})).problems


async def test_other_kinds_are_not_ours(world: World) -> None:
    assert await world.decide("configmaps", {}) == Decision()


async def test_a_class_that_could_not_be_masked_is_refused_for_runs_and_told_for_pipelines(world: World) -> None:
    use = {"class": "vault", "secret": "db"}
    steps = [{**STEP, "secretProviders": [use]}]
    run = await world.decide("pipelineruns", {"pipeline": {**PIPELINE, "steps": steps}})
    assert run.code == 403
    assert "steps.a.secretProviders: there is no SecretProviderClass vault" in run.problems[0]
    config = await world.decide("pipelineconfigs", {"steps": steps})
    assert config.problems == ()
    assert "there is no SecretProviderClass vault" in config.warnings[0]
    labels = {"c8s.dev/secret": "true"}
    provided: Json = {"metadata": {"labels": labels}, "spec": {}}
    world.cluster.objects[SECRET_PROVIDER_CLASSES, "vault"] = provided
    refused = await world.decide("pipelineruns", {"pipeline": {**PIPELINE, "steps": steps}})
    assert "makes no Secret db" in refused.problems[0]
    provided["spec"] = {"secretObjects": [{"secretName": "db", "labels": labels, "data": []}]}
    assert (await world.decide("pipelineruns", {"pipeline": {**PIPELINE, "steps": steps}})).problems == ()
    world.cluster.is_away = True
    assert (await world.decide("pipelineruns", {"pipeline": {**PIPELINE, "steps": steps}})).problems == ()


async def test_a_use_without_the_secret_that_is_masked_is_refused_by_lint(world: World) -> None:
    steps = [{**STEP, "secretProviders": [{"class": "vault"}]}]
    for decision in (
        await world.decide("pipelineruns", {"pipeline": {**PIPELINE, "steps": steps}}),
        await world.decide("pipelineconfigs", {"steps": steps}),
    ):
        assert any("secretProviders" in each and "secret" in each for each in decision.problems)
