"""Whether an event of a repository starts a run of a pipeline, and why not: one pure function.

The webhook receiver, the operator (for pipelines that live in the repository) and `c8s trigger` use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.pipeline.conditions import ConditionResult, TriggerContext, evaluate_trigger

EventKind = Literal["push", "tag", "pull_request"]

_SKIP = re.compile(r"\[(?:skip ci|ci skip|no ci)\]", re.IGNORECASE)
"""The words that GitHub, GitLab, Bitbucket and Gitea have in common."""


@dataclass(frozen=True)
class Event:
    """What happened in a repository.

    Attributes:
        branch: the pushed branch; of a pull request, the branch that it is to be merged into; empty for a tag.
        changed: the changed files; None if they are unknown: then every path condition holds.
        message: the message of the last commit, or the title of the pull request, for `[skip ci]`.
        deleted: whether the branch or tag was deleted.
    """

    kind: EventKind
    branch: str = ""
    tag: str = ""
    changed: tuple[str, ...] | None = None
    message: str = ""
    deleted: bool = False


def skip_reason(event: Event) -> str:
    """Why the event starts no run of any pipeline; empty if it may."""
    if event.deleted:
        what = f"the tag {event.tag}" if event.kind == "tag" else f"the branch {event.branch}"
        return f"{what} was deleted"
    found = _SKIP.search(event.message)
    if found is not None:
        where = "title or last commit" if event.kind == "pull_request" else "last commit's message"
        return f"the {where} says {found.group()}"
    return ""


def match(event: Event, pipeline: Mapping[str, Any]) -> ConditionResult:
    """Whether the event starts a run of a normalized pipeline, and the reason if not, as part of a sentence."""
    if reason := skip_reason(event):
        return ConditionResult(False, reason)
    return evaluate_trigger(pipeline, TriggerContext(event.kind, event.branch, event.tag, event.changed))
