"""Debug copies of failed steps, which a user can enter, and the saved workspaces that they are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.operator import names
from controller.pipeline.model import Pipeline, Step

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, SavedWorkspaceSource

Json = dict[str, Any]

KEEP_WORKSPACE_ENV = "C8S_KEEP_WORKSPACE"


def debug_source(run: RunObject) -> SavedWorkspaceSource | None:
    """The attempt that a run is a debug copy of: `{run, uid, number, step (slug), attempt}`; None for other runs."""
    source = run["spec"].get("source")
    return source.get("kept") if source is not None else None


def keeps_workspace(pipeline: Pipeline, step: Step) -> bool:
    """Whether the workspace of a failed attempt is saved: as the step sets it, else as the pipeline does."""
    return pipeline.keep_on_failure if step.keep_on_failure is None else step.keep_on_failure


def keeps_workspace_on_failure(pod: Json | None) -> bool:
    """Whether the agent of a pod saves the workspace if the step fails, according to its environment."""
    agents = ((pod or {}).get("spec") or {}).get("initContainers") or []
    agent: Json = next((each for each in agents if each["name"] in (names.AGENT_CONTAINER, names.EARLIER_AGENT)), {})
    return any(each["name"] == KEEP_WORKSPACE_ENV for each in agent.get("env") or [])
