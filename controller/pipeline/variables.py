"""The values of template variables in a run, and the environment variables of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.pipeline.model import Pipeline, Step
from controller.pipeline.templates import env_variable_name, render

__all__ = ["RunContext", "render", "step_environment", "template_context"]


@dataclass(frozen=True)
class RunContext:
    """The values of a run that templates and environments refer to."""

    name: str
    number: str
    commit: str
    branch: str
    params: Mapping[str, str]


def template_context(run: RunContext, matrix: Mapping[str, str]) -> dict[str, str]:
    """The values of all template variables of a step, by name."""
    return {
        "run.name": run.name,
        "run.number": run.number,
        "run.commit": run.commit,
        "run.branch": run.branch,
        **{f"params.{name}": value for name, value in run.params.items()},
        **{f"matrix.{name}": value for name, value in matrix.items()},
    }


def step_environment(
    pipeline: Pipeline,
    step: Step,
    run: RunContext,
    matrix: Mapping[str, str],
    *,
    attempt: int,
    name: str,
    workspace: str,
) -> dict[str, str]:
    """The environment variables of the container of a step, without secrets.

    In ascending precedence: parameters and matrix, `env` of the pipeline, `env` of the step, the variables of c8s.
    """
    values = template_context(run, matrix)
    environment = {env_variable_name("PARAM", key): value for key, value in run.params.items()}
    environment |= {env_variable_name("MATRIX", key): value for key, value in matrix.items()}
    for env in (pipeline.env, step.env):
        environment |= {key: render(value, values) for key, value in env.items()}
    return environment | {
        "CI": "true",
        "C8S": "true",
        "C8S_RUN": run.name,
        "C8S_STEP": name,
        "C8S_ATTEMPT": str(attempt),
        "C8S_COMMIT": run.commit,
        "C8S_BRANCH": run.branch,
        "C8S_WORKSPACE": workspace,
        "COMMIT_SHA": run.commit,
        "BRANCH": run.branch,
    }
