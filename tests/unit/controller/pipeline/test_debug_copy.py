"""Debug copies of steps."""

from __future__ import annotations

from typing import Any

import pytest

from controller.pipeline.debug_copy import build_debug_pipeline
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.lint import check_definition
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext, step_environment

RICH: dict[str, Any] = {
    "name": "shop",
    "params": [{"name": "target", "default": "dev"}],
    "env": {"SHARED": "{{params.target}}"},
    "matrix": {"dimensions": {"os": ["linux", "mac"]}, "exclude": [{"os": "mac"}]},
    "concurrency": {"group": "g"},
    "maxParallel": 1,
    "keepOnFailure": True,
    "steps": [
        {"name": "build", "image": "b:1", "commands": ["make"], "artifacts": ["dist/*"]},
        {
            "name": "test",
            "image": "i:{{matrix.py}}",
            "commands": ["pytest"],
            "dependsOn": ["build"],
            "matrix": {"dimensions": {"py": ["3.11", "3.12"], "db": ["a"]}},
            "env": {"OWN": "{{matrix.os}}-{{run.number}}"},
            "secrets": [{"secretRef": "s", "key": "k", "file": "f"}],
            "resources": {"cpu": "1"},
            "services": [{"name": "db", "image": "p:1", "commands": ["x"], "ready": {"port": 1}}],
            "workingDir": "sub",
            "cache": [{"key": "k", "paths": [".c"]}],
            "artifacts": ["x"],
            "conditional": {"branch": "main"},
            "retryPolicy": {"maxRetries": 2},
            "allowFailure": True,
            "timeout": "5m",
        },
    ],
}
FACTS = RunContext("shop-3", "3", "c", "b", {"target": "prod"})
PIPELINE = Pipeline.model_validate(RICH)


def find_step(name: str) -> Any:
    return next(step for step in expand_steps(PIPELINE) if step.name == name)


def test_copy_keeps_the_environment_and_drops_the_rest() -> None:
    step = find_step("test (os=linux, py=3.12, db=a)")
    definition = build_debug_pipeline(PIPELINE, step.slug, 3600)
    assert definition is not None
    assert not check_definition(definition)
    [copied] = expand_steps(Pipeline.model_validate(definition))
    assert (copied.name, copied.slug, copied.matrix, copied.depends_on) == (step.name, step.slug, step.matrix, ())
    assert copied.step.commands == ["exec sleep 3600"]
    for field in ("image", "secrets", "resources", "services", "working_dir", "env"):
        assert getattr(copied.step, field) == getattr(step.step, field), field
    kept = {"name", "image", "commands", "env", "secrets", "resources", "services", "workingDir", "timeout", "matrix"}
    assert definition["steps"][0].keys() == kept
    assert definition.keys() == {"name", "params", "env", "matrix", "timeout", "steps"}


def test_environment_variables_are_those_of_the_step() -> None:
    step = find_step("test (os=linux, py=3.11, db=a)")
    pipeline = Pipeline.model_validate(build_debug_pipeline(PIPELINE, step.slug, 60))
    [copied] = expand_steps(pipeline)

    def environment(of: Pipeline, each: Any) -> dict[str, str]:
        return step_environment(of, each.step, FACTS, each.matrix, attempt=2, name=each.name, workspace="/workspace")

    assert environment(pipeline, copied) == environment(PIPELINE, step)


def test_copy_times_out_even_if_it_never_starts() -> None:
    definition = build_debug_pipeline(PIPELINE, find_step("build (os=linux)").slug, 600)
    assert definition is not None
    assert (definition["steps"][0]["timeout"], definition["timeout"]) == ("660s", "2400s")


@pytest.mark.parametrize("name", ["a", "a" * 63, "a" * 56 + "-b"])
def test_name_of_copies_differs_and_is_short_enough(name: str) -> None:
    pipeline = PIPELINE.model_copy(update={"name": name})
    definition = build_debug_pipeline(pipeline, find_step("build (os=linux)").slug, 60)
    assert definition is not None
    assert definition["name"].endswith("-debug")
    assert not check_definition(definition)


def test_unknown_step_has_no_copy() -> None:
    assert build_debug_pipeline(PIPELINE, "source", 60) is None
