"""Debug copies: a pipeline with one step of another, which waits for a user to open a shell in it.

The fields that make the environment of the step stay (image, variables, secrets, resources, services, folder, values of
the matrix). Those that decide whether and when it runs, and what it stores, are dropped.
"""

from __future__ import annotations

from typing import Any

from controller.pipeline.graph.expand import ExpandedStep, expand_steps
from controller.pipeline.model import Matrix, Pipeline

Json = dict[str, Any]

_DROPPED_FIELDS = (
    "dependsOn",
    "artifacts",
    "optionalArtifacts",
    "inputs",
    "reports",
    "rerunFailed",
    "cache",
    "conditional",
    "retryPolicy",
    "allowFailure",
    "keepOnFailure",
)
_SUFFIX = "-debug"
_MAX_NAME_LENGTH = 63
_TIMEOUT_MARGIN = 60
_MAX_PENDING_SECONDS = 1800


def build_debug_pipeline(pipeline: Pipeline, slug: str, seconds: int) -> Json | None:
    """The normalized definition of a pipeline whose one step sleeps for `seconds`; None if there is no such step.

    The step keeps its name. The run times out half an hour later, in case no node schedules it.
    """
    found = next((step for step in expand_steps(pipeline) if step.slug == slug), None)
    if found is None:
        return None
    step = found.step.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for field in _DROPPED_FIELDS:
        step.pop(field, None)
    step |= {"commands": [f"exec sleep {seconds}"], "timeout": f"{seconds + _TIMEOUT_MARGIN}s"}
    definition = pipeline.model_dump(mode="json", by_alias=True, include={"params", "env"}, exclude_unset=True)
    definition |= {"name": debug_pipeline_name(pipeline.name), "timeout": f"{seconds + _MAX_PENDING_SECONDS}s"}
    for scope, matrix in ((step, found.step.matrix), (definition, pipeline.matrix)):
        scope.pop("matrix", None)
        if matrix is not None:
            scope["matrix"] = _single_combination(matrix, found)
    return {**definition, "steps": [step]}


def debug_pipeline_name(pipeline: str) -> str:
    """The name of the pipeline of debug copies, which is another so that they use no run numbers of the original."""
    return pipeline[: _MAX_NAME_LENGTH - len(_SUFFIX)].rstrip("-") + _SUFFIX


def _single_combination(matrix: Matrix, step: ExpandedStep) -> Json:
    """A matrix with the one combination of the step."""
    return {"dimensions": {name: [step.matrix[name]] for name in matrix.dimensions}}
