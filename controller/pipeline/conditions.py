"""Conditions: whether an event starts a run, and whether a step of it runs. Pure, with the reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from controller.pipeline.values.globs import fits, matches

Json = dict[str, Any]
When = Literal["success", "failure", "always"]
_WHEN: Mapping[Any, When] = {"success": "success", "failure": "failure", "always": "always"}


MOST_CHANGED_FILES = 3_000
"""Names that a run carries at most; who has more says nothing, and every path condition holds."""


@dataclass(frozen=True)
class Occasion:
    """What happened. `changed` is None when nobody knows which files changed: then every path condition holds."""

    event: str = "push"
    branch: str = ""
    tag: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """`why` is a sentence for people when `runs` is False."""

    runs: bool
    why: str = ""


def _any_path(globs: Iterable[str], changed: Sequence[str]) -> bool:
    return any(fits(glob, path) for glob in globs for path in changed)


def match(pipeline: Mapping[str, Any], occasion: Occasion) -> Verdict:
    """Whether an event would start a run of a normalised pipeline."""
    events = pipeline.get("events") or ["push"]
    if occasion.event not in events:
        return Verdict(False, f"the event {occasion.event} is not among its events: {', '.join(events)}")
    branches = pipeline.get("branches") or ["*"]
    if occasion.event != "tag" and not any(matches(glob, occasion.branch) for glob in branches):
        return Verdict(False, f"the branch {occasion.branch} matches none of: {', '.join(branches)}")
    paths = pipeline.get("paths")
    if paths and occasion.changed is not None and not _any_path(paths, occasion.changed):
        return Verdict(False, f"no changed file matches any of: {', '.join(paths)}")
    return Verdict(True)


def step_runs(conditional: Json | None, occasion: Occasion) -> Verdict:
    """Whether a step runs on this occasion, its dependencies aside."""
    wanted = conditional or {}
    if (branch := wanted.get("branch")) and not matches(branch, occasion.branch):
        return Verdict(False, f"it runs on branch {branch}, and this is {occasion.branch or 'no branch'}")
    if (event := wanted.get("event")) and event != occasion.event:
        return Verdict(False, f"it runs on {event}, and this is {occasion.event}")
    if (tag := wanted.get("tag")) and not (occasion.tag and matches(tag, occasion.tag)):
        return Verdict(False, f"it runs on tag {tag}, and this is {occasion.tag or 'no tag'}")
    paths = wanted.get("paths")
    if paths and occasion.changed is not None and not _any_path(paths, occasion.changed):
        return Verdict(False, f"no changed file matches any of: {', '.join(paths)}")
    return Verdict(True)


def when(conditional: Json | None) -> When:
    """What a step waits for: that what it depends on succeeds, fails, or just ends."""
    wanted = conditional or {}
    otherwise: When = "always" if wanted.get("onSuccess") is False else "success"
    return _WHEN.get(wanted.get("when"), otherwise)
