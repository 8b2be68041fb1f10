"""Rules on conditions: none said twice, and no step that can never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.lint.rules.accessors import Path, steps, strings
from controller.pipeline.problems import Places, Problem, did_you_mean, listed, quoted
from controller.pipeline.values.globs import matches

Json = dict[str, Any]

_EVENTS = ("push", "pull_request", "tag")
_GLOB = "*?["
# Beyond this the schema complains, or deciding takes longer than it helps.
_LONGEST, _LONGEST_TOGETHER = 1_000, 10_000


def _said_twice(data: Json, places: Places) -> Iterator[Problem]:
    for path, _, conditional in _conditionals(data):
        if conditional.get("when") is not None and conditional.get("onSuccess") is not None:
            message = "`when` and `onSuccess` say the same thing; give one"
            hint = "`onSuccess: false` is `when: always`"
            yield places.problem((*path, "onSuccess"), "when-twice", message, hint, at_key=True)


def _never(data: Json, places: Places) -> Iterator[Problem]:
    listened = [event for _, event in strings(data.get("events"))] or ["push"]
    for path, step, conditional in _conditionals(data):
        why = (
            _event_never_comes(conditional, listened)
            or _tag_never_comes(conditional, listened)
            or _branch_never_comes(conditional, data, listened)
            or _failure_never_comes(conditional, step)
        )
        if why is not None:
            field, reason, hint = why
            message = f"this step never runs: {reason}"
            yield places.problem((*path, field), "never-runs", message, hint, severity="warning")


def _conditionals(data: Json) -> Iterator[tuple[Path, Json, Json]]:
    for index, step in steps(data):
        if isinstance(step.get("conditional"), dict):
            yield ("steps", index, "conditional"), step, step["conditional"]


def _event_never_comes(conditional: Json, listened: list[str]) -> tuple[str, str, str] | None:
    event = conditional.get("event")
    if not isinstance(event, str) or event in listened:
        return None
    if event not in _EVENTS:
        return (
            "event",
            f"there is no event {quoted(event)}",
            did_you_mean(event, _EVENTS) or f"events: {', '.join(_EVENTS)}",
        )
    return (
        "event",
        f"the pipeline has no event {quoted(event)}",
        f"add it to the pipeline's `events: [{listed(listened)}]`",
    )


def _tag_never_comes(conditional: Json, listened: list[str]) -> tuple[str, str, str] | None:
    if not isinstance(conditional.get("tag"), str):
        return None
    if "tag" not in listened:
        return "tag", "the pipeline has no event `tag`", f"add it to the pipeline's `events: [{listed(listened)}]`"
    event = conditional.get("event")
    if isinstance(event, str) and event != "tag":
        return "tag", f"a {event} has no tag", "remove `tag`, or write `event: tag`"
    return None


def _branch_never_comes(conditional: Json, data: Json, listened: list[str]) -> tuple[str, str, str] | None:
    wanted = conditional.get("branch")
    globs = [glob for _, glob in strings(data.get("branches"))] or ["*"]
    # The branches of a tag are not looked at, and whether two globs can meet is not decided here.
    if not isinstance(wanted, str) or "tag" in listened:
        return None
    if len(wanted) > _LONGEST or sum(map(len, globs)) > _LONGEST_TOGETHER:
        return None
    if any(_may_meet(wanted, glob) for glob in globs):
        return None
    reason = f"no run starts on the branch {quoted(wanted)}"
    return "branch", reason, f"the pipeline's branches: {listed(globs)}"


def _may_meet(one: str, other: str) -> bool:
    if any(character in one for character in _GLOB):
        return any(character in other for character in _GLOB) or matches(one, other)
    return matches(other, one)


def _failure_never_comes(conditional: Json, step: Json) -> tuple[str, str, str] | None:
    if conditional.get("when") != "failure" or step.get("dependsOn"):
        return None
    return "when", "it waits for a failure and depends on no step", "add `dependsOn`"


RULES = (_said_twice, _never)
