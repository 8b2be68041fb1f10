"""Conditions: whether an event starts a run, and whether a step of it runs. Pure, with the reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from controller.pipeline.values.globs import match_path, match_ref

Json = dict[str, Any]
DependencyPolicy = Literal["success", "failure", "always"]
_DEPENDENCY_POLICIES: Mapping[Any, DependencyPolicy] = {"success": "success", "failure": "failure", "always": "always"}


MAX_CHANGED_FILES = 3_000
"""Names that a run carries at most; who has more says nothing, and every path condition holds."""


@dataclass(frozen=True)
class TriggerContext:
    """What happened. `changed` is None when nobody knows which files changed: then every path condition holds."""

    event: str = "push"
    branch: str = ""
    tag: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ConditionResult:
    """`why` is a sentence for people when `runs` is False."""

    runs: bool
    reason: str = ""


def _any_path(globs: Iterable[str], changed: Sequence[str]) -> bool:
    return any(match_path(glob, path) for glob in globs for path in changed)


def evaluate_trigger(pipeline: Mapping[str, Any], context: TriggerContext) -> ConditionResult:
    """Whether an event would start a run of a normalised pipeline."""
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
    """Whether a step runs on this occasion, its dependencies aside."""
    wanted = conditional or {}
    if (branch := wanted.get("branch")) and not match_ref(branch, context.branch):
        return ConditionResult(False, f"it runs on branch {branch}, and this is {context.branch or 'no branch'}")
    if (event := wanted.get("event")) and event != context.event:
        return ConditionResult(False, f"it runs on {event}, and this is {context.event}")
    if (tag := wanted.get("tag")) and not (context.tag and match_ref(tag, context.tag)):
        return ConditionResult(False, f"it runs on tag {tag}, and this is {context.tag or 'no tag'}")
    paths = wanted.get("paths")
    if paths and context.changed is not None and not _any_path(paths, context.changed):
        return ConditionResult(False, f"no changed file matches any of: {', '.join(paths)}")
    return ConditionResult(True)


def dependency_policy(conditional: Json | None) -> DependencyPolicy:
    """What a step waits for: that what it depends on succeeds, fails, or just ends."""
    wanted = conditional or {}
    otherwise: DependencyPolicy = "always" if wanted.get("onSuccess") is False else "success"
    return _DEPENDENCY_POLICIES.get(wanted.get("when"), otherwise)
