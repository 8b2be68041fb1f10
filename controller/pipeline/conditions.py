"""Conditions: whether an event starts a run, and whether a step of it runs. Pure, with the reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Json = dict[str, Any]
When = Literal["success", "failure", "always"]


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


_Part = re.Pattern[str] | Literal["*", "**", "**/"]


@lru_cache(maxsize=512)
def _parts(glob: str) -> tuple[_Part, ...]:
    """`*` stays inside a path segment, `**` crosses them, `?` is one character, `[a-z]` a set."""
    out: list[_Part] = []
    position = 0
    while position < len(glob):
        if glob.startswith("**/", position):
            out.append("**/")
            position += 3
        elif glob.startswith("**", position):
            out.append("**")
            position += 2
        elif glob[position] == "*":
            out.append("*")
            position += 1
        elif glob[position] == "?":
            out.append(re.compile("[^/]"))
            position += 1
        elif glob[position] == "[" and "]" in glob[position + 2 :]:
            end = glob.index("]", position + 2)
            inner = glob[position + 1 : end].replace("\\", "\\\\")
            negated = "^" + inner[1:] if inner.startswith("!") else inner.replace("^", "\\^", 1)
            try:
                out.append(re.compile(f"[{negated}]"))
            except re.error:
                # A set such as [z-a] that means nothing: the text is taken as it stands.
                return tuple(re.compile(re.escape(character)) for character in glob)
            position = end + 1
        else:
            out.append(re.compile(re.escape(glob[position])))
            position += 1
    return tuple(out)


def _step(part: _Part, here: set[int], text: str) -> set[int]:
    """Where one part of a glob leads from these places in the text."""
    if not here:
        return here
    if part == "**":
        return set(range(min(here), len(text) + 1))
    if part == "**/":
        return here | {place + 1 for place in range(min(here), len(text)) if text[place] == "/"}
    if part == "*":
        reached = set()
        inside = False
        for place in range(len(text) + 1):
            inside = place in here or (inside and text[place - 1] != "/")
            if inside:
                reached.add(place)
        return reached
    return {place + 1 for place in here if place < len(text) and part.match(text[place])}


def _fits(glob: str, text: str) -> bool:
    """Whether a glob fits the whole text.

    All ways are followed at once: a regular expression would try them one by one, which takes for ever for a glob
    like `*a*a*a*a*a*b`, and globs are other people's.
    """
    here = {0}
    for part in _parts(glob):
        here = _step(part, here, text)
    return len(text) in here


def matches(glob: str, text: str) -> bool:
    """Whether a glob fits the whole text. A bare `*` fits everything."""
    return glob == "*" or _fits(glob, text)


def _any_path(globs: Iterable[str], changed: Sequence[str]) -> bool:
    patterns = list(globs)
    return any(_fits(glob, path) for glob in patterns for path in changed)


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
    said = wanted.get("when")
    if said in ("success", "failure", "always"):
        return said  # type: ignore[no-any-return]
    return "always" if wanted.get("onSuccess") is False else "success"
