"""Bounds of a run that are checked by counting, before anything is computed."""

from typing import Any

import pytest

from controller.pipeline import run_cost
from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.run_cost import RunTooExpensiveError, check_run_cost
from controller.pipeline.templates import TemplateSize, render
from controller.pipeline.variables import RunContext
from controller.run_types.patterns import MAX_FILE_NAME_LENGTH


def check(definition: dict[str, Any], params: dict[str, str] | None = None, changed: list[str] | None = None) -> None:
    step = {"name": "a", "image": "i:1", "commands": ["true"]}
    steps = [{**step, **each} for each in definition.pop("steps", [{}])]
    pipeline = Pipeline.model_validate({"name": "x", "steps": steps, **definition})
    check_run_cost(pipeline, expand_steps(pipeline), RunContext("x-1", "1", "", "main", params or {}), changed)


def test_an_ordinary_run_is_cheap() -> None:
    check(
        {
            "env": {"A": "{{params.p}}/{{run.branch}}"},
            "matrix": {"dimensions": {"v": [str(n) for n in range(300)]}},
            "steps": [{"conditional": {"paths": ["src/**", "**/*.md"]}}],
        },
        {"p": "x" * 1_000},
        [f"services/s{n}/pkg/file{n}.py" for n in range(MAX_CHANGED_FILES)],
    )


@pytest.mark.parametrize("field", ["env", "image", "artifacts", "cache", "services"])
def test_a_text_that_becomes_too_long_is_refused(field: str) -> None:
    text = "{{params.p}}" * 80
    values: dict[str, Any] = {
        "env": {"A": text},
        "image": text,
        "artifacts": [text],
        "cache": [{"key": text, "paths": ["a"]}],
        "services": [{"name": "s", "image": text}],
    }
    with pytest.raises(RunTooExpensiveError, match=r"a text of the step `a` has 5,242,88\d bytes"):
        check({"steps": [{field: values[field]}]}, {"p": "x" * 65_536})


def test_many_long_parameters_are_refused() -> None:
    with pytest.raises(RunTooExpensiveError, match="the step `a` has"):
        check({}, {f"p{n}": "x" * 65_536 for n in range(16)})


def test_a_long_script_times_a_large_matrix_is_refused() -> None:
    with pytest.raises(RunTooExpensiveError, match="the 300 steps have"):
        check({"matrix": {"dimensions": {"v": [str(n) for n in range(300)]}}, "steps": [{"commands": ["x" * 60_000]}]})


def test_many_globs_times_many_changed_files_are_refused() -> None:
    globs = [f"*a{n}" for n in range(100)]
    names = ["a" * MAX_FILE_NAME_LENGTH] * MAX_CHANGED_FILES
    with pytest.raises(RunTooExpensiveError, match=r"100 globs in `conditional.paths` would be compared with 3,000"):
        check({"steps": [{"conditional": {"paths": globs}}]}, changed=names)


def test_a_long_name_of_a_concurrency_group_is_refused() -> None:
    with pytest.raises(RunTooExpensiveError, match="the concurrency group has"):
        check({"concurrency": {"group": "{{params.p}}"}}, {"p": "x" * (run_cost.MAX_GROUP_BYTES + 1)})


@pytest.mark.parametrize(
    "text", ["", "plain é", "{{a.b}}", "{{ a.b }}-{{a.b}}{{c.d}}", "{{x.y}}", "${{a.b}}", "{{hash f}}", "{{.Names}}"]
)
def test_the_counted_size_is_that_of_the_rendered_text(text: str) -> None:
    values = {"a.b": "é" * 5, "c.d": ""}
    sizes = {name: len(value.encode()) for name, value in values.items()}
    assert TemplateSize(text).rendered(sizes) == len(render(text, values).encode())
