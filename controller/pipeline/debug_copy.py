"""One step of a pipeline as a pipeline of its own that only waits: a place for a person to look around in. Pure.

What made the step's surroundings stays (image, variables, secrets, resources, services, folder, its place in a
matrix); what decided whether and when it ran, and what was to become of it, does not.
"""

from __future__ import annotations

from typing import Any

from controller.pipeline.graph.expand import ExpandedStep, expand_steps
from controller.pipeline.model import Matrix, Pipeline

Json = dict[str, Any]

_DROPPED_FIELDS = ("dependsOn", "artifacts", "cache", "conditional", "retryPolicy", "allowFailure", "keepOnFailure")
_SUFFIX = "-debug"
_MAX_NAME_LENGTH = 63
_TIMEOUT_MARGIN = 60
_MAX_PENDING_SECONDS = 1800


def build_debug_pipeline(pipeline: Pipeline, slug: str, seconds: int) -> Json | None:
    """The definition, normalised, of a pipeline whose one step is there for so long; None without such a step.

    The step has the name it had. The run as a whole ends half an hour later at most, should no node take it.
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
    for holder, matrix in ((step, found.step.matrix), (definition, pipeline.matrix)):
        holder.pop("matrix", None)
        if matrix is not None:
            holder["matrix"] = _single_combination(matrix, found)
    return {**definition, "steps": [step]}


def debug_pipeline_name(pipeline: str) -> str:
    """What copies of a pipeline's steps are called after, so that they take no numbers from its runs."""
    return pipeline[: _MAX_NAME_LENGTH - len(_SUFFIX)].rstrip("-") + _SUFFIX


def _single_combination(matrix: Matrix, step: ExpandedStep) -> Json:
    """The one combination that the step is."""
    return {"dimensions": {name: [step.matrix[name]] for name in matrix.dimensions}}
