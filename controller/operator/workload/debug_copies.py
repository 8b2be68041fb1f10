"""Runs that are copies of a failed step, for a person to enter, and steps whose workspaces are kept for that. Pure."""

from __future__ import annotations

from typing import Any

from controller.operator import names
from controller.pipeline.model import Pipeline, Step

Json = dict[str, Any]

KEEP_WORKSPACE_ENV = "C8S_KEEP_WORKSPACE"


def debug_source(run: Json) -> Json | None:
    """What the run is a copy of, if it is one: `{run, number, step, attempt}`, the step by its slug."""
    found: Json | None = (run["spec"].get("source") or {}).get("kept")
    return found


def keeps_workspace(pipeline: Pipeline, step: Step) -> bool:
    """Whether the workspace of a failed attempt is kept: as the step says, else as the pipeline does."""
    return pipeline.keep_on_failure if step.keep_on_failure is None else step.keep_on_failure


def keeps_workspace_on_failure(pod: Json | None) -> bool:
    """Whether a pod's agent keeps the workspace if the step fails; a pod tells what it was made for."""
    agents = ((pod or {}).get("spec") or {}).get("initContainers") or []
    upload: Json = next((each for each in agents if each["name"] == names.UPLOAD_CONTAINER), {})
    return any(each["name"] == KEEP_WORKSPACE_ENV for each in upload.get("env") or [])
