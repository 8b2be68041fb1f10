"""Conditions: whether an event starts a run and whether a step runs, with the reason if not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from controller.pipeline.values.globs import match_path, match_ref

Json = dict[str, Any]
DependencyPolicy = Literal["success", "failure", "always"]
_DEPENDENCY_POLICIES: Mapping[Any, DependencyPolicy] = {"success": "success", "failure": "failure", "always": "always"}


MAX_CHANGED_FILES = 3_000
"""Maximum number of changed files that a run lists; with more the list is omitted, and every path condition holds."""


@dataclass(frozen=True)
class TriggerContext:
    """The event of a run. `changed` is None if the changed files are unknown: then every path condition holds."""

    event: str = "push"
    branch: str = ""
    tag: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ConditionResult:
    """Whether the run or step runs, and the reason if not, as part of a sentence."""

    runs: bool
    reason: str = ""


def _any_path(globs: Iterable[str], changed: Sequence[str]) -> bool:
    return any(match_path(glob, path) for glob in globs for path in changed)


def evaluate_trigger(pipeline: Mapping[str, Any], context: TriggerContext) -> ConditionResult:
    """Whether an event starts a run of a normalized pipeline."""
    events = pipeline.get("events") or ["push"]
    if context.event not in events:
        return ConditionResult(False, f"the event {context.event} is not among its events: {', '.join(events)}")
    branches = pipeline.get("branches") or ["*"]
    if context.event != "tag" and not any(match_ref(glob, context.branch) for glob in branches):
        return ConditionResult(False, f"the branch {context.branch} matches none of: {', '.join(branches)}")
    paths = pipeline.get("paths")
    if paths and context.changed is not None and not _any_path(paths, context.changed):
        return ConditionResult(False, f"no changed file matches any of: {', '.join(paths)}")
    return ConditionResult(True)


def evaluate_step(conditional: Json | None, context: TriggerContext) -> ConditionResult:
    """Whether the condition of a step holds, regardless of its dependencies."""
    condition = conditional or {}
    if (branch := condition.get("branch")) and not match_ref(branch, context.branch):
        return ConditionResult(False, f"it runs on branch {branch}, and this is {context.branch or 'no branch'}")
    if (event := condition.get("event")) and event != context.event:
        return ConditionResult(False, f"it runs on {event}, and this is {context.event}")
    if (tag := condition.get("tag")) and not (context.tag and match_ref(tag, context.tag)):
        return ConditionResult(False, f"it runs on tag {tag}, and this is {context.tag or 'no tag'}")
    paths = condition.get("paths")
    if paths and context.changed is not None and not _any_path(paths, context.changed):
        return ConditionResult(False, f"no changed file matches any of: {', '.join(paths)}")
    return ConditionResult(True)


def dependency_policy(conditional: Json | None) -> DependencyPolicy:
    """The result of its dependencies that a step requires: success, failure, or any."""
    condition = conditional or {}
    default: DependencyPolicy = "always" if condition.get("onSuccess") is False else "success"
    return _DEPENDENCY_POLICIES.get(condition.get("when"), default)
