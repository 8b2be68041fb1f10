"""Conditions: whether an event starts a run and whether a step runs, with the reason if not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.pipeline.diagnostics import join_words
from controller.pipeline.values.globs import match_path, match_ref

Json = dict[str, Any]
DependencyPolicy = Literal["success", "failure", "always"]
_DEPENDENCY_POLICIES: Mapping[Any, DependencyPolicy] = {"success": "success", "failure": "failure", "always": "always"}


MAX_CHANGED_FILES = 3_000
"""Maximum number of changed files that a run lists; with more the list is omitted, and every path condition holds."""
MAX_MATCHED_CHARACTERS = 50_000_000
"""Maximum number of different globs of a pipeline's steps, times the characters of all changed files.

Matching takes about 30 ns for each, and up to 4 µs for globs and names that are made to be slow.
"""


@dataclass(frozen=True)
class TriggerContext:
    """The event of a run. `changed` is None if the changed files are unknown: then every path condition holds."""

    event: str = "push"
    branch: str = ""
    tag: str = ""
    changed: tuple[str, ...] | None = None
    _matches: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def matches_any(self, globs: Iterable[str]) -> bool:
        """Whether any changed file matches any glob. Each glob is matched once, however many steps have it."""
        for glob in globs:
            if glob not in self._matches:
                self._matches[glob] = any(match_path(glob, path) for path in self.changed or ())
            if self._matches[glob]:
                return True
        return False


@dataclass(frozen=True)
class ConditionResult:
    """Whether the run or step runs, and the reason if not, as part of a sentence."""

    runs: bool
    reason: str = ""


def evaluate_trigger(pipeline: Mapping[str, Any], context: TriggerContext) -> ConditionResult:
    """Whether an event starts a run of a normalized pipeline."""
    events = pipeline.get("events") or ["push"]
    if context.event not in events:
        return ConditionResult(False, f"the event {context.event} is not among its events: {', '.join(events)}")
    branches = pipeline.get("branches") or ["*"]
    if context.event != "tag" and not any(match_ref(glob, context.branch) for glob in branches):
        return ConditionResult(False, f"the branch {context.branch} matches none of: {join_words(branches)}")
    paths = pipeline.get("paths")
    if paths and context.changed is not None and not context.matches_any(paths):
        return ConditionResult(False, f"no changed file matches any of: {join_words(paths)}")
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
    if paths and context.changed is not None and not context.matches_any(paths):
        return ConditionResult(False, f"no changed file matches any of: {join_words(paths)}")
    return ConditionResult(True)


def unmet_conditions(conditionals: Mapping[str, Json | None], context: TriggerContext) -> dict[str, str]:
    """The reasons of the steps whose condition does not hold, by name. `conditionals`: the conditions by step."""
    results = {name: evaluate_step(conditional, context) for name, conditional in conditionals.items() if conditional}
    return {name: result.reason for name, result in results.items() if not result.runs}


def dependency_policy(conditional: Json | None) -> DependencyPolicy:
    """The result of its dependencies that a step requires: success, failure, or any."""
    condition = conditional or {}
    default: DependencyPolicy = "always" if condition.get("onSuccess") is False else "success"
    return _DEPENDENCY_POLICIES.get(condition.get("when"), default)
