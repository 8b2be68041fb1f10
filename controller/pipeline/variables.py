"""Variables: `{{…}}` in the fields that take it, and the environment that every step gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from controller.pipeline.model import Pipeline, Step

_TEMPLATE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True)
class RunFacts:
    """What a run is about."""

    name: str
    number: str
    commit: str
    branch: str
    params: Mapping[str, str]


def template_values(facts: RunFacts, matrix: Mapping[str, str]) -> dict[str, str]:
    """What may stand between braces, by its name."""
    return {
        "run.name": facts.name,
        "run.number": facts.number,
        "run.commit": facts.commit,
        "run.branch": facts.branch,
        **{f"params.{name}": value for name, value in facts.params.items()},
        **{f"matrix.{name}": value for name, value in matrix.items()},
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of `{{name}}`; what is unknown stays as written. Values are not looked into again."""
    return _TEMPLATE.sub(lambda match: values.get(match.group(1), match.group()), text)


def step_environment(
    pipeline: Pipeline,
    step: Step,
    facts: RunFacts,
    matrix: Mapping[str, str],
    *,
    attempt: int,
    name: str,
    workspace: str,
) -> dict[str, str]:
    """The variables of a step's own container, secrets excepted.

    Later ones win: parameters and matrix, the pipeline's `env`, the step's `env`, then what c8s itself says, which
    nothing can override.
    """
    values = template_values(facts, matrix)
    environment = {f"PARAM_{_variable(key)}": value for key, value in facts.params.items()}
    environment |= {f"MATRIX_{_variable(key)}": value for key, value in matrix.items()}
    for given in (pipeline.env, step.env):
        environment |= {key: fill(value, values) for key, value in given.items()}
    return environment | {
        "CI": "true",
        "C8S": "true",
        "C8S_RUN": facts.name,
        "C8S_STEP": name,
        "C8S_ATTEMPT": str(attempt),
        "C8S_COMMIT": facts.commit,
        "C8S_BRANCH": facts.branch,
        "C8S_WORKSPACE": workspace,
        "COMMIT_SHA": facts.commit,
        "BRANCH": facts.branch,
    }


def _variable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name).upper()
