"""The steps of a pipeline that is being edited."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.lint import lint
from controller.pipeline.model import Pipeline
from workbench.pipeline_file.preview import preview_steps

HALF = """\
name: shop
steps:
  - name: lint
  - name: test
    dependsOn: [lint, nobody]
    matrix: {dimensions: {python: ["3.11", "3.12"]}}
  - name: publish
    dependsOn: [test]
    unknown: field
  - image: without a name
"""


def test_invalid_file_shows_its_recognizable_steps() -> None:
    steps = preview_steps(HALF)
    assert steps is not None
    assert [(step.name, step.depends_on) for step in steps] == [
        ("lint", ()),
        ("test (python=3.11)", ("lint",)),
        ("test (python=3.12)", ("lint",)),
        ("publish", ("test (python=3.11)", "test (python=3.12)")),
    ]


@pytest.mark.parametrize("text", ["steps: [", "- 1", "", "\x00"])
def test_unreadable_text_has_no_preview(text: str) -> None:
    assert preview_steps(text) is None


@pytest.mark.parametrize("sample", ["hello", "fan-out", "failing", "artifacts", "secrets"])
def test_preview_equals_the_steps_of_a_run(repository: Path, sample: str) -> None:
    data = (repository / "samples" / f"{sample}.yaml").read_bytes()
    definition = lint(data).pipeline
    assert definition is not None
    real = expand_steps(Pipeline.model_validate(definition))
    planned = preview_steps(data)
    assert planned is not None
    assert [(s.name, s.depends_on) for s in planned] == [(s.name, s.depends_on) for s in real]


@given(st.text(max_size=300))
def test_any_text_gives_steps_or_nothing(text: str) -> None:
    steps = preview_steps(f"steps:\n{text}")
    assert steps is None or all(step.name for step in steps)
