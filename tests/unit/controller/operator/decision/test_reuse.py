"""Steps that an earlier run has done already, and the step that clones."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.decision.reuse import inputs, offered
from controller.operator.workload.clone_step import with_source_step
from controller.pipeline.graph.expand import expand
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunFacts
from tests.unit.controller.operator.world import MANIFEST, World, run_of, step

Json = dict[str, Any]
COMMIT = "a" * 40
GIT: Json = {"source": {"git": {"url": "https://example.org/x.git", "revision": "main"}}}
SNAPSHOT: Json = {"digest": "sha256:" + "1" * 64, "commit": COMMIT, "size": 9}


def digests(*steps: Json, spec: Json | None = None, cloned: Json | None = None, **more: Any) -> dict[str, str]:
    params, name = more.pop("params_given", {}), more.pop("run_name", "ci-1")
    run = run_of(steps, spec=spec, **more)
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    expanded, source = with_source_step(run, expand(pipeline))
    return inputs(pipeline, expanded, RunFacts(name, "1", "c", "main", params), run["spec"], cloned, source)


def ended_run(world: World, name: str = "ci-0") -> Json:
    return {"metadata": {"name": name}, "status": world.status}


def test_a_changed_step_and_what_follows_from_it_are_made_of_something_else() -> None:
    before = digests(step("a"), step("b", "a"), step("c", "b"), step("d", "a"))
    after = digests(step("a"), step("b", "a", commands=["false"]), step("c", "b"), step("d", "a"))
    assert {name for name in before if before[name] != after[name]} == {"b", "c"}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "alpine"},
        {"env": {"A": "1"}},
        {"secrets": [{"secretRef": "db", "key": "password"}]},
        {"artifacts": ["dist"]},
        {"workingDir": "sub"},
        {"resources": {"memory": "1Gi"}},
    ],
)
def test_whatever_a_step_could_notice_changes_it(change: Json) -> None:
    assert digests(step("a")) != digests(step("a", **change))


@pytest.mark.parametrize("change", [{"timeout": "5m"}, {"retryPolicy": {"maxRetries": 2}}, {"allowFailure": True}])
def test_how_long_and_how_often_it_is_tried_does_not(change: Json) -> None:
    assert digests(step("a")) == digests(step("a", **change))


def test_another_tree_or_another_parameter_changes_all_and_the_runs_own_name_nothing() -> None:
    one, two = ({"source": {"archive": {"digest": f"sha256:{digit * 64}"}}} for digit in "12")
    assert digests(step("a"), spec=one) != digests(step("a"), spec=two)
    params = [{"name": "x", "default": "1"}]
    assert digests(step("a"), params=params, params_given={"x": "1"}) != digests(
        step("a"), params=params, params_given={"x": "2"}
    )
    named = step("a", env={"N": "{{run.name}}"})
    assert digests(named) == digests(named, run_name="ci-2")


def test_what_succeeded_before_is_taken_and_the_rest_is_run() -> None:
    first = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b")).look()
    first.stored["a", 1] = MANIFEST
    first.do("a").do("b", 1)
    assert first.phases() == {"a": "Succeeded", "b": "Failed", "c": "Skipped"}
    second = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b"))
    second.earlier = offered(ended_run(first))
    second.look().look()
    entry = second.entry("a")
    assert (entry["phase"], entry["reason"]) == ("Succeeded", "Reused")
    assert entry["reused"] == {"run": "ci-0", "slug": "a", "attempt": 1}
    assert [file["path"] for file in entry["artifacts"]] == ["a.txt"]
    assert second.started == [("b", 1)]
    second.do("b").do("c")
    assert second.phase == "Succeeded"
    third = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b"))
    third.earlier = offered(ended_run(second, "ci-1"))
    third.look().look()
    assert third.started == []
    assert third.entry("a")["reused"]["run"] == "ci-0", "always the run that really made it"
    assert third.entry("c")["reused"]["run"] == "ci-1"
    assert third.phase == "Succeeded"


def test_nothing_is_taken_downstream_of_a_step_that_runs_again() -> None:
    flow = [step("a"), step("b", "a", conditional={"when": "always"})]
    first = World(*flow).look().do("a", 1).do("b")
    assert first.phases() == {"a": "Failed", "b": "Succeeded"}
    second = World(*flow)
    second.earlier = offered(ended_run(first))
    second.look().look()
    assert second.started == [("a", 1)]
    assert second.do("a").started == [("a", 1), ("b", 1)]


def test_a_step_begins_only_when_the_api_can_tell_what_it_takes_over() -> None:
    flow = [step("a", artifacts=["x"]), step("b", "a")]
    first = World(*flow).look()
    first.stored["a", 1] = MANIFEST
    first.do("a").do("b", 1)
    second = World(*flow)
    second.earlier, second.written = offered(ended_run(first)), {}
    second.look()
    assert second.started == []
    assert second.entry("b")["message"] == "what is taken from an earlier run is being noted"
    assert second.look_again is not None
    second.written = None
    assert second.look().started == [("b", 1)]


def test_a_run_on_a_repository_clones_once_before_all_others() -> None:
    world = World(step("a"), step("b"), spec=GIT).look()
    assert world.started == [("source", 1)]
    assert world.entry("a")["message"] == "waits for source"
    world.running("source")
    world.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    world.ended("source", phase="Running")
    world.look().look()
    assert world.entry("source")["phase"] == "Succeeded", "the snapshot is noted: nobody waits for the pod"
    assert world.status["source"] == SNAPSHOT
    assert world.started[1:] == [("a", 1), ("b", 1)]


def test_a_clone_that_noted_no_snapshot_has_failed() -> None:
    world = World(step("a"), spec=GIT).look()
    world.running("source")
    world.ended("source")
    world.look()
    assert world.entry("source")["reason"] == "ArtifactUploadFailed"
    assert world.entry("a")["phase"] == "Skipped"


def test_a_step_of_the_file_that_is_called_source_keeps_its_name() -> None:
    world = World(step("source"), step("b", "source"), spec=GIT).look()
    assert world.started == [("source-2", 1)]
    assert world.entry("source")["dependsOn"] == ["source-2"]


def test_a_rerun_on_the_same_commit_takes_the_snapshot_too() -> None:
    pinned = {"source": {"git": {"url": "https://example.org/x.git", "revision": COMMIT}}}
    first = World(step("a"), step("b", "a"), spec=pinned).look()
    first.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    first.do("source").do("a").do("b", 1)
    second = World(step("a"), step("b", "a"), spec=pinned)
    second.earlier = offered(ended_run(first))
    second.look().look()
    assert second.status["source"] == SNAPSHOT
    second.look().look()
    assert second.phases()["a"] == "Succeeded"
    assert second.started == [("b", 1)]


def test_on_a_branch_it_is_cloned_again_and_steps_are_taken_if_it_is_the_same_commit() -> None:
    first = World(step("a"), step("b", "a"), spec=GIT).look()
    first.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    first.do("source").do("a").do("b", 1)
    second = World(step("a"), step("b", "a"), spec=GIT)
    second.earlier = offered(ended_run(first))
    second.look().look()
    assert second.started == [("source", 1)]
    second.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    second.do("source").look().look()
    assert second.started == [("source", 1), ("b", 1)]
