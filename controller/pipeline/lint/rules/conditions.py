"""Rules on conditions: no contradiction, and no step that can never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote
from controller.pipeline.lint.rules.accessors import Path, iter_steps, iter_strings
from controller.pipeline.values.globs import match_ref

Json = dict[str, Any]

_EVENTS = ("push", "pull_request", "tag")
_GLOB = "*?["
_MAX_GLOB_LENGTH = 1_000
"""Longer globs are schema errors."""
_MAX_COMPARED = 200_000
"""Characters of branches that are compared with globs in one file; what comes after them is not checked."""


def _conflicting_when(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, _, conditional in _conditionals(data):
        if conditional.get("when") is not None and conditional.get("onSuccess") is not None:
            message = "`when` and `onSuccess` say the same thing; give one"
            hint = "`onSuccess: false` is `when: always`"
            yield source_map.diagnostic((*path, "onSuccess"), "when-twice", message, hint, at_key=True)


def _never_runs(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    listened = [event for _, event in iter_strings(data.get("events"))] or ["push"]
    globs = [glob for _, glob in iter_strings(data.get("branches"))] or ["*"]
    compared = 0
    for path, step, conditional in _conditionals(data):
        compared += len(str(conditional.get("branch", ""))) * len(globs)
        why = (
            _impossible_event(conditional, listened)
            or _impossible_tag(conditional, listened)
            or (_impossible_branch(conditional, globs, listened) if compared <= _MAX_COMPARED else None)
            or _impossible_failure(conditional, step)
        )
        if why is not None:
            field, reason, hint = why
            message = f"this step never runs: {reason}"
            yield source_map.diagnostic((*path, field), "never-runs", message, hint, severity="warning")


def _conditionals(data: Json) -> Iterator[tuple[Path, Json, Json]]:
    for index, step in iter_steps(data):
        if isinstance(step.get("conditional"), dict):
            yield ("steps", index, "conditional"), step, step["conditional"]


def _impossible_event(conditional: Json, listened: list[str]) -> tuple[str, str, str] | None:
    event = conditional.get("event")
    if not isinstance(event, str) or event in listened:
        return None
    if event not in _EVENTS:
        return (
            "event",
            f"there is no event {quote(event)}",
            did_you_mean(event, _EVENTS) or f"events: {', '.join(_EVENTS)}",
        )
    return (
        "event",
        f"the pipeline has no event {quote(event)}",
        f"add it to the pipeline's `events: [{join_words(listened)}]`",
    )


def _impossible_tag(conditional: Json, listened: list[str]) -> tuple[str, str, str] | None:
    if not isinstance(conditional.get("tag"), str):
        return None
    if "tag" not in listened:
        return "tag", "the pipeline has no event `tag`", f"add it to the pipeline's `events: [{join_words(listened)}]`"
    event = conditional.get("event")
    if isinstance(event, str) and event != "tag":
        return "tag", f"a {event} has no tag", "remove `tag`, or write `event: tag`"
    return None


def _impossible_branch(conditional: Json, globs: list[str], listened: list[str]) -> tuple[str, str, str] | None:
    branch = conditional.get("branch")
    # Branches do not apply to tags, and whether two globs overlap is not decided here.
    if not isinstance(branch, str) or "tag" in listened:
        return None
    if max(map(len, (branch, *globs))) > _MAX_GLOB_LENGTH:
        return None
    if any(_may_overlap(branch, glob) for glob in globs):
        return None
    reason = f"no run starts on the branch {quote(branch)}"
    return "branch", reason, f"the pipeline's branches: {join_words(globs)}"


def _may_overlap(one: str, other: str) -> bool:
    if any(character in one for character in _GLOB):
        return any(character in other for character in _GLOB) or match_ref(one, other)
    return match_ref(other, one)


def _impossible_failure(conditional: Json, step: Json) -> tuple[str, str, str] | None:
    if conditional.get("when") != "failure" or step.get("dependsOn"):
        return None
    return "when", "it waits for a failure and depends on no step", "add `dependsOn`"


RULES = (_conflicting_when, _never_runs)
