"""The variables of a step."""

from __future__ import annotations

from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext, step_environment, template_context


def test_step_environment_is_as_documented() -> None:
    step = {
        "name": "a",
        "image": "b",
        "commands": ["c"],
        "env": {"X": "step {{matrix.py}}", "PARAM_P": "mine", "CI": "no"},
    }
    pipeline = Pipeline.model_validate({"name": "x", "env": {"X": "pipeline", "Y": "{{run.number}}"}, "steps": [step]})
    facts = RunContext("x-7", "7", "abc-dirty", "main", {"p": "v", "other": "w"})
    environment = step_environment(
        pipeline, pipeline.steps[0], facts, {"py": "3.12"}, attempt=2, name="a (py=3.12)", workspace="/workspace"
    )
    assert environment == {
        "X": "step 3.12",
        "Y": "7",
        "PARAM_P": "mine",
        "PARAM_OTHER": "w",
        "MATRIX_PY": "3.12",
        "CI": "true",
        "C8S": "true",
        "C8S_RUN": "x-7",
        "C8S_STEP": "a (py=3.12)",
        "C8S_ATTEMPT": "2",
        "C8S_WORKSPACE": "/workspace",
        "C8S_COMMIT": "abc-dirty",
        "C8S_BRANCH": "main",
        "COMMIT_SHA": "abc-dirty",
        "BRANCH": "main",
    }
    assert template_context(facts, {"py": "3.12"})["params.p"] == "v"
