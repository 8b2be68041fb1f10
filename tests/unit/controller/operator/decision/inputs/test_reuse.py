"""Steps that an earlier run has done already, and the step that clones."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.decision.inputs.reuse import (
    KnownInputs,
    definition_digests,
    input_digests,
    reusable_steps,
    reuses_any_run,
)
from controller.operator.workload.clone_step import add_clone_step
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from tests.unit.controller.operator.world import MANIFEST, World, build_run, step

Json = dict[str, Any]
COMMIT = "a" * 40
GIT: Json = {"source": {"git": {"url": "https://example.org/x.git", "revision": "main"}}}
SNAPSHOT: Json = {"digest": "sha256:" + "1" * 64, "commit": COMMIT, "size": 9}


def digests(
    *steps: Json,
    spec: Json | None = None,
    cloned: Json | None = None,
    files: Json | None = None,
    secrets: Json | None = None,
    **more: Any,
) -> dict[str, str]:
    params, name = more.pop("params_given", {}), more.pop("run_name", "ci-1")
    run = build_run(steps, spec=spec, **more)
    pipeline = Pipeline.model_validate(run["spec"]["pipeline"])
    expanded, source = add_clone_step(run, expand_steps(pipeline))
    definitions = definition_digests(pipeline, expanded, RunContext(name, "1", "c", "main", params))
    return input_digests(expanded, definitions, run["spec"], KnownInputs(cloned, source, files or {}, secrets or {}))


def ended_run(world: World, name: str = "ci-0") -> Json:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "status": world.status}


def test_changed_step_changes_digests_downstream() -> None:
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
    assert digests(step("a")) != digests(step("a", **change), secrets={"a": "1"})


@pytest.mark.parametrize("change", [{"timeout": "5m"}, {"retryPolicy": {"maxRetries": 2}}, {"allowFailure": True}])
def test_how_long_and_how_often_it_is_tried_does_not(change: Json) -> None:
    assert digests(step("a")) == digests(step("a", **change))


def test_digests_depend_on_source_and_params_not_run_name() -> None:
    one, two = ({"source": {"archive": {"digest": f"sha256:{digit * 64}"}}} for digit in "12")
    assert digests(step("a"), spec=one) != digests(step("a"), spec=two)
    params = [{"name": "x", "default": "1"}]
    assert digests(step("a"), params=params, params_given={"x": "1"}) != digests(
        step("a"), params=params, params_given={"x": "2"}
    )
    named = step("a", env={"N": "{{run.name}}"})
    assert digests(named) == digests(named, run_name="ci-2")


def test_what_succeeded_before_is_taken_and_the_rest_is_run() -> None:
    first = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b")).reconcile()
    first.stored["a", 1] = MANIFEST
    first.run_step("a").run_step("b", 1)
    assert first.phases() == {"a": "Succeeded", "b": "Failed", "c": "Skipped"}
    second = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b"))
    second.reusable = reusable_steps(ended_run(first))
    second.reconcile().reconcile()
    entry = second.step_status("a")
    assert (entry["phase"], entry["reason"]) == ("Succeeded", "Reused")
    assert entry["reused"] == {"run": "ci-0", "uid": "uid-ci-0", "slug": "a", "attempt": 1}
    assert entry["artifacts"] == {"files": 1, "bytes": 3}
    assert second.started == [("b", 1)]
    second.run_step("b").run_step("c")
    assert second.phase == "Succeeded"
    third = World(step("a", artifacts=["x"]), step("b", "a"), step("c", "b"))
    third.reusable = reusable_steps(ended_run(second, "ci-1"))
    third.reconcile().reconcile()
    assert third.started == []
    assert third.step_status("a")["reused"]["run"] == "ci-0", "always the run that really made it"
    assert third.step_status("c")["reused"]["run"] == "ci-1"
    assert third.phase == "Succeeded"


def test_nothing_is_taken_downstream_of_a_step_that_runs_again() -> None:
    flow = [step("a"), step("b", "a", conditional={"when": "always"})]
    first = World(*flow).reconcile().run_step("a", 1).run_step("b")
    assert first.phases() == {"a": "Failed", "b": "Succeeded"}
    second = World(*flow)
    second.reusable = reusable_steps(ended_run(first))
    second.reconcile().reconcile()
    assert second.started == [("a", 1)]
    assert second.run_step("a").started == [("a", 1), ("b", 1)]


def test_step_waits_until_reuse_is_in_the_written_status() -> None:
    flow = [step("a", artifacts=["x"]), step("b", "a")]
    first = World(*flow).reconcile()
    first.stored["a", 1] = MANIFEST
    first.run_step("a").run_step("b", 1)
    second = World(*flow)
    second.reusable, second.written_status = reusable_steps(ended_run(first)), {}
    second.reconcile()
    assert second.started == []
    assert second.step_status("b")["message"] == "what is reused from an earlier run is being recorded"
    assert second.requeue_at is not None
    second.written_status = None
    assert second.reconcile().started == [("b", 1)]


def test_a_run_on_a_repository_clones_once_before_all_others() -> None:
    world = World(step("a"), step("b"), spec=GIT).reconcile()
    assert world.started == [("source", 1)]
    assert world.step_status("a")["message"] == "waits for source"
    world.start_step("source")
    world.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    world.end_step("source", phase="Running")
    world.reconcile().reconcile()
    assert world.step_status("source")["phase"] == "Succeeded", "the snapshot is noted: nobody waits for the pod"
    assert world.status["source"] == SNAPSHOT
    assert world.started[1:] == [("a", 1), ("b", 1)]


def test_a_clone_that_noted_no_snapshot_has_failed() -> None:
    world = World(step("a"), spec=GIT).reconcile()
    world.start_step("source")
    world.end_step("source")
    world.reconcile()
    assert world.step_status("source")["reason"] == "ArtifactUploadFailed"
    assert world.step_status("a")["phase"] == "Skipped"


def test_a_step_of_the_file_that_is_called_source_keeps_its_name() -> None:
    world = World(step("source"), step("b", "source"), spec=GIT).reconcile()
    assert world.started == [("source-2", 1)]
    assert world.step_status("source")["dependsOn"] == ["source-2"]


def test_a_rerun_on_the_same_commit_takes_the_snapshot_too() -> None:
    pinned = {"source": {"git": {"url": "https://example.org/x.git", "revision": COMMIT}}}
    first = World(step("a"), step("b", "a"), spec=pinned).reconcile()
    first.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    first.run_step("source").run_step("a").run_step("b", 1)
    second = World(step("a"), step("b", "a"), spec=pinned)
    second.reusable = reusable_steps(ended_run(first))
    second.reconcile().reconcile()
    assert second.status["source"] == SNAPSHOT
    second.reconcile().reconcile()
    assert second.phases()["a"] == "Succeeded"
    assert second.started == [("b", 1)]


def test_branch_is_cloned_again_and_same_commit_is_reused() -> None:
    first = World(step("a"), step("b", "a"), spec=GIT).reconcile()
    first.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    first.run_step("source").run_step("a").run_step("b", 1)
    second = World(step("a"), step("b", "a"), spec=GIT)
    second.reusable = reusable_steps(ended_run(first))
    second.reconcile().reconcile()
    assert second.started == [("source", 1)]
    second.stored["source", 1] = {"files": [], "source": SNAPSHOT}
    second.run_step("source").reconcile().reconcile()
    assert second.started == [("source", 1), ("b", 1)]


def test_step_with_inputs_depends_on_these_files_only() -> None:
    one, two = ({"source": {"archive": {"digest": f"sha256:{digit * 64}"}}} for digit in "12")
    reader = step("a", inputs=["src/**"])
    assert digests(reader, spec=one, files={"a": "x"}) == digests(reader, spec=two, files={"a": "x"})
    assert digests(reader, spec=one, files={"a": "x"}) != digests(reader, spec=one, files={"a": "y"})
    assert digests(reader, spec=one) == {}, "its files are not listed yet"
    same = step("a", inputs=["src/", "src/**"])
    assert digests(reader, files={"a": "x"}) == digests(same, files={"a": "x"}), "how they are written does not count"


def test_files_of_steps_upstream_count_downstream() -> None:
    flow = [step("a", inputs=["src"]), step("b", "a", inputs=["docs"])]
    before, after = digests(*flow, files={"a": "1", "b": "1"}), digests(*flow, files={"a": "2", "b": "1"})
    assert {name for name in before if before[name] != after[name]} == {"a", "b"}


def test_step_with_secrets_depends_on_their_values() -> None:
    user = step("a", secrets=[{"secretRef": "db", "key": "password"}])
    assert digests(user) == {}, "their values are not known yet"
    assert digests(user, secrets={"a": "1"}) != digests(user, secrets={"a": "2"})
    assert digests(user, secrets={"a": "1"}) == digests(user, secrets={"a": "1"})


@pytest.mark.parametrize(
    ("spec", "in_file", "expected"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"reuse": True}, False, True),
        ({"reuse": False}, True, False),
        ({"trigger": {"delivery": "1"}}, True, True),
        ({"reuse": True, "trigger": {"fork": True}}, True, False),
    ],
)
def test_runs_reuse_what_their_file_or_who_started_them_says(spec: Any, in_file: bool, expected: bool) -> None:
    pipeline = Pipeline.model_validate(build_run([step("a")], reuse=in_file)["spec"]["pipeline"])
    assert reuses_any_run(spec, pipeline) is expected
